// The scatter plot of two columns: points or their density below, the front, brushes and the cursor above.
import { effect, useSignal } from '@preact/signals';
import { Component, type ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { Axes, GridLines, fraction, fromScaled, niceEnds, toScaled, type Box, type Scale } from './axis';
import { ask, latest } from './engine';
import type { Extent, Lasso } from './engine/messages';
import { MANY } from './firstlook';
import { group, withUnit } from './format';
import { dark } from './looks';
import { PlotView, type Ends, type Look } from './plotview';
import { filter, lassoText, q, rangeText, route, setQuery, short } from './route';
import * as s from './sweepstate';
import { FrontMarks, frontPoints } from './frontmarks';
import { Reading, type Cursor } from './reading';
import { useWidth } from './ui';

export type Tool = 'brush' | 'lasso' | 'pan';

interface Props {
  x: string;
  y: string;
  xlog: boolean;
  ylog: boolean;
  xgoal?: 'min' | 'max';
  ygoal?: 'min' | 'max';
  colour: string;
  colourLog?: boolean;
  size: string;
  tool: Tool;
  height: number;
  small?: boolean; // a panel of a matrix: no cursor, no zoom
  id: string;
  onLegend?: (l: { range: [number, number] | null; how: string; inside: number; rows: number; server: boolean; countMax: number }) => void;
}

const NEAR_PX = 28;
const CLICK_PX = 4;
const SETTLE_MS = 120;
const QUICK_MS = 8;
const BLEED = 8; // so much of a mark at the border is seen beyond it
const AGAIN_MS = 250;

// The whole range of the columns, in scaled terms.
function wholeEnds(p: Props, extents: Record<string, Extent>): Ends | null {
  const end = (name: string, log: boolean): [number, number] | null => {
    const e = extents[name];
    if (!e) return null;
    return niceEnds(log ? e.positive : e.lo, log && !(e.positive < Infinity) ? NaN : e.hi, log, !!e.texts);
  };
  const x = end(p.x, p.xlog);
  const y = end(p.y, p.ylog);
  return x && y ? { x, y } : null;
}

function zoomOf(p: Props): Ends | null {
  const parts = (q('zoom') ?? '').split(',').map(Number);
  if (p.small || parts.length !== 4 || parts.some((v) => !Number.isFinite(v))) return null;
  const [a, b, c, d] = [toScaled({ log: p.xlog }, parts[0]), toScaled({ log: p.xlog }, parts[1]), toScaled({ log: p.ylog }, parts[2]),
    toScaled({ log: p.ylog }, parts[3])];
  return a < b && c < d ? { x: [a, b], y: [c, d] } : null;
}

export function Scatter(p: Props) {
  const [ref, width] = useWidth();
  const canvas = useRef<HTMLCanvasElement>(null);
  const props = useRef(p);
  props.current = p;
  const extents = useSignal<Record<string, Extent>>({});
  const tick = useSignal(0); // the overlay follows the view through this
  const drag = useSignal<{ kind: Tool; points: [number, number][] } | null>(null);
  const cursor = useSignal<Cursor | null>(null);
  const view = useMemo(() => new PlotView(() => {
    const v = view.picture;
    tick.value++;
    if (v) props.current.onLegend?.({ range: v.answer.colourRange, ...v.answer });
  }), []);
  const box: Box = p.small
    ? { left: 52, top: 26, width: Math.max(10, width - 60), height: p.height - 68 }
    : { left: width < 500 ? 48 : 64, top: 32, width: Math.max(10, width - (width < 500 ? 56 : 80)), height: p.height - 84 };
  view.width = box.width;
  view.height = box.height;

  const scale = (k: 'x' | 'y'): Scale => {
    const e = view.ends ?? view.picture?.ends ?? { x: [0, 1], y: [0, 1] };
    const name = p[k];
    const of = extents.value[name];
    return { column: name, unit: s.column(name)?.unit ?? '', log: k === 'x' ? p.xlog : p.ylog, texts: of?.texts, choices: s.numbersOf(name),
      only: of && !of.texts && of.lo === of.hi ? of.lo : undefined, lo: e[k][0], hi: e[k][1] };
  };

  // A new look: the columns are asked for, and the server's density is shown until they are here.
  const lookKey = [s.name.value, p.x, p.y, p.xlog, p.ylog, p.colour, p.colourLog, p.size, dark.value, q('draw'), filter.value.feasible,
    s.truncated.value, s.truncated.value && JSON.stringify(filter.value.ranges), q('dominated'), width, p.height].join('\n');
  useLayoutEffect(() => {
    const old = view.look;
    const look: Look = {
      sweep: s.name.value, x: p.x, y: p.y, xlog: p.xlog, ylog: p.ylog, colour: p.colour, colourLog: !!p.colourLog, size: p.size,
      renderer: (q('draw') as Look['renderer']) || 'auto', dark: dark.value, feasible: filter.value.feasible, server: s.truncated.value, ranges: filter.value.ranges,
      hidden: q('dominated') === '0' && !p.small,
    };
    const moved = !old || old.x !== look.x || old.y !== look.y || old.xlog !== look.xlog || old.ylog !== look.ylog || old.sweep !== look.sweep;
    view.look = look;
    if (moved) {
      view.picture = null;
      view.ends = zoomOf(p) ?? wholeEnds(p, extents.value);
      cursor.value = null;
    }
    s.want(p.id, [p.x, p.y, p.colour, p.size].filter(Boolean));
    if (width === 0) return;
    if ((s.schema.value?.recorded ?? 0) > MANY && !view.picture) view.firstPicture();
    view.render();
  }, [lookKey]);
  useEffect(() => () => {
    s.unwant(p.id);
    view.stop();
  }, []);
  useLayoutEffect(() => view.attach(canvas.current), [width > 0]);

  // New rows or another selection: the axes follow unless somebody zoomed.
  useEffect(
    () =>
      effect(() => {
        void [s.version.value, route.value.query.get('zoom')];
        follow();
      }),
    [p.x, p.y, p.xlog, p.ylog],
  );
  const follow = useMemo(() => latest(async () => {
    const now = props.current;
    const answer = await s.extents([now.x, now.y]).catch(() => null);
    if (!answer?.[now.x] || !answer[now.y] || view.look?.x !== now.x || view.look?.y !== now.y) return;
    extents.value = answer;
    const ends = zoomOf(props.current) ?? wholeEnds(props.current, answer);
    if (ends && !drag.value) view.ends = ends;
    view.paintSoon();
    tick.value++;
    view.render();
  }), []);

  const ends = view.ends;
  void tick.value;
  const sx = scale('x');
  const sy = scale('y');
  // The front is placed for one view of the data; while that is only moved, its layer is moved instead.
  const base = useRef<{ x: Scale; y: Scale; key: string } | null>(null);
  const shape = [width, p.height, sx.hi - sx.lo, sy.hi - sy.lo].map((v) => v.toPrecision(9)).join() + lookKey;
  if (base.current?.key !== shape || !drag.value) base.current = { x: sx, y: sy, key: shape };
  const { x: bx, y: by } = base.current;
  const dx = ((bx.lo - sx.lo) / (sx.hi - sx.lo)) * box.width;
  const dy = ((sy.lo - by.lo) / (sy.hi - sy.lo)) * box.height;
  const inner: Box = { left: BLEED, top: BLEED, width: box.width, height: box.height };
  const stamp = [shape, bx.lo, by.lo, sx.texts?.length, sy.texts?.length].join();
  const marks = () => (
    <>
      <FrontMarks box={inner} x={bx} y={by} xgoal={p.xgoal ?? 'min'} ygoal={p.ygoal ?? 'min'} small={p.small} />
      <FilterShapes box={inner} x={bx} y={by} />
    </>
  );
  return (
    <div class={`scatter ${p.small ? 'small' : ''}`} ref={ref} style={{ height: `${p.height}px` }}>
      {width > 0 && (
        <>
          <svg class="figure over" width={width} height={p.height} aria-hidden="true">{(ends || view.picture) && <GridLines box={box} x={sx} y={sy} />}</svg>
          {!ends && !view.picture && <p class="waiting">{s.loading.value ? `Reading ${group(s.summary.value?.recorded ?? 0)} rows…` : ''}</p>}
          <div class="stage" style={{ left: `${box.left - BLEED}px`, top: `${box.top - BLEED}px`, width: `${box.width + 2 * BLEED}px`, height: `${box.height + 2 * BLEED}px` }}>
            <canvas ref={canvas} aria-hidden="true" class="dots" style={{ left: `${BLEED}px`, top: `${BLEED}px`, width: `${box.width}px`, height: `${box.height}px` }} />
            <svg class="figure over moving" width={box.width + 2 * BLEED} height={box.height + 2 * BLEED} aria-hidden="true"
              style={{ transform: dx || dy ? `translate(${dx}px, ${dy}px)` : 'none' }}>
              {(ends || view.picture) && <Still stamp={stamp} draw={marks} />}
            </svg>
          </div>
          <svg class="figure over" width={width} height={p.height} aria-hidden="true">
            {(ends || view.picture) && <Axes box={box} x={sx} y={sy} xgoal={p.xgoal} ygoal={p.ygoal} small={p.small} />}
            {drag.value && <DragShape box={box} drag={drag.value} />}
          </svg>
          {!p.small && <Surface p={p} box={box} view={view} x={sx} y={sy} drag={drag} cursor={cursor} tick={tick} />}
          {!p.small && cursor.value && <Reading cursor={cursor.value} box={box} x={sx} y={sy} width={width} onClose={() => (cursor.value = null)} />}
        </>
      )}
    </div>
  );
}

// Draws again only when its stamp changes. (Keeping the elements themselves between two renderings would keep
// all that was ever drawn: each element knows its parent.)
class Still extends Component<{ stamp: string; draw: () => ComponentChildren }> {
  shouldComponentUpdate(next: { stamp: string }) {
    return next.stamp !== this.props.stamp;
  }
  render() {
    return this.props.draw();
  }
}

const at = (box: Box, x: Scale, y: Scale, vx: number, vy: number): [number, number] => [
  box.left + fraction(x, vx) * box.width,
  box.top + (1 - fraction(y, vy)) * box.height,
];

// The brushes that the address holds, where they are of these two columns.
function FilterShapes({ box, x, y }: { box: Box; x: Scale; y: Scale }) {
  const { ranges, lasso } = filter.value;
  const rx = ranges.find((r) => r.column === x.column);
  const ry = ranges.find((r) => r.column === y.column);
  const clamp = (v: number) => Math.min(1, Math.max(0, Number.isNaN(v) ? 0 : v));
  let rect = null;
  if (rx || ry) {
    const [x0, x1] = rx ? [clamp(fraction(x, rx.lo)), clamp(fraction(x, rx.hi))] : [0, 1];
    const [y0, y1] = ry ? [clamp(fraction(y, ry.lo)), clamp(fraction(y, ry.hi))] : [0, 1];
    rect = <rect class="brush" x={box.left + x0 * box.width} width={Math.max(0, x1 - x0) * box.width} y={box.top + (1 - y1) * box.height}
      height={Math.max(0, y1 - y0) * box.height} />;
  }
  const here = lasso && lasso.x === x.column && lasso.y === y.column;
  return (
    <>
      {rect}
      {here && <polygon class="brush" points={lasso.points.map(([vx, vy]) => at(box, x, y, vx, vy).map((v) => v.toFixed(1)).join(',')).join(' ')} />}
    </>
  );
}

function DragShape({ box, drag }: { box: Box; drag: { kind: Tool; points: [number, number][] } }) {
  const points = drag.points;
  if (drag.kind === 'pan' || points.length < 2) return null;
  if (drag.kind === 'lasso') return <polygon class="brush" points={points.map(([a, b]) => `${box.left + a},${box.top + b}`).join(' ')} />;
  const [a, b] = [points[0], points[points.length - 1]];
  return <rect class="brush" x={box.left + Math.min(a[0], b[0])} y={box.top + Math.min(a[1], b[1])} width={Math.abs(a[0] - b[0])} height={Math.abs(a[1] - b[1])} />;
}

interface SurfaceProps {
  p: Props;
  box: Box;
  view: PlotView;
  x: Scale;
  y: Scale;
  drag: { value: { kind: Tool; points: [number, number][] } | null };
  cursor: { value: Cursor | null };
  tick: { value: number };
}

// What takes pointer and keys.
function Surface(props: SurfaceProps) {
  const { p, box, view, drag, cursor, tick } = props;
  const now = useRef(props);
  now.current = props;
  const settle = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const drawnAt = useRef(0);
  const pinch = useRef(new Map<number, [number, number]>());
  const element = useRef<HTMLDivElement>(null);

  const moved = () => {
    view.paintSoon();
    tick.value++;
    // A quick picture is drawn anew at once. A slow one is moved, and drawn anew now and then: what moves it
    // needs the processor more.
    const now = performance.now();
    if (!view.look?.server && ((view.picture?.answer.ms ?? 0) < QUICK_MS || now - drawnAt.current > AGAIN_MS)) {
      drawnAt.current = now;
      view.render();
    }
    clearTimeout(settle.current);
    settle.current = setTimeout(() => {
      const e = view.ends;
      if (!e) return;
      const back = (log: boolean, v: number) => short(fromScaled({ log }, v));
      setQuery({ zoom: [...e.x.map((v) => back(p.xlog, v)), ...e.y.map((v) => back(p.ylog, v))].join(',') });
      view.render();
    }, SETTLE_MS);
  };
  const shift = (dx: number, dy: number) => {
    const e = view.ends;
    if (!e) return;
    const ux = ((e.x[1] - e.x[0]) * dx) / box.width;
    const uy = ((e.y[1] - e.y[0]) * dy) / box.height;
    view.ends = { x: [e.x[0] - ux, e.x[1] - ux], y: [e.y[0] + uy, e.y[1] + uy] };
    moved();
  };
  const zoom = (factor: number, px: number, py: number) => {
    const e = view.ends;
    if (!e) return;
    const cx = e.x[0] + ((e.x[1] - e.x[0]) * px) / box.width;
    const cy = e.y[1] - ((e.y[1] - e.y[0]) * py) / box.height;
    view.ends = { x: [cx - (cx - e.x[0]) * factor, cx + (e.x[1] - cx) * factor], y: [cy - (cy - e.y[0]) * factor, cy + (e.y[1] - cy) * factor] };
    moved();
  };
  useEffect(() => {
    const e = element.current!;
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const r = e.getBoundingClientRect();
      zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 400))), event.clientX - r.left, event.clientY - r.top);
    };
    e.addEventListener('wheel', wheel, { passive: false });
    return () => e.removeEventListener('wheel', wheel);
  });

  const place = (event: PointerEvent): [number, number] => {
    const r = element.current!.getBoundingClientRect();
    return [event.clientX - r.left, event.clientY - r.top];
  };
  const hovering = useRef(false);
  const hover = async (px: number, py: number, pin: boolean) => {
    const axes = view.axes();
    if (!axes || (hovering.current && !pin) || s.truncated.value) return;
    hovering.current = true;
    try {
      const n = await ask('near', { ...axes, sx: box.width, sy: box.height, px: px / box.width, py: 1 - py / box.height });
      const front = frontPoints(p.x, p.y).find((f) => n && f.trial === n.trial);
      if (n && n.distance < NEAR_PX) cursor.value = { trial: n.trial, x: front?.x ?? n.x, y: front?.y ?? n.y, place: front?.place, of: front?.of, pinned: pin };
      else if (!cursor.value?.pinned || pin) cursor.value = null;
      if (pin) setQuery({ trial: cursor.value ? String(cursor.value.trial) : null });
    } catch {
      cursor.value = null;
    }
    hovering.current = false;
  };

  const down = (event: PointerEvent) => {
    if (event.button > 1) return;
    element.current!.setPointerCapture(event.pointerId);
    pinch.current.set(event.pointerId, place(event));
    drag.value = { kind: event.button === 1 || event.altKey ? 'pan' : p.tool, points: [place(event)] };
  };
  const move = (event: PointerEvent) => {
    const here = place(event);
    const old = pinch.current.get(event.pointerId);
    if (!drag.value || !old) {
      if (!cursor.value?.pinned) void hover(here[0], here[1], false);
      return;
    }
    if (pinch.current.size === 2) {
      const other = [...pinch.current].find(([id]) => id !== event.pointerId)![1];
      const gap = (a: [number, number]) => Math.hypot(a[0] - other[0], a[1] - other[1]) || 1;
      zoom(gap(old) / gap(here), (here[0] + other[0]) / 2, (here[1] + other[1]) / 2);
      drag.value = { kind: 'pan', points: [here] };
    } else if (drag.value.kind === 'pan') {
      shift(here[0] - old[0], here[1] - old[1]);
      drag.value = { kind: 'pan', points: [drag.value.points[0], here] };
    } else {
      const points = drag.value.points;
      const last = points[points.length - 1];
      if (drag.value.kind === 'brush') drag.value = { kind: 'brush', points: [points[0], here] };
      else if (Math.hypot(here[0] - last[0], here[1] - last[1]) > 6) drag.value = { kind: 'lasso', points: [...points, here] };
    }
    pinch.current.set(event.pointerId, here);
  };
  const up = (event: PointerEvent) => {
    pinch.current.delete(event.pointerId);
    const d = drag.value;
    if (!d || pinch.current.size) return;
    drag.value = null;
    const a = d.points[0];
    const b = d.points[d.points.length - 1];
    const spread = d.kind === 'lasso' ? Math.max(...d.points.map((v) => Math.hypot(v[0] - a[0], v[1] - a[1]))) : Math.hypot(b[0] - a[0], b[1] - a[1]);
    if (spread < CLICK_PX) void hover(a[0], a[1], true);
    else if (d.kind === 'brush') brush(a, b);
    else if (d.kind === 'lasso') lasso(d.points);
  };
  const value = (k: 'x' | 'y', px: number) => {
    const e = view.ends!;
    const t = k === 'x' ? px / box.width : 1 - px / box.height;
    return fromScaled({ log: k === 'x' ? p.xlog : p.ylog }, e[k][0] + Math.min(1, Math.max(0, t)) * (e[k][1] - e[k][0]));
  };
  const brush = (a: [number, number], b: [number, number]) => {
    if (!view.ends) return;
    const others = filter.value.ranges.filter((r) => r.column !== p.x && r.column !== p.y);
    const rx = { column: p.x, lo: value('x', Math.min(a[0], b[0])), hi: value('x', Math.max(a[0], b[0])) };
    const ry = { column: p.y, lo: value('y', Math.max(a[1], b[1])), hi: value('y', Math.min(a[1], b[1])) };
    setQuery({ r: [...others, rx, ry].map(rangeText), lasso: null }, true);
  };
  const lasso = (points: [number, number][]) => {
    if (!view.ends || points.length < 3) return;
    const every = Math.ceil(points.length / 60);
    const l: Lasso = { x: p.x, y: p.y, xlog: p.xlog, ylog: p.ylog,
      points: points.filter((_, i) => i % every === 0).map(([a, b]) => [value('x', a), value('y', b)]) };
    const others = filter.value.ranges.filter((r) => r.column !== p.x && r.column !== p.y);
    setQuery({ lasso: lassoText(l), r: others.map(rangeText) }, true);
  };

  const key = (event: KeyboardEvent) => {
    const points = frontPoints(p.x, p.y);
    const i = cursor.value?.place ?? -1;
    const step: Record<string, number> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 };
    if (event.key in step && points.length && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const j = i < 0 ? (step[event.key] > 0 ? 0 : points.length - 1) : Math.min(points.length - 1, Math.max(0, i + step[event.key]));
      cursor.value = { ...points[j], pinned: true };
    } else if (event.key === 'Enter' && cursor.value) {
      location.hash = `#/sweeps/${encodeURIComponent(s.name.value)}/trials/${cursor.value.trial}`;
    } else if (event.key === 'Escape') {
      cursor.value = null;
      setQuery({ trial: null });
    } else if (event.key === '+' || event.key === '=' || event.key === '-') {
      zoom(event.key === '-' ? 1.25 : 0.8, box.width / 2, box.height / 2);
    } else if (event.key === '0') {
      setQuery({ zoom: null });
    } else {
      return;
    }
    event.preventDefault();
  };
  const c = cursor.value;
  const unit = (name: string) => s.column(name)?.unit ?? '';
  const said = c ? `${c.place !== undefined ? `front point ${c.place + 1} of ${c.of}` : `trial ${c.trial}`}: ${p.x} ${withUnit(c.x, unit(p.x))}, ${p.y} ${withUnit(c.y, unit(p.y))}` : '';
  return (
    <>
      <div ref={element} class={`surface ${p.tool}`} tabIndex={0} role="application" data-plot={p.id}
        aria-label={`Scatter plot of ${p.y} against ${p.x}. Arrow keys walk along the front, Enter opens a trial, plus and minus zoom, 0 shows all.`}
        style={{ left: `${box.left}px`, top: `${box.top}px`, width: `${box.width}px`, height: `${box.height}px` }}
        onPointerDown={down} onPointerMove={move} onPointerUp={up} onPointerCancel={up}
        onPointerLeave={() => { if (!cursor.value?.pinned && !drag.value) cursor.value = null; }}
        onDblClick={() => setQuery({ zoom: null })} onKeyDown={key} />
      <div class="unseen" role="status" aria-live="polite">{said}</div>
    </>
  );
}
