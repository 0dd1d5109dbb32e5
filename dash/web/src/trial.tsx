// A trial's page: what went in, what came out, and how to run it again.
import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { getJson, sweepUrl, type ColumnInfo, type Failure, type Rows, type TrialPage } from './client';
import { bytes, duration, exact, when } from './format';
import { said } from './machines';
import { LineChart } from './linechart';
import { carried, href, route } from './route';
import * as s from './sweepstate';
import { Empty, Notice } from './ui';

export function Trial() {
  const trial = route.value.path[3] ?? '';
  const sweep = s.name.value;
  const page = useSignal<TrialPage | null>(null);
  const error = useSignal('');
  const missing = useSignal(false);
  const known = s.summary.value?.recorded ?? 0;
  useEffect(() => {
    let gone = false;
    getJson<TrialPage>(sweepUrl(sweep, `/trials/${encodeURIComponent(trial)}`)).then(
      (v) => {
        if (gone) return;
        page.value = v;
        error.value = '';
      },
      (e) => {
        if (gone) return;
        page.value = null;
        error.value = e.message;
        missing.value = e.status === 404;
      },
    );
    return () => {
      gone = true;
    };
  }, [sweep, trial, page.value ? 0 : known]);
  const p = page.value;
  const columns = s.schema.value?.columns ?? [];
  const neighbours = useSignal<{ before?: number; after?: number }>({});
  useEffect(() => {
    let gone = false;
    neighbours.value = {};
    if (!/^\d+$/.test(trial)) return;
    const one = (where: string, order: string) => getJson<Rows>(sweepUrl(sweep, `/rows?${new URLSearchParams({ where, order, limit: '1', columns: 'trial' })}`)).then((r) => r.rows[0]?.trial as number | undefined);
    Promise.all([one(`trial < ${trial}`, 'trial:desc'), one(`trial > ${trial}`, 'trial')]).then(([before, after]) => { if (!gone) neighbours.value = { before, after }; }, () => 0);
    return () => { gone = true; };
  }, [sweep, trial]);
  const { before, after } = neighbours.value;
  const near = (t: number) => href(['sweeps', sweep, 'trials', String(t)], carried.value);
  return (
    <div class="trial">
      <nav class="trial-nav" aria-label="Neighbouring trials">
        <a href={href(['sweeps', sweep, 'front'], carried.value)}>← back to the front</a>
        <span class="row">{before !== undefined && <a href={near(before)}>‹ trial {before}</a>}{after !== undefined && <a href={near(after)}>trial {after} ›</a>}</span>
      </nav>
      <h2 tabIndex={-1}>Trial {trial}{p && p.point !== p.trial && <span class="muted"> of point {p.point}</span>}</h2>
      {error.value && missing.value && <Empty title="This trial is not recorded."><p>It may still be waiting, or the sweep&rsquo;s <code>where</code> leaves it out.</p></Empty>}
      {error.value && !missing.value && <Notice kind="bad">{error.value}</Notice>}
      {p && (
        <div class="trial-body">
          {p.failures.length > 0 && <Failed title="Failed" list={p.failures} />}
          {p.again && <Again command={p.again} />}
          {p.row && <Parameters row={p.row} columns={columns.filter((c) => c.role === 'param')} />}
          {p.row && <Values title="Metrics" row={p.row} columns={columns.filter((c) => c.role === 'metric' || c.role === 'derived')} />}
          <Run page={p} columns={columns} />
          {p.attempts.length > 0 && <Failed title="Earlier attempts" list={p.attempts} />}
          {p.curve.length > 0 && <Curves page={p} />}
          {p.artifacts.length > 0 && (
            <section><h3>Artifacts</h3>
              <ul class="plain">{p.artifacts.map((a) => <li key={a.name}><a href={sweepUrl(sweep, `/trials/${trial}/artifact?${new URLSearchParams({ name: a.name })}`)} download={a.name}>{a.name}</a> <span class="muted">{bytes(a.bytes)}</span></li>)}</ul>
            </section>
          )}
        </div>
      )}
    </div>
  );
}

type Row = Record<string, unknown>;

function Values({ title, row, columns }: { title: string; row: Row; columns: ColumnInfo[] }) {
  return columns.length ? <section><h3>{title}</h3><List row={row} columns={columns} /></section> : null;
}

const List = ({ row, columns }: { row: Row; columns: ColumnInfo[] }) => (
  <dl class="values">
    {columns.map((c) => (
      <div key={c.name}><dt><span>{c.name}</span>{c.doc && <span class="doc">{c.doc}</span>}</dt><dd><span class="number">{exact(row[c.name])}</span>{c.unit && c.unit !== c.name && <span class="unit"> {c.unit}</span>}</dd></div>
    ))}
  </dl>
);

// What the sweep varies first; what is the same in every trial is folded away.
function Parameters({ row, columns }: { row: Row; columns: ColumnInfo[] }) {
  const fixed = columns.filter((c) => s.constant.value.has(c.name));
  const varied = columns.filter((c) => !s.constant.value.has(c.name));
  if (!varied.length) return <Values title="Parameters" row={row} columns={columns} />;
  return (
    <section><h3>Parameters</h3>
      <List row={row} columns={varied} />
      {fixed.length > 0 && <details class="fixed"><summary>{fixed.length} the same in every trial</summary><List row={row} columns={fixed} /></details>}
    </section>
  );
}

function Again({ command }: { command: string }) {
  const copied = useSignal(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      copied.value = true;
      setTimeout(() => (copied.value = false), 2000);
    } catch {
      copied.value = false; // not allowed here: the text can be selected
    }
  };
  return (
    <section class="wide"><h3>Run this point again</h3>
      <div class="command"><pre tabIndex={0} role="region" aria-label="The command"><code>{command}</code></pre><button type="button" onClick={copy}>{copied.value ? 'Copied' : 'Copy'}</button></div>
    </section>
  );
}

function Failed({ title, list }: { title: string; list: Failure[] }) {
  return (
    <section class="wide"><h3>{title}</h3>
      {list.map((f, i) => (
        <div class="failure" key={i}>
          <p><span class="kind">{f.kind}</span> {f.reason} <span class="muted">{f.attempts} {f.attempts === 1 ? 'attempt' : 'attempts'}, {when(f.at_ms)}</span></p>
          {f.log && <pre class="log" tabIndex={0} role="region" aria-label="The end of its standard error">{f.log}</pre>}
        </div>
      ))}
    </section>
  );
}

function Curves({ page }: { page: TrialPage }) {
  const names = [...new Set(page.curve.map((c) => c.name))];
  return (
    <section class="wide"><h3>Curves</h3>
      <div class="slices">
        {names.map((name) => {
          const points = page.curve.filter((c) => c.name === name);
          return <LineChart key={name} label={`${name} over ${points.length} steps`} height={220} series={[{ name, x: points.map((c) => c.step), y: points.map((c) => c.value ?? NaN) }]} x={{ column: 'step' }} y={{ column: name, unit: s.column(name)?.unit }} />;
        })}
      </div>
    </section>
  );
}

function Run({ page, columns }: { page: TrialPage; columns: ColumnInfo[] }) {
  let environment: Record<string, unknown> = {};
  try {
    environment = page.environment ? JSON.parse(page.environment) : {};
  } catch {
    environment = { environment: page.environment };
  }
  const system = columns.filter((c) => !['param', 'metric', 'derived'].includes(c.role));
  const say = (name: string, v: unknown) => (name === 'sky_wall_s' && typeof v === 'number' ? duration(v) : name === 'sky_feasible' ? (v ? 'yes' : v === null || v === undefined ? '–' : 'no') : exact(v));
  const titles: Record<string, string> = { sky_wall_s: 'took', sky_feasible: 'feasible' };
  const rows: [string, string][] = [
    ...(page.row ? system.map((c): [string, string] => [titles[c.name] ?? c.name, say(c.name, page.row![c.name])]) : []),
    ...Object.entries(environment).map(([k, v]): [string, string] => [k, said(k, v)]),
  ];
  if (!rows.length) return null;
  return <section><h3>Run</h3><dl class="values">{rows.map(([k, v]) => <div key={k}><dt>{k}</dt><dd>{v}</dd></div>)}</dl></section>;
}
