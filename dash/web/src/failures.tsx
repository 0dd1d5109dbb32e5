// What went wrong, grouped by reason, and the machines that it went wrong on.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { getJson, sweepUrl, type Failures as List } from './client';
import { ago, group, when } from './format';
import * as s from './sweepstate';
import { Empty, Notice, TrialLink } from './ui';

export function Failures() {
  const list = useSignal<List | null>(null);
  const error = useSignal('');
  const sweep = s.name.value;
  const failed = s.summary.value?.failed ?? 0;
  useEffect(() => {
    let gone = false;
    const timer = setTimeout(() => {
      getJson<List>(sweepUrl(sweep, '/failures')).then((v) => !gone && (list.value = v), (e) => !gone && (error.value = e.message));
    }, list.value ? 1000 : 0);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [sweep, failed]);
  const v = list.value;
  if (error.value) return <Notice kind="bad">{error.value}</Notice>;
  if (!v) return null;
  if (!v.groups.length) return <Empty title="No trial has failed." />;
  const most = v.groups.reduce((m, g) => Math.max(m, g.n), 1);
  return (
    <div class="failures">
      <h2>By reason</h2>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Failures by reason">
        <table class="list">
          <thead><tr><th scope="col">kind</th><th scope="col">reason</th><th scope="col" class="number">trials</th><th scope="col"><span class="unseen">share</span></th><th scope="col">for example</th><th scope="col">last</th></tr></thead>
          <tbody>
            {v.groups.map((g) => (
              <tr key={`${g.kind}${g.reason}`}>
                <td><span class="kind">{g.kind}</span></td><td class="reason">{g.reason}</td><td class="number">{group(g.n)}</td>
                <td class="barcell"><span class="mini" style={{ width: `${Math.max(2, (100 * g.n) / most)}%` }} /></td>
                <td><TrialLink sweep={sweep} trial={g.first}>trial {g.first}</TrialLink></td><td class="muted nowrap">{ago(g.last_ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2>Newest</h2>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Newest failures">
        <table class="list">
          <thead><tr><th scope="col" class="number">trial</th><th scope="col">kind</th><th scope="col">reason</th><th scope="col" class="number">attempts</th><th scope="col">when</th></tr></thead>
          <tbody>
            {v.failures.slice(0, 100).map((f) => (
              <tr key={f.trial}><td class="number"><TrialLink sweep={sweep} trial={f.trial} /></td><td><span class="kind">{f.kind}</span></td><td class="reason">{f.reason}</td><td class="number">{f.attempts}</td><td class="muted nowrap">{when(f.at_ms)}</td></tr>
            ))}
          </tbody>
        </table>
      </div>
      {v.failures.length > 100 && <p class="hint">The newest 100 of {group(failed)}; <code>skyline failures {sweep}</code> lists all.</p>}
    </div>
  );
}
