// The machines: what they do now, and for a file alone what they did.
import { useEffect } from 'preact/hooks';
import { bytes, duration, group } from './format';
import { followLive, info, live, status } from './live';
import { Bar, Empty } from './ui';

export function Workers() {
  useEffect(() => followLive(), [info.value?.live]);
  if (!info.value) return null;
  if (!info.value.live)
    return <><h1 tabIndex={-1}>Workers</h1><Empty title="This is a file, not a running coordinator."><p>Workers are shown by the dashboard of <code>skyline run --dash</code> and <code>skyline coordinator --dash</code>. The machines that evaluated a sweep are on its page.</p></Empty></>;
  const v = live.value;
  const w = v?.workers ?? [];
  const here = w.filter((x) => !x.lost);
  const cpus = here.reduce((a, x) => a + x.cpus, 0);
  const running = here.reduce((a, x) => a + x.running, 0);
  return (
    <div class="workers">
      <h1 tabIndex={-1}>Workers</h1>
      {v && (
        <dl class="figures">
          <div><dt>connected</dt><dd>{here.length}</dd></div>
          <div><dt>lost</dt><dd class={w.length > here.length ? 'bad' : ''}>{w.length - here.length}</dd></div>
          <div><dt>cpus in use</dt><dd>{running} <span class="muted">of {cpus}</span></dd></div>
          <div><dt>committed</dt><dd>{group(v.committed)}</dd></div>
          <div><dt>leased</dt><dd>{group(status.value?.leased ?? v.sweeps.reduce((a, x) => a + x.leased, 0))}</dd></div>
          <div><dt>running for</dt><dd>{duration(v.uptime_s)}</dd></div>
        </dl>
      )}
      {v && !w.length && <Empty title="No worker has connected yet."><p>Start one, here or on another machine: <code>skyline worker</code></p></Empty>}
      {w.length > 0 && (
        <div class="scroll-x" tabIndex={0} role="region" aria-label="Workers">
          <table class="list">
            <thead><tr><th scope="col">worker</th><th scope="col">state</th><th scope="col">in use</th><th scope="col" class="number">cpus</th><th scope="col" class="number">gpus</th><th scope="col" class="number">memory</th><th scope="col" class="number">leases</th><th scope="col" class="number">settled</th><th scope="col" class="number">heard</th><th scope="col">version</th></tr></thead>
            <tbody>
              {w.map((x) => (
                <tr key={x.session} class={x.lost ? 'lost' : ''}>
                  <td>{x.host} <span class="muted">{x.pid}</span></td><td>{x.lost ? <span class="state failed">lost</span> : <span class="state running">connected</span>}</td>
                  <td class="barcell"><Bar value={x.lost ? 0 : x.running / Math.max(1, x.cpus)} label={`${x.running} of ${x.cpus} cpus of ${x.host} in use`} /></td>
                  <td class="number">{x.cpus}</td><td class="number">{x.gpus}</td><td class="number">{bytes(x.memory_bytes)}</td><td class="number">{x.leases}</td><td class="number">{group(x.settled)}</td>
                  <td class="number">{duration(x.heard_ms_ago / 1000)} ago</td><td class="muted">{x.version}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}
