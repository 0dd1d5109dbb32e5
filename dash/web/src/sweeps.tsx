// The list of sweeps, live.
import type { SweepSummary } from './client';
import { ago, duration, group, percent, rate } from './format';
import { info, status, sweeps } from './live';
import { href } from './route';
import { Bar, Empty, State } from './ui';

export const settled = (s: SweepSummary) => s.recorded + s.holes + s.failed;
export const share = (s: SweepSummary) => (s.positions > 0 ? settled(s) / s.positions : 0);
// A positions count of 0 or an astronomically large one is a search without an end.
export const ofAll = (s: SweepSummary) => (s.positions > 0 && s.positions < 1e15 ? ` of ${group(s.positions - s.holes)}` : '');

export function Sweeps() {
  const list = sweeps.value;
  if (!list) return null;
  const v = status.value;
  return (
    <div class="sweeps">
      <h1 tabIndex={-1}>Sweeps</h1>
      {list.length === 0 ? (
        <Empty title="There is no sweep yet.">
          {info.value?.live ? <p>Submit one: <code>skyline submit sweep.yaml</code></p> : <p>Run one: <code>skyline run sweep.yaml --db {info.value?.store ?? 'skyline.db'}</code></p>}
          <p>It appears here as soon as it begins.</p>
        </Empty>
      ) : (
        <>
          <p class="hint">{list.length} {list.length === 1 ? 'sweep' : 'sweeps'} in {info.value?.store}{v ? <>, {v.workers} {v.workers === 1 ? 'worker' : 'workers'}{v.lost > 0 && `, ${v.lost} lost`}</> : ''}.{list.length > 1 && <> <a href={href(['compare'], { s: list.slice(0, 2).map((s) => s.name) })}>Compare</a></>}</p>
          <ul class="sweep-list">{list.map((s) => <Row key={s.id} s={s} />)}</ul>
        </>
      )}
    </div>
  );
}

function Row({ s }: { s: SweepSummary }) {
  const running = s.state === 'running';
  return (
    <li class="sweep-row">
      <div class="sweep-title"><a href={href(['sweeps', s.name, 'front'])}>{s.name}</a> <State state={s.state} /></div>
      <div class="sweep-job muted">{s.job} {s.job_version}</div>
      <Bar value={share(s)} failed={s.positions ? s.failed / s.positions : 0} label={`${s.name}: ${percent(share(s))} done`} />
      <dl class="sweep-figures">
        <div><dt>recorded</dt><dd>{group(s.recorded)}<span class="muted">{ofAll(s)}</span></dd></div>
        <div><dt>failed</dt><dd class={s.failed > 0 ? 'bad' : 'muted'}>{s.failed > 0 ? <a href={href(['sweeps', s.name, 'failures'])}>{group(s.failed)}</a> : 0}</dd></div>
        {running ? <div><dt>rate</dt><dd>{s.rate === null ? '–' : rate(s.rate)}</dd></div> : <div><dt>busy</dt><dd>{duration(s.busy_s)}</dd></div>}
        {running ? <div><dt>time left</dt><dd>{duration(s.eta_s)}</dd></div> : <div><dt>changed</dt><dd class="muted">{ago(s.updated_ms)}</dd></div>}
      </dl>
      {s.reason && <p class="reason">{s.reason}</p>}
    </li>
  );
}
