// Where we are and how we look at it, all of it in the address after '#': a link says everything.
import { computed, signal } from '@preact/signals';
import type { Filter, Lasso, Range } from './engine/messages';

interface Route {
  path: string[];
  query: URLSearchParams;
}

function parse(): Route {
  const hash = location.hash.replace(/^#\/?/, '');
  const at = hash.indexOf('?');
  const path = at < 0 ? hash : hash.slice(0, at);
  const safe = (part: string) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  };
  return { path: path.split('/').filter(Boolean).map(safe), query: new URLSearchParams(at < 0 ? '' : hash.slice(at + 1)) };
}

export const route = signal<Route>(parse());
addEventListener('hashchange', () => (route.value = parse()));

export type Patch = Record<string, string | string[] | null | undefined>;

function patched(query: URLSearchParams, patch: Patch): URLSearchParams {
  const next = new URLSearchParams(query);
  for (const [key, value] of Object.entries(patch)) {
    next.delete(key);
    if (Array.isArray(value)) value.forEach((v) => next.append(key, v));
    else if (value !== null && value !== undefined && value !== '') next.set(key, value);
  }
  return next;
}

export function href(path: string[], query?: URLSearchParams | Patch): string {
  const q = query instanceof URLSearchParams ? query : patched(new URLSearchParams(), query ?? {});
  // Commas and colons stay readable.
  const text = q.toString().replace(/%2C/g, ',').replace(/%3A/g, ':');
  return `#/${path.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`;
}

// Changes how we look at it. A step that 'back' should undo is pushed, a drag is not.
export function setQuery(patch: Patch, push = false) {
  const { path, query } = route.value;
  const next = href(path, patched(query, patch));
  if (next === location.hash) return;
  history[push ? 'pushState' : 'replaceState'](null, '', next);
  route.value = parse();
}

export const q = (key: string) => route.value.query.get(key);

const number = (text: string | undefined) => {
  const x = text === undefined || text === '' ? NaN : Number(text);
  return x;
};

// 'column:low:high'; the column's name may have colons, numbers have none.
function parseRange(text: string): Range | null {
  const parts = text.split(':');
  const hi = number(parts.pop());
  const lo = number(parts.pop());
  const column = parts.join(':');
  return column && !Number.isNaN(lo) && !Number.isNaN(hi) ? { column, lo, hi } : null;
}

export const rangeText = (r: Range) => `${r.column}:${short(r.lo)}:${short(r.hi)}`;

// As few digits as a screen can tell apart.
export const short = (x: number) => String(Number(x.toPrecision(7)));

// 'x|y|xlog|ylog|x0,y0,x1,y1,...'
function parseLasso(text: string | null): Lasso | null {
  const parts = (text ?? '').split('|');
  if (parts.length !== 5) return null;
  const numbers = parts[4].split(',').map(Number);
  if (numbers.length < 6 || numbers.length % 2 || numbers.some((x) => !Number.isFinite(x))) return null;
  const points: [number, number][] = [];
  for (let i = 0; i < numbers.length; i += 2) points.push([numbers[i], numbers[i + 1]]);
  return { x: parts[0], y: parts[1], xlog: parts[2] === '1', ylog: parts[3] === '1', points };
}

export const lassoText = (l: Lasso) =>
  [l.x, l.y, l.xlog ? 1 : 0, l.ylog ? 1 : 0, l.points.flat().map((v) => Number(v.toPrecision(5))).join(',')].join('|');

export const filter = computed<Filter>(() => {
  const query = route.value.query;
  return {
    ranges: query.getAll('r').map(parseRange).filter((r): r is Range => r !== null),
    lasso: parseLasso(query.get('lasso')),
    where: query.get('where') ?? '',
    feasible: query.get('feasible') === '1',
  };
});

export function setRange(column: string, range: Range | null, push = true) {
  const others = filter.value.ranges.filter((r) => r.column !== column);
  setQuery({ r: (range ? [...others, range] : others).map(rangeText) }, push);
}

// Keys that only one sweep gives a meaning to do not follow into another.
export const carried = computed(() => {
  const next = new URLSearchParams();
  for (const [key, value] of route.value.query) if (key !== 'trial') next.append(key, value);
  return next;
});
