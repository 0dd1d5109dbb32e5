// Which parameters matter, and how: shares of variance and slices, both computed by the server.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { getJson, sweepUrl, type Importance as Shares, type Slice } from './client';
import { group, percent } from './format';
import { LineChart } from './linechart';
import { columnOptions } from './pareto';
import { filter, q, setQuery } from './route';
import * as s from './sweepstate';
import { Empty, Notice, Select, Toggle } from './ui';

const SLICES_MAX = 12;
const AGAIN_MS = 3000; // while results come

export function Importance() {
  const shares = useSignal<Shares | null>(null);
  const slices = useSignal<Slice[]>([]);
  const error = useSignal('');
  const choices = columnOptions(true).filter((c) => s.column(c.value)?.role !== 'param');
  const metric = q('metric') ?? s.schema.value?.objectives[0]?.name ?? choices[0]?.value ?? '';
  const rows = s.summary.value?.recorded ?? 0;
  const feasible = filter.value.feasible;
  useEffect(() => {
    if (!metric || !s.schema.value) return;
    let gone = false;
    const load = async () => {
      try {
        const answer = await getJson<Shares>(sweepUrl(s.name.value, `/importance?${new URLSearchParams({ metric })}`));
        if (gone) return;
        const list: Slice[] = [];
        for (const p of answer.parameters.filter((v) => !s.constant.value.has(v.name)).slice(0, SLICES_MAX)) {
          const query = new URLSearchParams({ x: p.name, y: metric, bins: '24' });
          if (feasible) query.set('feasible', '1');
          list.push(await getJson<Slice>(sweepUrl(s.name.value, `/slice?${query}`)));
          if (gone) return;
        }
        shares.value = answer;
        slices.value = list;
        error.value = '';
      } catch (e) {
        if (!gone) error.value = (e as Error).message;
      }
    };
    const timer = setTimeout(load, shares.value?.metric === metric ? AGAIN_MS : 0);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [metric, s.name.value, s.schema.value, s.constant.value, feasible, Math.floor(Math.log2(rows + 1) * 8)]);
  const shown = shares.value;
  if (!metric) return <Empty title="This sweep has no metric." />;
  const drawn = slices.value.filter((v) => v.y === metric && v.bins.length > 1); // of one value there is no line
  const bins = drawn.flatMap((v) => v.bins);
  const range: [number, number] = [Math.min(...bins.map((b) => b.q25)), Math.max(...bins.map((b) => b.q75))];
  const most = Math.max(1e-9, ...(shown?.parameters ?? []).map((p) => p.share));
  return (
    <div class="importance">
      <div class="plot-tools">
        <Select label="Metric" value={metric} options={choices} onChange={(v) => setQuery({ metric: v }, true)} />
        {!!s.schema.value?.constraints.length && <Toggle label="slices of feasible trials only" on={feasible} onChange={(on) => setQuery({ feasible: on ? '1' : null })} />}
      </div>
      {error.value && <Notice kind="bad">{error.value}</Notice>}
      {shown && (shown.n < 3 ? <Empty title="Too few trials to say what matters."><p>Three or more with a value of {metric} are needed.</p></Empty> : (
        <>
          <h2>What explains {metric}</h2>
          <p class="hint">The share of its variance that each parameter explains alone (ω², one-way, over {group(shown.n)} trials). What parameters explain only together is not in it.</p>
          <ol class="shares">
            {shown.parameters.filter((p) => !s.constant.value.has(p.name)).map((p) => (
              <li key={p.name}>
                <span class="share-name">{p.name}</span>
                <span class="share-bar"><span style={{ width: `${(100 * p.share) / most}%` }} /></span>
                <span class="number">{percent(p.share, 1)}</span>
              </li>
            ))}
          </ol>
          <h2>Slices</h2>
          <p class="hint">The median of {metric} along each parameter, all others as they come; the band holds the middle half. All have the same vertical axis.</p>
          <div class="slices">{drawn.map((v) => <SliceChart key={v.x} slice={v} range={range} />)}</div>
        </>
      ))}
    </div>
  );
}

function SliceChart({ slice, range }: { slice: Slice; range: [number, number] }) {
  const texts = slice.bins[0].text !== null ? slice.bins.map((b) => b.text ?? '') : undefined;
  const x = texts ? texts.map((_, i) => i) : slice.bins.map((b) => ((b.low ?? 0) + (b.high ?? 0)) / 2);
  return (
    <LineChart label={`${slice.y} along ${slice.x}, ${slice.bins.length} bins`} height={216}
      series={[{ name: slice.x, x, y: slice.bins.map((b) => b.median), low: slice.bins.map((b) => b.q25), high: slice.bins.map((b) => b.q75), dots: slice.bins.length <= 24 }]}
      x={{ column: slice.x, unit: s.column(slice.x)?.unit, texts, choices: texts ? undefined : s.numbersOf(slice.x) }} y={{ column: slice.y, unit: s.column(slice.y)?.unit, range }} />
  );
}
