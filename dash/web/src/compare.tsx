// Fronts of several sweeps over the same two columns, with one reference point.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { Axes, GridLines, fraction, niceEnds, type Box, type Scale } from './axis';
import { getJson, num, sweepUrl, type Comparison, type Schema } from './client';
import { brief, group, percent, plain } from './format';
import { stairs } from './frontmarks';
import { sweeps } from './live';
import { href, q, route, setQuery } from './route';
import { Empty, Notice, Select, Toggle, useWidth } from './ui';

const MOST = 8;

export function Compare() {
  const data = useSignal<Comparison | null>(null);
  const schemas = useSignal<Schema[]>([]);
  const error = useSignal('');
  const chosen = route.value.query.getAll('s').slice(0, MOST);
  const key = chosen.join('\n');
  useEffect(() => {
    let gone = false;
    schemas.value = [];
    Promise.all(chosen.map((n) => getJson<Schema>(sweepUrl(n)))).then((v) => !gone && (schemas.value = v), (e) => !gone && (error.value = e.message));
    return () => { gone = true; };
  }, [key]);
  const common = schemas.value.length ? schemas.value[0].columns.filter((c) => c.type !== 'text' && c.resident && schemas.value.every((v) => v.columns.some((d) => d.name === c.name && d.type !== 'text' && d.resident))) : [];
  const first = schemas.value[0]?.objectives.map((o) => o.name).filter((n) => common.some((c) => c.name === n)) ?? [];
  const defaults = [...new Set([...first, ...common.filter((c) => c.role !== 'param').map((c) => c.name)])];
  const x = q('x') ?? defaults[0] ?? '';
  const y = q('y') ?? defaults.find((n) => n !== x) ?? '';
  const goal = (n: string, k: string) => q(k) ?? schemas.value[0]?.objectives.find((o) => o.name === n)?.goal ?? (common.find((c) => c.name === n)?.goal === 'max' ? 'max' : 'min');
  const rows = (sweeps.value ?? []).filter((v) => chosen.includes(v.name)).map((v) => Math.floor(Math.log2(v.recorded + 1) * 4)).join();
  useEffect(() => {
    data.value = chosen.length < 2 ? null : data.value;
    if (chosen.length < 2 || !x || !y || schemas.value.length !== chosen.length) return;
    let gone = false;
    const query = new URLSearchParams({ sweeps: chosen.map((n) => (n.includes(',') ? encodeURIComponent(n) : n)).join(','), objectives: `${x}:${goal(x, 'xgoal')},${y}:${goal(y, 'ygoal')}` });
    getJson<Comparison>(`/api/v1/compare?${query}`).then((v) => { if (!gone) { data.value = v; error.value = ''; } }, (e) => { if (!gone) { data.value = null; error.value = e.message; } });
    return () => { gone = true; };
  }, [key, x, y, q('xgoal'), q('ygoal'), rows, schemas.value]);
  const set = (name: string, on: boolean) => setQuery({ s: on ? [...chosen, name] : chosen.filter((n) => n !== name) }, true);
  const options = common.map((c) => ({ value: c.name, text: c.unit && c.unit !== c.name ? `${c.name}, ${c.unit}` : c.name }));
  const v = data.value;
  return (
    <div class="compare">
      <h1 tabIndex={-1}>Compare</h1>
      {(sweeps.value ?? []).length > 0 && <fieldset class="pick"><legend>Sweeps</legend>
        {(sweeps.value ?? []).map((w) => <Toggle key={w.id} label={w.name} on={chosen.includes(w.name)} onChange={(on) => set(w.name, on)} />)}
      </fieldset>}
      {chosen.length < 2 && <Empty title={(sweeps.value ?? []).length < 2 ? 'There are not two sweeps to compare yet.' : 'Choose two sweeps or more.'}><p>Their fronts are drawn over the same two columns.</p></Empty>}
      {error.value && chosen.length > 1 && <Notice kind="bad">{error.value}</Notice>}
      {chosen.length > 1 && schemas.value.length === chosen.length && (common.length < 2 ? <Empty title="These sweeps have fewer than two columns in common." /> : (
        <div class="plot-tools">
          <Select label="X axis" value={x} options={options} onChange={(n) => setQuery({ x: n, xgoal: null, xlog: null }, true)} />
          <Toggle label="log" on={q('xlog') === '1'} onChange={(on) => setQuery({ xlog: on ? '1' : null })} />
          <Select label="Y axis" value={y} options={options} onChange={(n) => setQuery({ y: n, ygoal: null, ylog: null }, true)} />
          <Toggle label="log" on={q('ylog') === '1'} onChange={(on) => setQuery({ ylog: on ? '1' : null })} />
        </div>
      ))}
      {v && v.sweeps.length === chosen.length && <><Fronts v={v} units={common.map((c) => [c.name, c.unit])} /><Figures v={v} /></>}
    </div>
  );
}

const SHAPES = ['M0,-4.5A4.5,4.5 0 1,1 0,4.5A4.5,4.5 0 1,1 0,-4.5Z', 'M-4,-4H4V4H-4Z', 'M0,-5.5L5.5,4.5H-5.5Z', 'M0,-5.5L5.5,0L0,5.5L-5.5,0Z', 'M-5.5,-4.5H5.5L0,5.5Z', 'M-5,-1.5H-1.5V-5H1.5V-1.5H5V1.5H1.5V5H-1.5V1.5H-5Z'];

function Fronts({ v, units }: { v: Comparison; units: [string, string][] }) {
  const [ref, width] = useWidth();
  const height = innerWidth < 640 ? 380 : 480;
  const box: Box = { left: width < 500 ? 50 : 64, top: 32, width: Math.max(10, width - (width < 500 ? 60 : 80)), height: height - 84 };
  const scale = (j: number, log: boolean): Scale => {
    const values = v.sweeps.flatMap((w) => w.values.filter((_, i) => i % 2 === j).map(num)).filter((z) => Number.isFinite(z) && (!log || z > 0));
    const [lo, hi] = niceEnds(values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity), log, false);
    return { column: v.objectives[j].name, unit: units.find((u) => u[0] === v.objectives[j].name)?.[1] ?? '', log, lo, hi };
  };
  const x = scale(0, q('xlog') === '1');
  const y = scale(1, q('ylog') === '1');
  return (
    <figure data-figure="compare">
      <div class="scatter" ref={ref} style={{ height: `${height}px` }}>
        {width > 0 && (
          <svg class="figure over" width={width} height={height} role="img" aria-label={`Fronts of ${v.sweeps.map((w) => w.name).join(', ')}`}>
            <GridLines box={box} x={x} y={y} />
            <Axes box={box} x={x} y={y} xgoal={v.objectives[0].goal} ygoal={v.objectives[1].goal} />
            {v.sweeps.map((w, k) => {
              const points = w.trials.map((trial, i) => ({ trial, on: w.on_joint[i], at: [box.left + fraction(x, num(w.values[2 * i])) * box.width, box.top + (1 - fraction(y, num(w.values[2 * i + 1]))) * box.height] as const }))
                .filter((p) => p.at.every(Number.isFinite)).sort((a, b) => a.at[0] - b.at[0]);
              const every = Math.max(1, Math.ceil(points.length / 250));
              return (
                <g key={w.name} class={`series s${k % 8}`}>
                  <path class="line" d={stairs(points.map((p) => p.at), v.objectives[0].goal)} />
                  {points.filter((_, i) => i % every === 0).map((p) => <path key={p.trial} class={p.on ? 'mark' : 'mark hollow'} d={SHAPES[k % SHAPES.length]} transform={`translate(${p.at[0].toFixed(1)},${p.at[1].toFixed(1)})`}><title>{`${w.name}, trial ${p.trial}`}</title></path>)}
                </g>
              );
            })}
          </svg>
        )}
      </div>
      <figcaption><p class="summary">Filled marks are on the front of all sweeps together, hollow ones are dominated by another sweep.</p></figcaption>
    </figure>
  );
}

function Figures({ v }: { v: Comparison }) {
  return (
    <div class="scroll-x" tabIndex={0} role="region" aria-label="Figures of the fronts">
      <table class="list">
        <thead><tr><th scope="col">sweep</th><th scope="col" class="number">trials</th><th scope="col" class="number">front</th><th scope="col" class="number">on the joint front</th><th scope="col" class="number">hypervolume</th>{v.sweeps.map((w) => <th scope="col" class="number" key={w.name}>dominates {w.name}</th>)}</tr></thead>
        <tbody>
          {v.sweeps.map((w, k) => (
            <tr key={w.name}>
              <td><svg class={`key series s${k % 8}`} width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true"><path class="mark" d={SHAPES[k % SHAPES.length]} /></svg> <a href={href(['sweeps', w.name, 'front'])}>{w.name}</a></td>
              <td class="number">{group(w.rows)}</td><td class="number">{group(w.size)}</td><td class="number">{group(w.joint)}</td><td class="number">{brief(w.hypervolume)}</td>
              {v.sweeps.map((o, j) => <td class="number" key={o.name}>{j === k ? '–' : percent(w.coverage[j] ?? 0)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
      <p class="hint">A sweep dominates as much of another as the part of the other&rsquo;s front that a point of its own is better than. Hypervolumes are to one reference point, {v.objectives.map((o, j) => `${o.name} ${plain(v.reference[j], 4)}`).join(', ')}; all fronts together reach {brief(v.hypervolume)}.</p>
    </div>
  );
}
