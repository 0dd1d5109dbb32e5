// What went wrong, grouped by reason, and the machines that it went wrong on.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { getJson, sweepUrl, type Failures as List } from './client';
import { ago, group, when } from './format';
import * as s from './sweepstate';
import { Empty, Notice, TrialLink } from './ui';

type Group = List['groups'][number];

// Reasons that differ in numbers only are one: 'exit 3 at step 17' and 'exit 3 at step 90' want one look.
function alike(groups: Group[]): Group[] {
  const merged = new Map<string, Group>();
  for (const g of groups) {
    const key = `${g.kind}\n${g.reason.replace(/\d+(\.\d+)?([eE][-+]?\d+)?/g, '…')}`;
    const m = merged.get(key);
    if (!m) merged.set(key, { ...g });
    else merged.set(key, { ...m, reason: key.slice(g.kind.length + 1), n: m.n + g.n, first: Math.min(m.first, g.first), last_ms: Math.max(m.last_ms, g.last_ms) });
  }
  return [...merged.values()].sort((a, b) => b.n - a.n);
}

const NEWEST = 20; // shown at first

export function Failures() {
  const list = useSignal<List | null>(null);
  const error = useSignal('');
  const all = useSignal(false);
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
  if (!v.groups.length) return <Empty title="No trial has failed."><p>A trial that crashes, runs out of time or memory, or returns an error is listed here, with the end of its log.</p></Empty>;
  const groups = alike(v.groups);
  const newest = v.failures.slice(0, all.value ? 100 : NEWEST);
  const most = groups.reduce((m, g) => Math.max(m, g.n), 1);
  return (
    <div class="failures">
      <h2>By reason</h2>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Failures by reason">
        <table class="list">
          <thead><tr><th scope="col">kind</th><th scope="col">reason</th><th scope="col" class="number">trials</th><th scope="col" class="barcell"><span class="unseen">share</span></th><th scope="col">for example</th><th scope="col" class="late">last</th></tr></thead>
          <tbody>
            {groups.map((g) => (
              <tr key={`${g.kind}${g.reason}`}>
                <td><span class="kind">{g.kind}</span></td><td class="reason">{g.reason}</td><td class="number">{group(g.n)}</td>
                <td class="barcell"><span class="mini" style={{ width: `${Math.max(2, (100 * g.n) / most)}%` }} /></td>
                <td><TrialLink sweep={sweep} trial={g.first}>trial {g.first}</TrialLink></td><td class="muted nowrap late">{ago(g.last_ms)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <h2>Newest</h2>
      <div class="scroll-x" tabIndex={0} role="region" aria-label="Newest failures">
        <table class="list">
          <thead><tr><th scope="col" class="number">trial</th><th scope="col">kind</th><th scope="col">reason</th><th scope="col" class="number late">attempts</th><th scope="col">when</th></tr></thead>
          <tbody>
            {newest.map((f) => (
              <tr key={f.trial}><td class="number"><TrialLink sweep={sweep} trial={f.trial} /></td><td><span class="kind">{f.kind}</span></td><td class="reason">{f.reason}</td><td class="number late">{f.attempts}</td><td class="muted nowrap">{when(f.at_ms)}</td></tr>
            ))}
          </tbody>
        </table>
      </div>
      {!all.value && v.failures.length > NEWEST && <p><button type="button" class="link" onClick={() => (all.value = true)}>Show more</button></p>}
      {all.value && v.failures.length > 100 && <p class="hint">The newest 100 of {group(failed)}; <code>skyline failures {sweep}</code> lists all.</p>}
    </div>
  );
}
