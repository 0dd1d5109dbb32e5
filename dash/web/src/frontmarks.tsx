// The front over a scatter: its staircase, its points, its knee.
import { fraction, type Box, type Scale } from './axis';
import { num } from './client';
import { front } from './sweepstate';
import { q } from './route';

export interface FrontPoint {
  trial: number;
  x: number;
  y: number;
  place: number;
  of: number;
}

// The front's trials in its own order, with their values of two of its objectives.
export function frontPoints(x: string, y: string): FrontPoint[] {
  const f = front.value;
  if (!f) return [];
  const k = f.objectives.length;
  const i = f.objectives.findIndex((o) => o.name === x);
  const j = f.objectives.findIndex((o) => o.name === y);
  if (i < 0 || j < 0) return [];
  return f.trials.map((trial, n) => ({ trial, x: num(f.values[n * k + i]), y: num(f.values[n * k + j]), place: n, of: f.trials.length }));
}

const MARKS_MAX = 400; // circles; the line has every point

interface Props {
  box: Box;
  x: Scale;
  y: Scale;
  xgoal: 'min' | 'max';
  ygoal: 'min' | 'max';
  small?: boolean;
}

export function FrontMarks({ box, x, y, xgoal, ygoal, small }: Props) {
  const f = front.value;
  const points = frontPoints(x.column, y.column);
  if (!f || !points.length) return null;
  const place = (p: FrontPoint) => [box.left + fraction(x, p.x) * box.width, box.top + (1 - fraction(y, p.y)) * box.height] as const;
  const placed = points.map((p) => ({ p, at: place(p) })).filter(({ at }) => Number.isFinite(at[0]) && Number.isFinite(at[1]));
  const two = f.objectives.length === 2;
  const line = two ? stairs([...placed].sort((a, b) => a.at[0] - b.at[0]).map((v) => v.at), xgoal) : '';
  const inside = placed.filter(({ at }) => at[0] >= -box.width && at[0] <= 2 * box.width && at[1] >= -box.height && at[1] <= 2 * box.height);
  const every = Math.max(1, Math.ceil(inside.length / MARKS_MAX));
  const knee = f.knee === null ? undefined : placed.find((v) => v.p.place === f.knee);
  // The word stands outside of the front, but within the plot.
  const left = knee ? (xgoal === 'min' ? knee.at[0] > box.left + 44 : knee.at[0] > box.left + box.width - 44) : false;
  const chosen = Number(q('trial') ?? NaN);
  const r = small ? 2.2 : inside.length > 100 ? 2.4 : 3.6;
  return (
    <g class="front">
      {line && <path class="front-line" d={line} />}
      {inside.filter((_, i) => i % every === 0).map(({ p, at }) => <circle key={p.trial} class="front-point" cx={at[0]} cy={at[1]} r={r} />)}
      {knee && (
        <g class="knee" transform={`translate(${knee.at[0].toFixed(1)},${knee.at[1].toFixed(1)})`}>
          <path d="M0,-7L7,0L0,7L-7,0Z" />
          {!small && <text x={left ? -11 : 11} y={ygoal === 'min' ? 17 : -9} text-anchor={left ? 'end' : 'start'}>knee</text>}
        </g>
      )}
      {placed.filter((v) => v.p.trial === chosen).map(({ at }) => <circle key="chosen" class="chosen" cx={at[0]} cy={at[1]} r={9} />)}
    </g>
  );
}

// The border of what the front dominates.
export function stairs(points: (readonly [number, number])[], xgoal: 'min' | 'max'): string {
  let d = '';
  points.forEach(([px, py], i) => {
    const a = px.toFixed(1);
    const b = py.toFixed(1);
    d += i === 0 ? `M${a},${b}` : xgoal === 'min' ? `H${a}V${b}` : `V${b}H${a}`;
  });
  return d;
}
