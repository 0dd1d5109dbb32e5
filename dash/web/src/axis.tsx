// Axes: where values fall, which ticks there are and what they say.
import { scaleLinear, scaleLog } from 'd3-scale';
import { axisPrefix, axisTitle, counted, plain, superscript } from './format';

export interface Scale {
  column: string;
  unit: string;
  log: boolean;
  texts?: string[];
  lo: number; // on a log axis the logarithms of the ends
  hi: number;
  only?: number; // the one value that there is, where an axis shows nothing else
  choices?: number[]; // the few values that there are: ticks stand at them
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

interface Ticks {
  ticks: Tick[];
  minor?: number[]; // on a log axis: the multiples between decades
  title: string;
}

const CHOICES_MAX = 9;

// Ticks at the values that there are, where they are few and none would touch another.
function ticksAtChoices(s: Scale, room: number): Tick[] | null {
  const { choices, unit } = s;
  if (!choices || choices.length < 2 || choices.length > CHOICES_MAX) return null;
  const f = axisPrefix(choices[0], choices[choices.length - 1], unit)[0];
  const ticks = choices.map((v) => ({ at: fraction(s, v), label: plain(v / f, 4) })).filter((t) => t.at >= 0 && t.at <= 1);
  const close = ticks.some((t, i) => i > 0 && Math.abs(t.at - ticks[i - 1].at) < 0.5 / room);
  return ticks.length < 2 || close || choices.some((v) => !Number.isFinite(v)) ? null : ticks;
}

// The multiples 2 to 9 of each power of ten within the axis.
function multiples(s: Scale): number[] {
  const at: number[] = [];
  if (s.hi - s.lo > 9) return at;
  for (let e = Math.floor(s.lo); e <= s.hi; e++)
    for (let m = 2; m < 10; m++) {
      const t = (e + Math.log10(m) - s.lo) / (s.hi - s.lo);
      if (t >= 0 && t <= 1) at.push(t);
    }
  return at;
}

function ticksOfLog(s: Scale, room: number): Ticks {
  const decades = s.hi - s.lo;
  // Over many decades powers of the unit itself are easier to read than parts of a multiple of it.
  const prefix: [number, string] = decades > 3 || counted(s.unit) ? [1, ''] : axisPrefix(10 ** s.lo, 10 ** s.hi, s.unit);
  const f = prefix[0];
  const values = scaleLog().domain([10 ** s.lo / f, 10 ** s.hi / f]).ticks(room).filter((v) => {
    const lead = v / 10 ** Math.floor(Math.log10(v) + 1e-9);
    return decades < 1 || Math.abs(lead - 1) < 1e-6 || (decades < 2.5 && (Math.abs(lead - 2) < 1e-6 || Math.abs(lead - 5) < 1e-6));
  });
  const every = Math.max(1, Math.ceil(values.length / (room + 1)));
  const shown = values.filter((_, i) => i % every === 0);
  // One way of writing for all of them.
  const power = decades >= 1 && shown.some((v) => Math.abs(Math.log10(v)) > 3.5) && shown.every((v) => Math.abs(v / 10 ** Math.round(Math.log10(v)) - 1) < 1e-9);
  const ticks = shown.map((v) => ({ at: fraction(s, v * f), label: power ? `10${superscript(Math.round(Math.log10(v)))}` : plain(v, 3) }));
  return { ticks, minor: multiples(s), title: axisTitle(s.column, s.unit, prefix) };
}

export function ticksOf(s: Scale, room: number): Ticks {
  const at = (v: number) => fraction(s, v);
  if (s.texts?.length) {
    const every = Math.max(1, Math.ceil(s.texts.length / Math.max(1, room)));
    const ticks = s.texts.map((label, i) => ({ at: at(i), label: label.length > 16 ? `${label.slice(0, 15)}…` : label }));
    return { ticks: ticks.filter((t, i) => i % every === 0 && t.at >= 0 && t.at <= 1), title: s.column };
  }
  if (s.only !== undefined) {
    const t = at(s.only);
    return { ticks: t >= 0 && t <= 1 ? [{ at: t, label: plain(s.only, 5) }] : [], title: axisTitle(s.column, s.unit, [1, '']) };
  }
  const few = ticksAtChoices(s, room);
  if (few) return { ticks: few, title: axisTitle(s.column, s.unit, axisPrefix(s.choices![0], s.choices![s.choices!.length - 1], s.unit)) };
  if (s.log) return ticksOfLog(s, room);
  const prefix = axisPrefix(s.lo, s.hi, s.unit);
  const scale = scaleLinear().domain([s.lo / prefix[0], s.hi / prefix[0]]);
  const format = scale.tickFormat(room);
  const ticks = scale.ticks(room).map((v) => ({ at: at(v * prefix[0]), label: tidy(format(v), v) }));
  return { ticks, title: axisTitle(s.column, s.unit, prefix) };
}

const tidy = (text: string, v: number) => (Math.abs(v) >= 1e6 ? plain(v, 4) : text);

export interface Box {
  left: number;
  top: number;
  width: number;
  height: number;
}

const LABEL_PX = 6.6; // of a tick's letter, about

const across = (box: Box, x: Scale) => {
  if (!x.texts?.length) return Math.min(11, Math.max(3, Math.floor(box.width / 84)));
  const longest = x.texts.reduce((n, t) => Math.max(n, Math.min(16, t.length)), 1);
  return Math.max(1, Math.floor(box.width / (longest * LABEL_PX + 14)));
};

const ticksIn = (box: Box, x: Scale, y: Scale) => ({
  tx: ticksOf(x, across(box, x)),
  ty: ticksOf(y, Math.min(9, Math.max(3, Math.floor(box.height / 46)))),
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
      {tx.minor && <path class="base" d={tx.minor.map((t) => `M${(left + t * width).toFixed(1)},${top + height}v4`).join('')} />}
      {ty.minor && <path class="base" d={ty.minor.map((t) => `M${left},${(top + (1 - t) * height).toFixed(1)}h-4`).join('')} />}
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
