// Axes: where values fall, which ticks there are and what they say.
import { scaleLinear, scaleLog } from 'd3-scale';
import { axisPrefix, axisTitle, plain, superscript } from './format';

export interface Scale {
  column: string;
  unit: string;
  log: boolean;
  texts?: string[];
  lo: number; // on a log axis the logarithms of the ends
  hi: number;
  only?: number; // the one value that there is, where an axis shows nothing else
}

export const toScaled = (s: { log: boolean }, v: number) => (s.log ? Math.log10(v) : v);
export const fromScaled = (s: { log: boolean }, u: number) => (s.log ? 10 ** u : u);
export const fraction = (s: Scale, v: number) => (toScaled(s, v) - s.lo) / (s.hi - s.lo);

// An axis over values from lo to hi, with some room at the ends.
export function niceEnds(lo: number, hi: number, log: boolean, text: boolean): [number, number] {
  if (!(hi >= lo)) return log ? [0, 1] : [0, 1];
  if (text) return [lo - 0.5, hi + 0.5];
  const a = log ? Math.log10(lo) : lo;
  const b = log ? Math.log10(hi) : hi;
  if (a === b) {
    const room = log ? 0.5 : Math.abs(a) * 0.1 || 1;
    return [a - room, b + room];
  }
  return [a - 0.045 * (b - a), b + 0.045 * (b - a)];
}

export interface Tick {
  at: number; // 0 to 1 along the axis
  label: string;
}

export function ticksOf(s: Scale, room: number): { ticks: Tick[]; title: string } {
  const at = (v: number) => fraction(s, v);
  if (s.texts?.length) {
    const every = Math.max(1, Math.ceil(s.texts.length / Math.max(1, room)));
    const ticks = s.texts.map((label, i) => ({ at: at(i), label: label.length > 16 ? `${label.slice(0, 15)}…` : label }));
    return { ticks: ticks.filter((t, i) => i % every === 0 && t.at >= 0 && t.at <= 1), title: s.column };
  }
  if (s.only !== undefined) return { ticks: [{ at: 0.5, label: plain(s.only, 5) }], title: axisTitle(s.column, s.unit, [1, '']) };
  if (s.log) {
    const lo = 10 ** s.lo;
    const hi = 10 ** s.hi;
    const prefix = axisPrefix(lo, hi, s.unit);
    const f = prefix[0];
    const scale = scaleLog().domain([lo / f, hi / f]);
    const decades = s.hi - s.lo;
    const values = scale.ticks(room).filter((v) => {
      const lead = v / 10 ** Math.floor(Math.log10(v) + 1e-9);
      return decades < 1 || Math.abs(lead - 1) < 1e-6 || (decades < 2.5 && (Math.abs(lead - 2) < 1e-6 || Math.abs(lead - 5) < 1e-6));
    });
    const every = Math.max(1, Math.ceil(values.length / (room + 1)));
    const ticks = values.filter((_, i) => i % every === 0).map((v) => {
      const e = Math.round(Math.log10(v));
      const power = Math.abs(v / 10 ** e - 1) < 1e-9 && Math.abs(e) > 3;
      return { at: at(v * f), label: power ? `10${superscript(e)}` : plain(v, 3) };
    });
    return { ticks, title: axisTitle(s.column, s.unit, prefix) };
  }
  const prefix = axisPrefix(s.lo, s.hi, s.unit);
  const scale = scaleLinear().domain([s.lo / prefix[0], s.hi / prefix[0]]);
  const format = scale.tickFormat(room);
  const ticks = scale.ticks(room).map((v) => ({ at: at(v * prefix[0]), label: tidy(format(v), v) }));
  return { ticks, title: axisTitle(s.column, s.unit, prefix) };
}

const tidy = (text: string, v: number) => (Math.abs(v) >= 1e6 ? plain(v, 4) : text.replace(/,/g, ' '));

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

const ticksIn = (box: Box, x: Scale, y: Scale) => ({
  tx: ticksOf(x, Math.max(2, Math.floor(box.width / (x.texts?.length ? 110 : 90)))),
  ty: ticksOf(y, Math.max(2, Math.floor(box.height / 46))),
});

// Hairlines: they lie below the points.
export function GridLines({ box, x, y }: { box: Box; x: Scale; y: Scale }) {
  const { tx, ty } = ticksIn(box, x, y);
  const { left, top, width, height } = box;
  return (
    <g>
      {ty.ticks.map((t) => <line key={`y${t.label}`} class="rule" x1={left} x2={left + width} y1={top + (1 - t.at) * height} y2={top + (1 - t.at) * height} />)}
      {tx.ticks.map((t) => <line key={`x${t.label}`} class="rule" x1={left + t.at * width} x2={left + t.at * width} y1={top} y2={top + height} />)}
    </g>
  );
}

// Ticks and titles around a plot.
export function Axes({ box, x, y, xgoal, ygoal, small }: { box: Box; x: Scale; y: Scale; xgoal?: string; ygoal?: string; small?: boolean }) {
  const { tx, ty } = ticksIn(box, x, y);
  const { left, top, width, height } = box;
  const arrow = (goal: string | undefined, lower: string, higher: string) =>
    goal === 'min' ? `  ${lower} lower is better` : goal === 'max' ? `  ${higher} higher is better` : '';
  return (
    <g class="axes">
      {ty.ticks.map((t) => {
        const at = top + (1 - t.at) * height;
        return (
          <text key={`y${t.label}`} class="tick" x={left - 8} y={at + 4} text-anchor="end">{t.label}</text>
        );
      })}
      {tx.ticks.map((t) => {
        const at = left + t.at * width;
        return (
          <text key={`x${t.label}`} class="tick" x={at} y={top + height + 18} text-anchor="middle">{t.label}</text>
        );
      })}
      <line class="base" x1={left} x2={left + width} y1={top + height} y2={top + height} />
      <line class="base" x1={left} x2={left} y1={top} y2={top + height} />
      <text class="title" x={left + width} y={top + height + (small ? 34 : 40)} text-anchor="end">
        <tspan class="name">{tx.title}</tspan>
        <tspan class="goal">{arrow(xgoal, '←', '→')}</tspan>
      </text>
      <text class="title" x={small ? left : 2} y={top - 12} text-anchor="start">
        <tspan class="name">{ty.title}</tspan>
        <tspan class="goal">{arrow(ygoal, '↓', '↑')}</tspan>
      </text>
    </g>
  );
}
