// One sweep as the page looks at it: its schema, the worker's columns, the selection, the front.
import { batch, computed, effect, signal } from '@preact/signals';
import { getJson, num, sweepUrl, WITHIN_MS, type ColumnInfo, type Front, type Goal, type Schema, type Summary } from './client';
import { ask, latest } from './engine';
import { askEarly, MANY, whenPainted } from './firstlook';
import type { Counts, Extent } from './engine/messages';
import { sweeps } from './live';
import { filter, q, route } from './route';

export const ROWS_MAX = 2_000_000; // that a page holds

export const name = computed(() => (route.value.path[0] === 'sweeps' ? (route.value.path[1] ?? '') : ''));
export const schema = signal<Schema | null>(null);
export const counts = signal<Counts>({ rows: 0, total: 0, shown: 0, selected: 0, ms: 0 });
export const version = signal(0); // another number whenever a picture may have changed
export const loadError = signal('');
export const filterError = signal('');
export const front = signal<Front | null>(null);
export const frontError = signal('');
export const truncated = signal(false); // the sweep has more rows than a page holds
// The server reads a large sweep from its file when somebody first looks at it, and its rows come in parts.
export const more = signal(false);
const MOST = 0.8; // of the rows: then a sweep counts as read, though it may grow on
export const behind = computed(() => more.value && counts.value.rows < MOST * Math.min(counts.value.total, ROWS_MAX));
export const frontBehind = computed(() => !!front.value && front.value.rows < MOST * front.value.recorded);
export const loading = computed(() => counts.value.total === 0 && (summary.value?.recorded ?? 0) > 0 && !loadError.value);
// Columns with one value only: nothing is to be seen along them.
export const constant = signal<Set<string>>(new Set());
// The values of columns that have few.
export const choices = signal<Map<string, (number | string)[]>>(new Map());
export const numbersOf = (of: string) => choices.value.get(of)?.filter((v): v is number => typeof v === 'number');
export const gpuName = signal('');

export const summary = computed(() => sweeps.value?.find((s) => s.name === name.value) ?? null);
export const numeric = computed(() => (schema.value?.columns ?? []).filter((c) => c.type !== 'text' && c.resident));
export const plottable = computed(() => (schema.value?.columns ?? []).filter((c) => c.resident && c.name !== 'sky_feasible'));
export const column = (of: string): ColumnInfo | undefined => schema.value?.columns.find((c) => c.name === of);

export function goalOf(of: string): 'min' | 'max' {
  const declared: Goal | undefined = schema.value?.objectives.find((o) => o.name === of)?.goal ?? column(of)?.goal;
  return declared === 'max' ? 'max' : 'min';
}

// The two axes: as the address says, else the first objectives, else whatever there is.
export const axes = computed(() => {
  const s = schema.value;
  if (!s) return null;
  const metrics = numeric.value.filter((c) => c.role === 'metric' || c.role === 'derived');
  const others = numeric.value.filter((c) => c.role === 'param');
  const ranked = [...s.objectives.map((o) => o.name), ...metrics.map((c) => c.name), ...others.map((c) => c.name)];
  const choices = [...new Set(ranked)].filter((n) => column(n)?.resident);
  const valid = (n: string | null) => (n && column(n)?.resident ? n : null);
  const x = valid(q('x')) ?? choices[0];
  const y = valid(q('y')) ?? choices.find((n) => n !== x) ?? x;
  if (!x) return null;
  const goal = (key: string, of: string): 'min' | 'max' => (q(key) === 'min' ? 'min' : q(key) === 'max' ? 'max' : goalOf(of));
  const isText = (n: string) => column(n)?.type === 'text';
  return {
    x,
    y,
    xlog: q('xlog') === '1' && !isText(x),
    ylog: q('ylog') === '1' && !isText(y),
    xgoal: goal('xgoal', x),
    ygoal: goal('ygoal', y),
    colour: valid(q('colour')) ?? '',
    colourLog: q('colourlog') === '1',
    size: valid(q('size')) ?? '',
  };
});

// Columns that the views on the screen want; each view adds its own.
const wanted = new Map<string, string[]>();
export function want(view: string, columns: string[]) {
  const missing = columns.some((c) => ![...wanted.values()].flat().includes(c));
  wanted.set(view, columns);
  if (missing) refresh();
}
export const unwant = (view: string) => wanted.delete(view);

let opened = '';
let ready = false; // the worker has opened the sweep

// What the page's first script asked for while this one came.
function early(sweep: string): Promise<Schema> {
  const boot = (globalThis as any).skylineBoot as { sweep: string; schema: Promise<Schema | null> } | undefined;
  (globalThis as any).skylineBoot = undefined;
  const ask = () => getJson<Schema>(sweepUrl(sweep));
  return boot?.sweep === sweep ? boot.schema.then((v) => v ?? ask()) : ask();
}

async function load(sweep: string) {
  opened = sweep;
  ready = false;
  batch(() => {
    schema.value = front.value = null;
    constant.value = new Set();
    choices.value = new Map();
    loadError.value = filterError.value = frontError.value = '';
    counts.value = { rows: 0, total: 0, shown: 0, selected: 0, ms: 0 };
    truncated.value = more.value = false;
  });
  summed = 0;
  wanted.clear();
  if (!sweep) return;
  try {
    const s = await early(sweep);
    if (opened !== sweep) return;
    schema.value = s;
    if (s.recorded > MANY && (route.value.path[2] ?? 'front') === 'front' && q('matrix') !== '1' && !q('zoom') && axes.value)
      askEarly({ ...axes.value, sweep, feasible: filter.value.feasible });
    await whenPainted();
    if (opened !== sweep) return;
    gpuName.value = (await ask('open', { sweep, rowsMax: ROWS_MAX })).gpu; // before all else: questions are answered in turn
    if (opened !== sweep) return;
    ready = true;
    refilter();
    refresh();
  } catch (e) {
    if (opened === sweep) loadError.value = (e as Error).message;
  }
}

const summaryOf = (sweep: string) => getJson<Summary>(sweepUrl(sweep, `/summary?within_ms=${WITHIN_MS}`));

// When the server has read the sweep; again when it has doubled and when it has ended, since what was alike so far
// may not stay so.
let summed = 0; // rows that were looked at
async function findConstant(sweep: string, rows: number) {
  summed = rows;
  try {
    const all = await summaryOf(sweep);
    if (opened !== sweep) return;
    if (all.more) {
      summed = 0;
      return;
    }
    choices.value = new Map(all.columns.flatMap((c) => (c.choices && c.choices.length > 1 ? [[c.name, c.choices] as const] : [])));
    constant.value = new Set(all.columns.filter((c) => (c.choices ? c.choices.length < 2 : c.min === c.max)).map((c) => c.name));
  } catch {
    summed = 0; // the next rows ask again
  }
}

// The ends of columns: of the rows here, or where those are not all, of what the server has.
export async function extents(columns: string[]): Promise<Record<string, Extent>> {
  const held = await ask('extent', { columns });
  if (!truncated.value) return held;
  for (const c of (await summaryOf(name.value)).columns) {
    if (!columns.includes(c.name) || column(c.name)?.type === 'text' || c.min === null) continue;
    held[c.name] = { lo: num(c.min), hi: num(c.max), positive: c.above_zero === null ? Infinity : num(c.above_zero) };
  }
  return held;
}

const MORE_MS = 200; // between two looks at how far the server has read, where its rows are not wanted
export const refresh = latest(async () => {
  const sweep = opened;
  if (!sweep || !schema.value || !ready) return;
  try {
    const columns = [...new Set([...wanted.values()].flat())];
    const answer = await ask('refresh', { columns });
    if (opened !== sweep) return;
    batch(() => {
      counts.value = answer;
      truncated.value = answer.truncated;
      more.value = answer.more;
      loadError.value = '';
      if (answer.changed) version.value++;
    });
    if (answer.more) setTimeout(refresh, answer.rows < ROWS_MAX ? 0 : MORE_MS);
    else if (answer.rows > 1 && (answer.rows >= 2 * summed || (answer.rows !== summed && summary.value?.state !== 'running'))) void findConstant(sweep, answer.rows);
  } catch (e) {
    if (opened === sweep && !/another sweep/.test((e as Error).message)) loadError.value = (e as Error).message;
  }
});

const refilter = latest(async () => {
  const sweep = opened;
  if (!sweep || !schema.value || !ready) return;
  try {
    const answer = await ask('filter', filter.value);
    if (opened !== sweep) return;
    batch(() => {
      counts.value = answer;
      filterError.value = '';
      version.value++;
    });
  } catch (e) {
    if (opened === sweep) filterError.value = (e as Error).message;
  }
});

// ---- The front: the server's, from doubles ----

const FRONT_MS_MIN = 400; // between two questions while results come
let frontAt = -Infinity;
let frontTook = 0;
let frontFor = '';
let frontTimer: ReturnType<typeof setTimeout> | undefined;

export function objectivesText(): string {
  const a = axes.value;
  if (!a || column(a.x)?.type === 'text' || column(a.y)?.type === 'text' || a.x === a.y) return '';
  const two = [`${a.x}:${a.xgoal}`, `${a.y}:${a.ygoal}`];
  if (q('matrix') !== '1') return two.join(',');
  return (schema.value?.objectives ?? []).map((o) => `${o.name}:${o.goal}`).join(',') || two.join(',');
}

const askFront = latest(async () => {
  const sweep = opened;
  const objectives = objectivesText();
  if (!sweep || !objectives) {
    front.value = null;
    return;
  }
  const began = performance.now();
  const query = new URLSearchParams({ objectives, within_ms: String(WITHIN_MS) });
  if (!filter.value.feasible && schema.value?.constraints.length) query.set('infeasible', '1');
  if (q('by') === 'trial') query.set('by_trial', '1');
  try {
    const answer = await getJson<Front>(sweepUrl(sweep, `/front?${query}`));
    if (opened !== sweep || objectives !== objectivesText()) return;
    front.value = answer;
    frontError.value = '';
  } catch (e) {
    if (opened !== sweep) return;
    front.value = null;
    frontError.value = (e as Error).message;
  }
  frontAt = performance.now();
  frontTook = frontAt - began;
  if (front.value && front.value.rows < front.value.recorded) frontSoon(); // of the rows that the server has by now
});

const frontKey = computed(() => JSON.stringify([name.value, objectivesText(), filter.value.feasible, q('by')]));
const filterKey = computed(() => JSON.stringify(filter.value));

// At once when it is another front, else not so often that it holds up anything.
function frontSoon() {
  clearTimeout(frontTimer);
  if (frontKey.value === frontFor && (front.value?.rows ?? -1) >= counts.value.total) return;
  const wait = frontKey.value !== frontFor ? 0 : Math.max(FRONT_MS_MIN, 4 * frontTook) - (performance.now() - frontAt);
  frontFor = frontKey.value;
  frontTimer = setTimeout(askFront, Math.max(0, wait));
}

export function beginSweeps() {
  effect(() => {
    const sweep = name.value;
    if (sweep !== opened) void load(sweep);
  });
  let recorded = -1;
  effect(() => {
    const s = summary.value;
    const now = s ? s.recorded + s.failed + s.updated_ms : -1;
    if (now !== recorded) {
      recorded = now;
      refresh();
    }
  });
  effect(() => {
    void filterKey.value;
    if (schema.value) refilter();
  });
  effect(() => {
    void [frontKey.value, counts.value.total];
    if (schema.value) frontSoon();
  });
}
