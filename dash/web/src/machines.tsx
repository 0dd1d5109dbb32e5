// The machines that evaluated a sweep, and the plan that they worked on.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { getJson, sweepUrl, type Environment } from './client';
import { bytes, duration, exact, group } from './format';
import * as s from './sweepstate';
import { Empty, Notice } from './ui';

// What a machine said of itself, for people.
export const said = (name: string, v: unknown) =>
  typeof v === 'number' && name.endsWith('_bytes') ? bytes(v) : v !== null && typeof v === 'object' ? JSON.stringify(v) : exact(v);

export function Machines() {
  const list = useSignal<Environment[] | null>(null);
  const error = useSignal('');
  useEffect(() => {
    let gone = false;
    getJson<Environment[]>(sweepUrl(s.name.value, '/environments')).then((v) => !gone && (list.value = v), (e) => !gone && (error.value = e.message));
    return () => { gone = true; };
  }, [s.name.value]);
  const parse = (json: string | null): Record<string, unknown> => {
    try {
      return json ? JSON.parse(json) : {};
    } catch {
      return { said: json };
    }
  };
  return (
    <div class="machines">
      {error.value && <Notice kind="bad">{error.value}</Notice>}
      {list.value?.length === 0 && <Empty title="No machine has returned a result yet."><p>Each machine that evaluates a trial is listed here, with its processor, kernel and versions.</p></Empty>}
      {list.value?.map((e) => (
        <section key={String(e.id)}>
          <h2>{exact(parse(e.json).host ?? `environment ${e.id}`)} <span class="muted">{group(e.trials)} trials, busy {duration(e.busy_s)}</span></h2>
          <dl class="values">{Object.entries(parse(e.json)).map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{said(k, v)}</dd></div>)}</dl>
        </section>
      ))}
      <section>
        <h2>Plan</h2>
        <pre class="log" tabIndex={0} role="region" aria-label="The sweep's plan">{s.schema.value?.plan}</pre>
      </section>
    </div>
  );
}
