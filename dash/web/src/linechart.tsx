// A small chart of lines: curves, growth, rates. Drawn as SVG, so it is exported as it is seen.
import { useMemo } from 'preact/hooks';
import { Axes, GridLines, niceEnds, toScaled, type Scale } from './axis';
import { useWidth } from './ui';

export interface Series {
  name: string;
  x: number[];
  y: number[];
  low?: number[]; // a band around it
  high?: number[];
  colour?: string;
  dots?: boolean;
  steps?: boolean;
}

interface Props {
  label: string;
  series: Series[];
  x: { column: string; unit?: string; log?: boolean; texts?: string[]; choices?: number[] };
  y: { column: string; unit?: string; log?: boolean; zero?: boolean; range?: [number, number] }; // range: the same for several charts
  height?: number;
}

const MARKS_MAX = 1500; // of a line: more are not seen at this size

export function LineChart({ label, series, x, y, height = 200 }: Props) {
  const [ref, width] = useWidth();
  const box = { left: 56, top: 30, width: Math.max(40, width - 68), height: height - 76 };
  const { sx, sy } = useMemo(() => {
    const usable = (log?: boolean) => (v: number) => Number.isFinite(v) && (!log || v > 0);
    const xs = series.flatMap((s) => s.x).filter(usable(x.log));
    const ys = series.flatMap((s) => [...s.y, ...(s.low ?? []), ...(s.high ?? [])]).filter(usable(y.log));
    const least = (v: number[]) => v.reduce((a, b) => Math.min(a, b), Infinity);
    const most = (v: number[]) => v.reduce((a, b) => Math.max(a, b), -Infinity);
    const [xlo, xhi] = x.texts ? niceEnds(least(xs), most(xs), false, true) : ends(least(xs), most(xs), x.log);
    const [ylo, yhi] = y.range ? niceEnds(y.range[0], y.range[1], !!y.log, false) : niceEnds(y.zero ? Math.min(0, least(ys)) : least(ys), most(ys), !!y.log, false);
    const make = (a: Props['x'], lo: number, hi: number): Scale => ({ column: a.column, unit: a.unit ?? '', log: !!a.log, texts: a.texts, choices: a.choices, lo, hi });
    return { sx: make(x, xlo, xhi), sy: make(y, y.zero && ylo < 0 && least(ys) >= 0 ? 0 : ylo, yhi) };
  }, [series, x.log, y.log, x.column, y.column, x.choices, y.range?.join()]);
  const px = (v: number) => box.left + (box.width * (toScaled(sx, v) - sx.lo)) / (sx.hi - sx.lo);
  const py = (v: number) => box.top + box.height - (box.height * (toScaled(sy, v) - sy.lo)) / (sy.hi - sy.lo);
  return (
    <div ref={ref} class="linechart">
      {width > 0 && (
        <svg class="figure" width={width} height={height} role="img" aria-label={label}>
          <GridLines box={box} x={sx} y={sy} />
          <Axes box={box} x={sx} y={sy} small />
          {series.map((s, k) => {
            const every = Math.max(1, Math.floor(s.x.length / MARKS_MAX));
            const keep = s.x.map((_, i) => i).filter((i) => (i % every === 0 || i === s.x.length - 1) && Number.isFinite(s.y[i]));
            const line = keep.map((i, j) =>
              j === 0 ? `M${px(s.x[i]).toFixed(1)},${py(s.y[i]).toFixed(1)}`
                : s.steps ? `H${px(s.x[i]).toFixed(1)}V${py(s.y[i]).toFixed(1)}` : `L${px(s.x[i]).toFixed(1)},${py(s.y[i]).toFixed(1)}`);
            const band = s.low && s.high && keep.length > 1
              ? `M${keep.map((i) => `${px(s.x[i]).toFixed(1)},${py(s.high![i]).toFixed(1)}`).join('L')}L${[...keep].reverse()
                  .map((i) => `${px(s.x[i]).toFixed(1)},${py(s.low![i]).toFixed(1)}`).join('L')}Z`
              : '';
            return (
              <g key={s.name} class={`series s${k % 8}`}>
                {band && <path class="band" d={band} />}
                <path class="line" d={line.join('')} />
                {(s.dots || keep.length === 1) && keep.map((i) => <circle class="dot" key={i} cx={px(s.x[i])} cy={py(s.y[i])} r={2.5} />)}
              </g>
            );
          })}
        </svg>
      )}
    </div>
  );
}

function ends(lo: number, hi: number, log?: boolean): [number, number] {
  if (!(hi > lo)) return niceEnds(lo, hi, !!log, false);
  return log ? [Math.log10(lo), Math.log10(hi)] : [lo, hi];
}
