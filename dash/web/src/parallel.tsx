// Parallel coordinates: an axis a column, a brush on each, linked to everything else.
import { effect, useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import { fraction, fromScaled, niceEnds, ticksOf, type Scale } from './axis';
import { ask, latest } from './engine';
import type { Extent } from './engine/messages';
import { group, plain } from './format';
import { dark } from './looks';
import { columnOptions, Legend } from './pareto';
import { filter, q, route, setQuery, setRange, short } from './route';
import * as s from './sweepstate';
import { Table } from './table';
import { Empty, Menu, Select, Toggle, useWidth } from './ui';

const AXES_MAX = 16;
const AXIS_PX = 92; // at least; the figure scrolls sideways beyond

function chosenAxes(): string[] {
  const all = s.plottable.value;
  const asked = q('axes')?.split(',').filter((n) => all.some((c) => c.name === n));
  if (asked?.length) return asked.slice(0, AXES_MAX);
  const objectives = (s.schema.value?.objectives ?? []).map((o) => o.name);
  const params = all.filter((c) => c.role === 'param' && !s.constant.value.has(c.name)).map((c) => c.name);
  const others = all.filter((c) => c.role === 'metric' || c.role === 'derived').map((c) => c.name);
  return [...new Set([...params.slice(0, 7), ...objectives, ...(objectives.length ? [] : others)])].slice(0, 10);
}

export function Parallel() {
  const [ref, outer] = useWidth();
  const canvas = useRef<HTMLCanvasElement>(null);
  const extents = useSignal<Record<string, Extent>>({});
  const said = useSignal<{ lines: boolean; drawn: number; colourRange: [number, number] | null }>({ lines: true, drawn: 0, colourRange: null });
  const names = chosenAxes();
  const logs = new Set((q('plog') ?? '').split(',').filter(Boolean));
  const colour = q('colour') ?? '';
  const width = Math.max(outer, names.length * AXIS_PX);
  const height = innerWidth < 640 ? 340 : 400;
  // Long titles take turns on two lines.
  const spacing = (width - 100) / Math.max(1, names.length - 1);
  const stagger = names.some((n) => titleOf(n).length * 6.9 + 18 > spacing);
  const top = stagger ? 58 : 40;
  const bottom = height - 26;
  const at = (i: number) => (names.length < 2 ? width / 2 : 50 + ((width - 100) * i) / (names.length - 1));
  const scale = (name: string): Scale => {
    const e = extents.value[name];
    const log = logs.has(name) && !e?.texts && (e?.positive ?? Infinity) < Infinity;
    const [lo, hi] = e ? ends(e, log) : [0, 1];
    return { column: name, unit: s.column(name)?.unit ?? '', log, texts: e?.texts, lo, hi, choices: s.numbersOf(name), only: e && e.lo === e.hi && !e.texts ? e.lo : undefined };
  };
  const draw = useMemo(() => latest(async () => {
    const c = canvas.current;
    const list = chosenAxes();
    if (!c || !list.length) return;
    try {
      const e = await ask('extent', { columns: list });
      if (list.some((n) => !e[n])) return;
      extents.value = e;
      const ratio = Math.min(2, devicePixelRatio || 1);
      const now = current.current;
      const answer = await ask('parallel', {
        width: Math.round(now.width * ratio), height: Math.round(height * ratio), ratio, top: now.top * ratio, bottom: bottom * ratio,
        axes: list.map((n, i) => {
          const v = now.scale(n);
          return { column: n, log: v.log, lo: fromScaled(v, v.lo), hi: fromScaled(v, v.hi), at: now.at(i) * ratio };
        }),
        colour: q('colour') ?? '', dark: dark.value,
      });
      if (!answer.bitmap || !canvas.current) return;
      c.width = answer.bitmap.width;
      c.height = answer.bitmap.height;
      c.getContext('2d')!.drawImage(answer.bitmap, 0, 0);
      answer.bitmap.close();
      said.value = answer;
    } catch {
      // the sweep was closed, or its columns come with the next refresh
    }
  }), []);
  const current = useRef({ width, scale, at, top });
  current.current = { width, scale, at, top };
  const key = [names.join(), [...logs].join(), width, top, dark.value, colour].join('|');
  useEffect(() => {
    s.want('parallel', [...names, colour].filter(Boolean));
    draw();
  }, [key]);
  useEffect(() => () => void s.unwant('parallel'), []);
  useEffect(() => effect(() => {
    void s.version.value;
    draw();
  }), []);
  if (!names.length) return <Empty title="This sweep has no columns to draw." />;
  return (
    <div class="parallel">
      <div class="plot-tools">
        <AxisMenu names={names} />
        <Select label="Colour" value={colour} options={columnOptions(false, 'one colour')} onChange={(v) => setQuery({ colour: v }, true)} />
        <p class="hint">Drag along an axis to select; click it to clear.</p>
      </div>
      <figure data-figure="parallel">
        <div class="scroll-x" ref={ref} tabIndex={0} role="region" aria-label="Parallel coordinates">
          <div class="parallel-plot" style={{ width: `${width}px`, height: `${height}px` }}>
            <canvas ref={canvas} aria-hidden="true" class="dots" style={{ left: '0', top: '0', width: `${width}px`, height: `${height}px` }} />
            <svg class="figure over" width={width} height={height} role="img" aria-label={`Parallel coordinates of ${names.join(', ')}; ${group(s.counts.value.selected)} trials selected`}>
              {names.map((n, i) => extents.value[n] && <ParallelAxis key={n} scale={scale(n)} x={at(i)} top={top} bottom={bottom} width={width} line={stagger ? 2 - ((i + 1) % 2) : 1} />)}
            </svg>
          </div>
        </div>
        <figcaption><Legend legend={{ range: said.value.colourRange, how: 'points', countMax: 0 }} colour={colour} colourLog={false} /><p class="summary">{s.loading.value ? `Reading ${group(s.summary.value?.recorded ?? 0)} rows…` : said.value.lines ? `${group(said.value.drawn)} ${said.value.drawn === 1 ? 'trial' : 'trials'}, a line each.` : `${group(said.value.drawn)} trials, drawn as bands of counts; lines from ${group(8000)} down.`}</p></figcaption>
      </figure>
      <Ranges names={names} extents={extents.value} />
      <section class="below" aria-label="Trials"><Table height={330} id="parallel-table" /></section>
    </div>
  );
}

const shortened = (title: string) => (title.length > 20 ? `${title.slice(0, 19)}…` : title);
const titleOf = (name: string) => {
  const unit = s.column(name)?.unit;
  return shortened(unit && unit !== name ? `${name}, ${unit}` : name);
};

const ends = (e: Extent, log: boolean): [number, number] => {
  const [lo, hi] = niceEnds(log ? e.positive : e.lo, e.hi, log, !!e.texts);
  if (e.texts || !(e.hi > e.lo)) return [lo, hi];
  return log ? [Math.log10(e.positive), Math.log10(e.hi)] : [e.lo, e.hi];
};

function ParallelAxis({ scale, x, top, bottom, width, line }: { scale: Scale; x: number; top: number; bottom: number; width: number; line: number }) {
  const drag = useSignal<[number, number] | null>(null);
  const { ticks, title } = ticksOf(scale, 5);
  const range = filter.value.ranges.find((r) => r.column === scale.column);
  const y = (t: number) => bottom - Math.min(1, Math.max(0, t)) * (bottom - top);
  const shown = drag.value ?? (range ? [y(fraction(scale, range.hi)), y(fraction(scale, range.lo))] : null);
  const local = (e: PointerEvent) => Math.min(bottom, Math.max(top, e.clientY - (e.currentTarget as Element).closest('svg')!.getBoundingClientRect().top));
  const value = (py: number) => fromScaled(scale, scale.lo + ((bottom - py) / (bottom - top)) * (scale.hi - scale.lo));
  const goal = s.schema.value?.objectives.find((o) => o.name === scale.column)?.goal;
  const anchor = x < 60 ? 'start' : x > width - 60 ? 'end' : 'middle';
  const short_ = shortened(title);
  return (
    <g class="parallel-axis">
      <text class="title" x={anchor === 'start' ? 4 : anchor === 'end' ? width - 4 : x} y={line === 2 ? 36 : 18} text-anchor={anchor}><title>{title}</title>
        <tspan class="name">{short_}</tspan><tspan class="goal">{goal ? (goal === 'min' ? ' ↓' : ' ↑') : ''}</tspan></text>
      <line class="base" x1={x} x2={x} y1={top} y2={bottom} />
      {ticks.map((t) => <g key={t.label}><line class="base" x1={x - 4} x2={x} y1={y(t.at)} y2={y(t.at)} /><text class="tick halo" x={x - 7} y={y(t.at) + 4} text-anchor="end">{t.label}</text></g>)}
      {shown && <rect class="brush axis-brush" x={x - 9} width={18} y={Math.min(shown[0], shown[1])} height={Math.max(1, Math.abs(shown[1] - shown[0]))} />}
      <rect class="grab" data-axis={scale.column} x={x - 22} width={44} y={top - 6} height={bottom - top + 12}
        onPointerDown={(e) => { e.currentTarget.setPointerCapture(e.pointerId); const p = local(e); drag.value = [p, p]; }}
        onPointerMove={(e) => { if (drag.value) drag.value = [drag.value[0], local(e)]; }}
        onPointerUp={() => {
          const d = drag.value;
          drag.value = null;
          if (!d) return;
          if (Math.abs(d[0] - d[1]) < 4) setRange(scale.column, null);
          else setRange(scale.column, { column: scale.column, lo: value(Math.max(...d)), hi: value(Math.min(...d)) });
        }} />
    </g>
  );
}

function AxisMenu({ names }: { names: string[] }) {
  const set = (list: string[]) => setQuery({ axes: list.join(',') || null }, true);
  const move = (n: string, by: number) => {
    const list = [...names];
    const i = list.indexOf(n);
    const j = i + by;
    if (j < 0 || j >= list.length) return;
    [list[i], list[j]] = [list[j], list[i]];
    set(list);
  };
  const logs = (q('plog') ?? '').split(',').filter(Boolean);
  return (
    <Menu label={`Axes (${names.length})`}>
      <ol class="axis-list">
        {names.map((n) => (
          <li key={n}>
            <Toggle label={n} on onChange={() => set(names.filter((v) => v !== n))} />
            <span class="row">
              {s.column(n)?.type !== 'text' && <Toggle label="log" on={logs.includes(n)} onChange={(on) => setQuery({ plog: (on ? [...logs, n] : logs.filter((v) => v !== n)).join(',') })} />}
              <button type="button" aria-label={`Move ${n} left`} onClick={() => move(n, -1)}>←</button>
              <button type="button" aria-label={`Move ${n} right`} onClick={() => move(n, 1)}>→</button>
            </span>
          </li>
        ))}
        {s.plottable.value.filter((c) => !names.includes(c.name)).map((c) => <li key={c.name}><Toggle label={c.name} on={false} onChange={() => set([...names, c.name])} /></li>)}
      </ol>
    </Menu>
  );
}

// The same brushes as numbers, for keyboards and for exactness.
function Ranges({ names, extents }: { names: string[]; extents: Record<string, Extent> }) {
  const numbers = names.filter((n) => s.column(n)?.type !== 'text' && extents[n] && extents[n].hi >= extents[n].lo);
  const set = (n: string, which: 'lo' | 'hi', text: string) => {
    const e = extents[n];
    const old = route.value && (filter.value.ranges.find((r) => r.column === n) ?? { column: n, lo: e.lo, hi: e.hi });
    const v = text === '' ? e[which] : Number(text);
    if (Number.isFinite(v)) setRange(n, { ...old, [which]: v });
  };
  return (
    <details class="ranges">
      <summary>Ranges as numbers</summary>
      <div class="range-grid">
        {numbers.map((n) => {
          const r = filter.value.ranges.find((v) => v.column === n);
          return (
            <fieldset key={n}>
              <legend>{n}</legend>
              <label>from <input type="text" inputMode="decimal" value={r ? short(r.lo) : ''} placeholder={plain(extents[n].lo)} onChange={(e) => set(n, 'lo', e.currentTarget.value)} /></label>
              <label>to <input type="text" inputMode="decimal" value={r ? short(r.hi) : ''} placeholder={plain(extents[n].hi)} onChange={(e) => set(n, 'hi', e.currentTarget.value)} /></label>
              {r && <button type="button" class="quiet" onClick={() => setRange(n, null)}>clear</button>}
            </fieldset>
          );
        })}
      </div>
    </details>
  );
}
