// A sweep's page: its head with live figures, the views as tabs.
import { useSignal } from '@preact/signals';
import { command } from './client';
import { exportFigure, exportRows } from './exporting';
import { Failures } from './failures';
import { FilterBar } from './filterbar';
import { duration, group, percent, rate } from './format';
import { Importance } from './importance';
import { info } from './live';
import { Machines } from './machines';
import { Pareto } from './pareto';
import { Parallel } from './parallel';
import { carried, href, route } from './route';
import * as s from './sweepstate';
import { ofAll, share } from './sweeps';
import { Table } from './table';
import { Trial } from './trial';
import { Bar, Empty, Menu, Notice, State } from './ui';

const VIEWS = [['front', 'Front'], ['parallel', 'Parallel'], ['importance', 'Importance'], ['table', 'Table'], ['failures', 'Failures'], ['machines', 'Machines']] as const;

export function Sweep() {
  const view = route.value.path[2] ?? 'front';
  if (s.loadError.value && !s.schema.value)
    return <Empty title={`There is no sweep ${s.name.value} to show.`}><p>{s.loadError.value}</p><p><a href="#/">All sweeps</a></p></Empty>;
  const schema = s.schema.value;
  return (
    <div class="sweep">
      <Head />
      <nav class="tabs" aria-label="Views">
        {VIEWS.map(([key, text]) => (
          <a key={key} href={href(['sweeps', s.name.value, key], carried.value)} aria-current={view === key ? 'page' : undefined}>{text}
            {key === 'failures' && (s.summary.value?.failed ?? 0) > 0 && <span class="badge">{group(s.summary.value!.failed)}</span>}</a>
        ))}
      </nav>
      {schema && ['front', 'parallel', 'table'].includes(view) && <FilterBar />}
      {s.loadError.value && <Notice kind="bad">{s.loadError.value}</Notice>}
      {schema && <div class="view">
        {view === 'front' ? <Pareto /> : view === 'parallel' ? <Parallel /> : view === 'importance' ? <Importance /> : view === 'table' ? <Table height={Math.max(360, innerHeight - 340)} id="table" />
          : view === 'failures' ? <Failures /> : view === 'machines' ? <Machines /> : view === 'trials' ? <Trial /> : <Empty title="There is no such view." />}
      </div>}
    </div>
  );
}

function Head() {
  const v = s.summary.value ?? s.schema.value;
  if (!v) return <h1 tabIndex={-1}>{s.name.value}</h1>;
  const running = v.state === 'running';
  return (
    <header class="sweep-head">
      <div class="head-line">
        <h1 tabIndex={-1}>{v.name}</h1>
        <State state={v.state} />
        <span class="muted">{v.job} {v.job_version}</span>
        <span class="grow" />
        {info.value?.commands && info.value.authorized && <Commands state={v.state} failed={v.failed} />}
        <ExportMenu />
      </div>
      <Bar value={share(v)} failed={v.positions ? v.failed / v.positions : 0} label={`${percent(share(v))} done`} />
      <dl class="figures">
        <div><dt>recorded</dt><dd data-testid="recorded">{group(v.recorded)}<span class="muted">{ofAll(v)}</span></dd></div>
        <div><dt>failed</dt><dd class={v.failed ? 'bad' : ''}>{group(v.failed)}</dd></div>
        {running && <div><dt>rate</dt><dd>{v.rate === null ? '–' : rate(v.rate)}</dd></div>}
        {running && <div><dt>time left</dt><dd>{duration(v.eta_s)}</dd></div>}
        <div><dt>front</dt><dd>{s.front.value ? group(s.front.value.size) : '–'}</dd></div>
        <div><dt>busy</dt><dd>{duration(v.busy_s)}</dd></div>
      </dl>
      {v.reason && <p class="reason">{v.reason}</p>}
    </header>
  );
}

function ExportMenu() {
  const message = useSignal('');
  const run = (what: () => Promise<unknown>) => async () => {
    message.value = '';
    try {
      await what();
      message.value = '';
    } catch (e) {
      message.value = (e as Error).message;
    }
  };
  const progress = (done: number, of: number) => (message.value = `${group(done)} of ${group(of)} rows`);
  const link = async () => {
    await navigator.clipboard.writeText(location.href);
    message.value = 'copied';
  };
  const figure = ['front', 'parallel'].includes(route.value.path[2] ?? 'front');
  return (
    <Menu label="Export" align="right">
      <p class="hint">What is shown: the selected rows, the chosen columns, this order.</p>
      <div class="stack">
        <button type="button" onClick={run(() => exportRows('csv', progress))}>Rows as CSV</button>
        <button type="button" onClick={run(() => exportRows('json', progress))}>Rows as JSON</button>
        {figure && <button type="button" onClick={run(() => exportFigure('svg'))}>Figure as SVG</button>}
        {figure && <button type="button" onClick={run(() => exportFigure('png'))}>Figure as PNG</button>}
        <button type="button" onClick={run(link)}>Copy the link</button>
      </div>
      {message.value && <p class="hint" role="status">{message.value}</p>}
    </Menu>
  );
}

function Commands({ state, failed }: { state: string; failed: number }) {
  const message = useSignal('');
  const send = (verb: string) => async () => {
    if (verb === 'cancel' && !confirm(`Cancel ${s.name.value}? Running trials are stopped; what is recorded stays.`)) return;
    try {
      await command(s.name.value, verb);
      message.value = '';
    } catch (e) {
      message.value = (e as Error).message;
    }
  };
  return (
    <span class="row">
      {state === 'running' && <button type="button" onClick={send('pause')}>Pause</button>}
      {state === 'paused' && <button type="button" onClick={send('resume')}>Resume</button>}
      {failed > 0 && <button type="button" onClick={send('retry')}>Retry failed</button>}
      {(state === 'running' || state === 'paused') && <button type="button" onClick={send('cancel')}>Cancel</button>}
      {message.value && <span class="bad" role="alert">{message.value}</span>}
    </span>
  );
}
