// The Pareto view: two columns against each other, the front, how it grew, and the rows behind it.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { getJson, num, sweepUrl, type History } from './client';
import { brief, group, withUnit } from './format';
import { anyFilter } from './filterbar';
import { LineChart } from './linechart';
import { dark } from './looks';
import { cssColour, countTable, valueTable } from './palette';
import { info, status } from './live';
import { filter, href, q, setQuery } from './route';
import { Scatter, type Tool } from './scatter';
import * as s from './sweepstate';
import { Table } from './table';
import { Empty, Notice, Segmented, Select, Toggle, TrialLink } from './ui';

export const columnOptions = (numericOnly: boolean, none?: string) => {
  const names: Record<string, string> = { param: 'Parameters', metric: 'Metrics', derived: 'Derived', system: 'Of the run' };
  const list = (numericOnly ? s.numeric.value : s.plottable.value).map((c) => ({ value: c.name, text: c.unit && c.unit !== c.name ? `${c.name}, ${c.unit}` : c.name, group: names[c.role] ?? 'Others' }));
  return none ? [{ value: '', text: none, group: '' }, ...list] : list;
};

export function Pareto() {
  const a = s.axes.value;
  const legend = useSignal<{ range: [number, number] | null; how: string; inside: number; rows: number; server: boolean; countMax: number } | null>(null);
  if (!a) return s.schema.value ? <Empty title="This sweep has no numbers to draw." /> : null;
  const tool = (q('tool') ?? 'brush') as Tool;
  const objectives = s.schema.value!.objectives.filter((o) => s.column(o.name)?.resident);
  const matrix = q('matrix') === '1' && objectives.length > 2;
  const logs = (q('mlog') ?? '').split(',').filter(Boolean);
  const none = s.counts.value.rows === 0 && (s.summary.value?.recorded ?? 0) === 0;
  return (
    <div class="pareto">
      <div class="plot-side">
        <div class="plot-tools">
          {!matrix && <Segmented label="What dragging does" value={tool} onChange={(v) => setQuery({ tool: v === 'brush' ? null : v })}
            options={[{ value: 'brush', text: 'Brush' }, { value: 'lasso', text: 'Lasso' }, { value: 'pan', text: 'Pan' }]} />}
          {q('zoom') && <button type="button" onClick={() => setQuery({ zoom: null }, true)}>Show all</button>}
          {objectives.length > 2 && <Toggle label="matrix of objectives" on={matrix} onChange={(on) => setQuery({ matrix: on ? '1' : null, zoom: null }, true)} />}
          {matrix && objectives.map((o) => <Toggle key={o.name} label={`log ${o.name}`} on={logs.includes(o.name)}
            onChange={(on) => setQuery({ mlog: (on ? [...logs, o.name] : logs.filter((n) => n !== o.name)).join(',') })} />)}
          <Toggle label="dominated trials" on={q('dominated') !== '0'} onChange={(on) => setQuery({ dominated: on ? null : '0' })} title="Show the trials that are not on the front" />
          {!matrix && <button type="button" class="quiet swap" onClick={swap}>⇄ swap axes</button>}
        </div>
        {none ? <Waiting /> : (
          <figure data-figure="scatter">
            {matrix ? <Matrix height={plotHeight()} names={objectives.map((o) => o.name)} logs={logs} /> : (
              <Scatter key="main" id="main" {...a} tool={tool} height={plotHeight()} onLegend={(l) => (legend.value = l)} />
            )}
            <figcaption>
              {!matrix && <Legend legend={legend.value} colour={a.colour} colourLog={a.colourLog} />}
              <p class="summary">{sentence(legend.value)}</p>
            </figcaption>
          </figure>
        )}
      </div>
      <aside class="side" aria-label="Axes and front">
        {!matrix && <AxisControls />}
        <FrontPanel />
        <Growth />
      </aside>
      {!none && <section class="below" aria-label="Trials"><Table height={tableHeight()} id="pareto-table" /></section>}
    </div>
  );
}

const plotHeight = () => (innerWidth < 640 ? Math.min(440, Math.max(340, innerWidth * 0.98)) : Math.min(660, Math.max(440, innerHeight - 330)));
const tableHeight = () => (innerWidth < 640 ? 360 : 330);

function AxisControls() {
  const a = s.axes.value!;
  const isText = (n: string) => s.column(n)?.type === 'text';
  const better = (k: 'x' | 'y') => (
    <button type="button" class="quiet" onClick={() => setQuery({ [`${k}goal`]: a[`${k}goal`] === 'min' ? 'max' : 'min' }, true)}
      aria-label={`${a[k]}: ${a[`${k}goal`] === 'min' ? 'lower' : 'higher'} is better; turn round`}>
      {a[`${k}goal`] === 'min' ? '↓ lower is better' : '↑ higher is better'}
    </button>
  );
  return (
    <div class="controls">
      {(['x', 'y'] as const).map((k) => (
        <div class="control" key={k}>
          <Select label={k === 'x' ? 'X axis' : 'Y axis'} value={a[k]} options={columnOptions(false)}
            onChange={(v) => setQuery({ [k]: v, [`${k}goal`]: null, [`${k}log`]: null, zoom: null }, true)} />
          {!isText(a[k]) && <div class="row">{better(k)}<Toggle label="log" on={a[`${k}log`]} onChange={(on) => setQuery({ [`${k}log`]: on ? '1' : null, zoom: null }, true)} /></div>}
        </div>
      ))}
      <div class="control">
        <Select label="Colour" value={a.colour} options={columnOptions(false, 'number of trials')} onChange={(v) => setQuery({ colour: v, colourlog: null }, true)} />
        {a.colour && !isText(a.colour) && <div class="row"><Toggle label="log" on={a.colourLog} onChange={(on) => setQuery({ colourlog: on ? '1' : null })} /></div>}
      </div>
      <div class="control">
        <Select label="Size" value={a.size} options={columnOptions(true, 'all the same')} onChange={(v) => setQuery({ size: v }, true)} />
        {a.size && (s.counts.value.rows > 30000) && <p class="hint">Sizes are drawn up to 30,000 points.</p>}
      </div>
    </div>
  );
}

function swap() {
  const a = s.axes.value!;
  setQuery({ x: a.y, y: a.x, xlog: a.ylog ? '1' : null, ylog: a.xlog ? '1' : null, xgoal: a.ygoal, ygoal: a.xgoal, zoom: null }, true);
}

// Says what it waits for, and what to do if that is not there.
function Waiting() {
  const state = s.summary.value?.state ?? 'running';
  const workers = status.value?.workers;
  return (
    <Empty title="No trial is recorded yet.">
      {state !== 'running' ? <p>This sweep is {state}.</p>
        : info.value?.live && workers === 0 ? <p>No worker is connected. Start one, here or on another machine: <code>skyline worker</code></p>
        : <p>Points appear here as workers return them.</p>}
      {(s.summary.value?.failed ?? 0) > 0 && <p><a href={href(['sweeps', s.name.value, 'failures'])}>{group(s.summary.value!.failed)} trials have failed</a></p>}
    </Empty>
  );
}

export function Legend({ legend, colour, colourLog }: { legend: { range: [number, number] | null; how: string; countMax: number } | null; colour: string; colourLog: boolean }) {
  const c = s.column(colour);
  const byCount = !legend?.range;
  if (!legend || (byCount && legend.how === 'points')) return null;
  const table = byCount ? countTable(dark.value) : valueTable(dark.value);
  const kinds = c?.type === 'text' && !byCount ? s.choices.value.get(colour) : undefined;
  if (c?.type === 'text' && !byCount) {
    if (!kinds || kinds.length > 12) return null;
    return (
      <ul class="legend plain" aria-label={`Colour: ${colour}`}>
        <li>{colour}</li>
        {kinds.map((kind, i) => <li key={kind}><span class="swatch" style={{ background: cssColour(table[Math.min(255, Math.floor((255 * i) / Math.max(1, kinds.length - 1)))]) }} /> {kind}</li>)}
      </ul>
    );
  }
  const stops = [0, 51, 102, 153, 204, 255].map((i) => cssColour(table[i])).join(', ');
  const say = (v: number) => (byCount ? group(v) : withUnit(v, c?.unit ?? '', 3));
  return (
    <div class="legend" aria-label={byCount ? 'Colour: trials in a pixel' : `Colour: ${colour}`} role="img">
      <span>{byCount ? 'trials in a pixel' : colour}{(byCount || colourLog) && ' (log)'}</span>
      <span class="number">{say(byCount ? 1 : legend.range![0])}</span>
      <span class="ramp" style={{ background: `linear-gradient(90deg, ${stops})` }} />
      <span class="number">{say(byCount ? legend.countMax : legend.range![1])}</span>
    </div>
  );
}

// What the figure shows, in words; for those who do not see it, and for honesty about how it is drawn.
function sentence(legend: { how: string; inside: number; rows: number; server: boolean } | null): string {
  const f = s.front.value;
  const parts: string[] = [];
  if (!legend && s.counts.value.shown) parts.push(`${group(s.counts.value.shown)} trials.`);
  if (legend) {
    const how = legend.how === 'points' ? (legend.rows === 1 ? 'drawn as a point' : 'each drawn as a point') : legend.how === 'gpu' ? 'drawn by the graphics card' : legend.server ? 'counted by the server' : 'counted in each pixel';
    const which = legend.server && filter.value.ranges.length > 0 ? 'in the brush' : 'in view';
    parts.push(legend.inside < legend.rows && legend.how !== 'gpu' ? `${group(legend.inside)} of ${group(legend.rows)} trials are ${which}, ${how}.` : `${group(legend.rows)} ${legend.rows === 1 ? 'trial' : 'trials'}, ${how}.`);
  }
  if (f && f.size) {
    parts.push(`${group(f.size)} ${f.size === 1 ? 'is' : 'are'} on the front${f.by_point ? ' of means over repeats' : ''}.`);
    if (f.infeasible) parts.push(`${group(f.infeasible)} break a constraint and are off it.`);
    if (f.without_value) parts.push(`${group(f.without_value)} have no value of an objective.`);
  }
  return parts.join(' ');
}

function FrontPanel() {
  const f = s.front.value;
  const a = s.axes.value!;
  if (s.frontError.value) return <Notice kind="bad">The front: {s.frontError.value}</Notice>;
  if (!f || !f.size) return null;
  const k = f.objectives.length;
  const shown = f.trials.slice(0, 200);
  const knee = f.knee;
  return (
    <section class="front-panel" aria-label="The front">
      <h2>Front <span class="muted">{group(f.size)}</span></h2>
      {knee !== null && f.trials[knee] !== undefined && <p class="hint">knee: <TrialLink sweep={s.name.value} trial={f.trials[knee]}>trial {f.trials[knee]}</TrialLink></p>}
      <div class="front-list" tabIndex={0} role="region" aria-label="Trials on the front">
        <table>
          <thead><tr><th scope="col">trial</th>{f.objectives.map((o) => <th scope="col" key={o.name} class="number">{o.name} <span aria-label={o.goal === 'min' ? 'lower is better' : 'higher is better'}>{o.goal === 'min' ? '↓' : '↑'}</span></th>)}</tr></thead>
          <tbody>
            {shown.map((trial, i) => (
              <tr key={trial} class={i === knee ? 'knee-row' : ''} aria-current={q('trial') === String(trial) ? 'true' : undefined}>
                <td><TrialLink sweep={s.name.value} trial={trial} /></td>
                {f.objectives.map((o, j) => <td key={o.name} class="number">{withUnit(num(f.values[i * k + j]), s.column(o.name)?.unit ?? '', 4)}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {f.size > shown.length && <p class="hint">The first {shown.length} of {group(f.size)}, in order of {a.x}.</p>}
      <div class="row">
        {f.trials.length > 0 && f.trials.length <= 400 && !anyFilter() && (
          <button type="button" class="quiet" onClick={() => setQuery({ where: `trial IN (${f.trials.join(', ')})` }, true)}>select the front</button>
        )}
      </div>
    </section>
  );
}

function Growth() {
  const history = useSignal<History | null>(null);
  const key = [s.name.value, s.objectivesText(), filter.value.feasible].join('\n');
  const size = s.front.value?.hypervolume;
  const rows = s.front.value?.rows ?? 0;
  useEffect(() => {
    const objectives = s.objectivesText();
    if (!objectives || !rows || s.frontBehind.value) return; // it is of all rows: nothing else would be answered meanwhile
    let gone = false;
    const timer = setTimeout(() => {
      const query = new URLSearchParams({ objectives, points: '160' });
      if (!filter.value.feasible && s.schema.value?.constraints.length) query.set('infeasible', '1');
      getJson<History>(sweepUrl(s.name.value, `/history?${query}`)).then((h) => !gone && (history.value = h), () => 0);
    }, history.value ? 1500 : 150);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [key, s.frontBehind.value, Math.floor(rows / Math.max(1, rows > 20000 ? 10000 : 50)), size]);
  const h = history.value;
  const known = h ? h.hypervolume.map((v, i) => ({ v, row: h.rows[i] })).filter((k): k is { v: number; row: number } => k.v !== null) : [];
  const final = known[known.length - 1]?.v;
  if (!h || known.length < 2) return null;
  return (
    <section class="growth" aria-label="Growth of the front">
      <h2>Hypervolume <span class="muted">{final === undefined ? '' : brief(final)}</span></h2>
      <LineChart label={`Hypervolume of the front over ${group(h.rows[h.rows.length - 1])} trials`} height={160}
        series={[{ name: 'hypervolume', x: known.map((k) => k.row), y: known.map((k) => k.v), steps: true }]} x={{ column: 'trials recorded', log: h.rows[h.rows.length - 1] > 5000 }} y={{ column: 'dominated volume', zero: true }} />
    </section>
  );
}

// Each pair of the objectives as the lower half of a matrix, so that a column shares its horizontal axis; the
// front is of all of them together.
function Matrix({ names, logs, height }: { names: string[]; logs: string[]; height: number }) {
  const list = names.slice(0, 5);
  const side = list.length - 1;
  const one = innerWidth < 640;
  const panel = one ? 280 : Math.max(230, Math.floor(height / side));
  return (
    <div class="matrix" style={{ gridTemplateColumns: `repeat(${one ? 1 : side}, minmax(0, 1fr))` }}>
      {list.flatMap((y, i) => list.slice(0, i).map((x, j) => (
        <div key={`${x}/${y}`} style={one ? {} : { gridColumn: j + 1, gridRow: i }}>
          <Scatter id={`m-${j}-${i}`} small x={x} y={y} xlog={logs.includes(x)} ylog={logs.includes(y)} xgoal={s.goalOf(x)} ygoal={s.goalOf(y)}
            colour={s.axes.value!.colour} colourLog={s.axes.value!.colourLog} size="" tool="brush" height={panel} />
        </div>
      )))}
    </div>
  );
}
