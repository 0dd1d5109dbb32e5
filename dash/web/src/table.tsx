// All rows, a screenful at a time. The worker keeps their order; exact values come from the server by
// trial, since what the worker has is single precision, good for pictures only.
// The usual libraries make the scrolled element as high as all rows, and browsers stop at some 33 million
// pixels: here the height is bounded and scrolling is scaled beyond it.
import { effect, useSignal, type Signal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { rowsOf, type ColumnInfo } from './client';
import { ask, latest } from './engine';
import { exact, group, plain } from './format';
import { filter, href, q, setQuery } from './route';
import { onlySelected } from './filterbar';
import * as s from './sweepstate';
import { Menu, Toggle } from './ui';

const ROW_PX = 30;
const HEIGHT_MAX_PX = 12_000_000;
const CACHE_MAX = 4000;
const AHEAD = 2; // screenfuls of rows whose values are asked for before they are seen

export const tableColumns = (): ColumnInfo[] => {
  const all = s.schema.value?.columns ?? [];
  const chosen = q('cols')?.split(',');
  if (chosen) return chosen.map((n) => all.find((c) => c.name === n)).filter((c): c is ColumnInfo => !!c);
  // A parameter that never changes tells rows apart from nothing; the column chooser still has it.
  const shown = all.filter((c) => c.role !== 'system' && !c.name.startsWith('sky_')
    && !(c.role === 'param' && s.constant.value.has(c.name)));
  return (shown.length ? shown : all).slice(0, 24);
};

const headOf = (c: ColumnInfo) => (c.unit && c.unit !== c.name ? `${c.name} ${c.unit}` : c.name);

// The widest text of the first rows that came: a number that is cut off is a wrong number.
function longest(cache: Map<number, Record<string, any>>, c: ColumnInfo): number {
  let most = 0;
  let left = 60;
  for (const row of cache.values()) {
    if (left-- === 0) break;
    most = Math.max(most, cell(row[c.name]).length);
  }
  return most;
}

export const sorting = () => {
  const text = q('sort') ?? '';
  return { column: text.replace(/^-/, ''), descending: text.startsWith('-') };
};

export function Table({ height, id }: { height: number; id: string }) {
  const scroller = useRef<HTMLDivElement>(null);
  const n = useSignal(0);
  const first = useSignal(0);
  const active = useSignal(-1);
  const rows = useSignal<{ from: number; trials: number[]; selected: boolean[] }>({ from: 0, trials: [], selected: [] });
  const cache = useMemo(() => new Map<number, Record<string, any>>(), [s.name.value]);
  const filled = useSignal(0);
  const columns = tableColumns();
  const sort = sorting();
  const visible = Math.ceil(height / ROW_PX) + 1;
  const total = n.value * ROW_PX;
  const spacer = Math.min(total, HEIGHT_MAX_PX);
  const room = height - ROW_PX; // below the head
  const tall = Math.min(height, (Math.max(1, n.value) + 1) * ROW_PX + 14); // few rows need no more than that

  const near = useRef<number[]>([]); // trials around those that are seen: their values come ahead of the scroll
  const fill = useMemo(() => latest(async () => {
    const { from, trials } = rows.value;
    const seen = trials.filter((t) => !cache.has(t));
    const missing = seen.length ? seen : near.current.filter((t) => !cache.has(t));
    if (!missing.length) return;
    try {
      const got = await rowsOf(s.name.value, missing);
      if (cache.size > CACHE_MAX) cache.clear();
      got.forEach((row, i) => row && cache.set(missing[i], row));
      if (rows.value.from === from && seen.length) filled.value++;
      fill(); // what has come into sight meanwhile, then what lies ahead
    } catch {
      // the next scroll or refresh asks again
    }
  }), [cache]);
  const window_ = useMemo(() => latest(async () => {
    const from = Math.max(0, first.value - 4);
    try {
      const start = Math.max(0, from - AHEAD * visible);
      const all = await ask('trials', { from: start, to: from + (1 + AHEAD) * visible + 12 });
      const part = <T,>(list: T[]) => list.slice(from - start, from - start + visible + 12);
      const answer = { trials: part(all.trials), selected: part(all.selected) };
      near.current = all.trials;
      const old = rows.value;
      const same = old.from === from && old.trials.join() === answer.trials.join() && old.selected.join() === answer.selected.join();
      if (!same) rows.value = { from, ...answer };
      fill();
    } catch {
      // no sweep is open any more
    }
  }), [visible, fill]);

  useEffect(() => {
    const name = sorting().column;
    if (name && name !== 'trial' && s.column(name)?.resident) s.want(id, [name]);
    return () => void s.unwant(id);
  }, [sort.column]);
  const orderNow = useMemo(() => latest(async () => {
    const { column, descending } = sorting();
    try {
      n.value = (await ask('order', { column, descending, only: onlySelected() })).n;
      window_();
    } catch {
      n.value = 0;
    }
  }), [window_]);
  useEffect(() => effect(() => {
    void [s.version.value, q('sort'), q('only'), filter.value];
    orderNow();
  }), [orderNow]);
  useEffect(() => {
    if (scroller.current) scroller.current.scrollTop = 0;
    first.value = 0;
  }, [q('sort'), JSON.stringify(filter.value)]);

  const place = () => {
    const e = scroller.current;
    if (!e) return;
    const share = spacer > room ? Math.min(1, e.scrollTop / (spacer - room)) : 0;
    const at = total <= HEIGHT_MAX_PX ? e.scrollTop / ROW_PX : share * Math.max(0, n.value - room / ROW_PX);
    first.value = Math.floor(at);
    window_();
  };
  const show = (row: number) => {
    const e = scroller.current;
    if (!e) return;
    const rowsSeen = Math.floor(room / ROW_PX);
    let to = first.value;
    if (row < first.value) to = row;
    else if (row >= first.value + rowsSeen) to = row - rowsSeen + 1;
    else return;
    e.scrollTop = total <= HEIGHT_MAX_PX ? to * ROW_PX : (to / Math.max(1, n.value - room / ROW_PX)) * (spacer - room);
  };
  const key = (event: KeyboardEvent) => {
    const page = Math.floor(room / ROW_PX);
    const step: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -1e12, End: 1e12 };
    if (event.key in step && !event.altKey && (event.target as HTMLElement).getAttribute('role') === 'grid') {
      active.value = Math.min(n.value - 1, Math.max(0, active.value + step[event.key]));
      show(active.value);
      event.preventDefault();
    } else if (event.key === 'Enter' && event.target === scroller.current && active.value >= 0) {
      const trial = rows.value.trials[active.value - rows.value.from];
      if (trial !== undefined) location.hash = href(['sweeps', s.name.value, 'trials', String(trial)]);
    }
  };
  const sortBy = (name: string) => setQuery({ sort: sort.column !== name ? name : sort.descending ? null : `-${name}` }, true);
  void filled.value;
  const rem = columns.map((c) => Math.max(c.type === 'text' ? 7 : 5.5, headOf(c).length * 0.52 + 1.8, Math.min(22, longest(cache, c) * 0.53 + 1.6)));
  const grid = `6rem ${rem.map((w) => `minmax(${w.toFixed(1)}rem, ${w.toFixed(1)}fr)`).join(' ')}`;
  const least = `${(6 + rem.reduce((a, b) => a + b, 0)).toFixed(1)}rem`;
  const head = (name: string, unit: string, doc: string, sortable: boolean, number: boolean) => (
    <div role="columnheader" key={name} class={number ? 'number' : ''} title={doc}
      aria-sort={sort.column === name ? (sort.descending ? 'descending' : 'ascending') : 'none'}>
      {sortable ? (
        <button type="button" onClick={() => sortBy(name)}>
          {name}{unit && unit !== name && <span class="unit"> {unit}</span>}<span class="arrow" aria-hidden="true">{sort.column === name ? (sort.descending ? ' ↓' : ' ↑') : ''}</span>
        </button>
      ) : <span>{name}{unit && unit !== name && <span class="unit"> {unit}</span>}</span>}
    </div>
  );
  return (
    <div class="table" data-testid="table" data-rows={n.value}>
      <div class="table-tools">
        <p class="muted">{s.truncated.value && "the first "}{group(n.value)} {n.value === 1 ? 'row' : 'rows'}{onlySelected() ? ', selected' : ''}</p>
        {s.counts.value.selected < s.counts.value.shown && (
          <Toggle label="selected only" on={onlySelected()} onChange={(on) => setQuery({ only: on ? null : '0' })} />
        )}
        <ColumnChooser columns={columns} />
      </div>
      <div class="grid" role="grid" tabIndex={0} ref={scroller} onScroll={place} onKeyDown={key} style={{ height: `${tall}px` }}
        aria-label={`Trials of ${s.name.value}`} aria-rowcount={n.value + 1} aria-colcount={columns.length + 1}
        aria-activedescendant={active.value >= 0 ? `${id}-row-${active.value}` : undefined}>
        <div role="rowgroup" class="grid-head" style={{ minWidth: least }}>
          <div role="row" aria-rowindex={1} style={{ gridTemplateColumns: grid }}>
            {head('trial', '', 'the number of the trial', true, true)}
            {columns.map((c) => head(c.name, c.unit, c.doc, c.resident, c.type !== 'text'))}
          </div>
        </div>
        <div role="rowgroup" class="grid-body" style={{ height: `${spacer}px`, minWidth: least }}>
          <Body id={id} rows={rows} cache={cache} filled={filled} active={active} first={first} grid={grid} scroller={scroller} long={total > HEIGHT_MAX_PX} />
          {n.value === 0 && <div role="row"><div role="gridcell" class="none">{s.loading.value ? 'Reading the rows…' : s.counts.value.rows ? 'No trial is selected.' : 'No trial is recorded yet.'}</div></div>}
        </div>
      </div>
    </div>
  );
}

interface BodyProps {
  id: string;
  rows: Signal<{ from: number; trials: number[]; selected: boolean[] }>;
  cache: Map<number, Record<string, any>>;
  filled: Signal<number>;
  active: Signal<number>;
  first: Signal<number>;
  grid: string;
  scroller: { current: HTMLDivElement | null };
  long: boolean;
}

// The rows that are seen. Its props stay the same while results come, so it is not drawn again for each.
function Body({ id, rows, cache, filled, active, first, grid, scroller, long }: BodyProps) {
  const columns = tableColumns();
  const chosen = Number(q('trial') ?? NaN);
  const only = onlySelected();
  void filled.value;
  // Beyond the bounded height the rows are placed where the scroll is, not where they would be.
  const top = (i: number) => (long ? (scroller.current?.scrollTop ?? 0) + (i - first.value) * ROW_PX : i * ROW_PX);
  return (
    <>
          {rows.value.trials.map((trial, k) => {
            const i = rows.value.from + k;
            const row = cache.get(trial);
            return (
              <div role="row" key={trial} id={`${id}-row-${i}`} aria-rowindex={i + 2} aria-selected={trial === chosen}
                class={`${i === active.value ? 'active' : ''} ${rows.value.selected[k] && !only ? 'in' : ''}`}
                style={{ gridTemplateColumns: grid, transform: `translateY(${top(i)}px)` }}
                onClick={() => { active.value = i; setQuery({ trial: String(trial) }); }}>
                <div role="gridcell" class="number"><a tabIndex={-1} href={href(['sweeps', s.name.value, 'trials', String(trial)])}>{trial}</a></div>
                {columns.map((c) => (
                  <div role="gridcell" key={c.name} class={c.type === 'text' ? '' : 'number'} title={row ? exact(row[c.name]) : undefined}>
                    {row ? cell(row[c.name]) : <span class="wait">·</span>}
                  </div>
                ))}
              </div>
            );
          })}
    </>
  );
}

// Seven digits in the table, all of them in the title and in exports.
const cell = (v: unknown) => (typeof v === 'number' && !Number.isInteger(v) ? plain(v, 7) : exact(v));

function ColumnChooser({ columns }: { columns: ColumnInfo[] }) {
  const all = s.schema.value?.columns ?? [];
  const shown = new Set(columns.map((c) => c.name));
  const set = (names: string[]) => setQuery({ cols: names.join(',') || null });
  const roles = [['param', 'Parameters'], ['metric', 'Metrics'], ['derived', 'Derived'], ['system', 'Of the run']];
  return (
    <Menu label="Columns" align="right">
      {roles.map(([role, title]) => {
        const of = all.filter((c) => (role === 'system' ? !['param', 'metric', 'derived'].includes(c.role) : c.role === role));
        return of.length > 0 && (
          <fieldset key={role}>
            <legend>{title}</legend>
            {of.map((c) => (
              <Toggle key={c.name} label={c.name} on={shown.has(c.name)} title={c.doc}
                onChange={(on) => set(all.filter((v) => (v.name === c.name ? on : shown.has(v.name))).map((v) => v.name))} />
            ))}
          </fieldset>
        );
      })}
      <div class="row"><button type="button" onClick={() => set(all.map((c) => c.name))}>All</button><button type="button" onClick={() => setQuery({ cols: null })}>Default</button></div>
    </Menu>
  );
}
