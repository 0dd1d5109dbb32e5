import './style.css';
import './release';
import { effect } from '@preact/signals';
import { render } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Compare } from './compare';
import { beginLive, connected, info, problem } from './live';
import { choose, dark } from './looks';
import { href, route } from './route';
import { Sweep } from './sweep';
import { Sweeps } from './sweeps';
import * as s from './sweepstate';
import { Empty } from './ui';
import { Workers } from './workers';

function Page() {
  const [where, sweep, view, trial] = route.value.path;
  const place = [where, sweep, view, trial].join('/');
  const first = useRef(true);
  // After a step to another page the keyboard stands at its heading.
  useEffect(() => {
    if (!first.current) (document.querySelector(view === 'trials' ? '.trial h2' : 'main h1') as HTMLElement | null)?.focus({ preventScroll: true });
    if (!first.current) scrollTo(0, 0);
    first.current = false;
  }, [where, sweep, view === 'trials' ? place : '']);
  return (
    <>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.getElementById('main')?.focus(); }}>Skip to the content</a>
      <header class="top">
        <a class="brand" href="#/">
          <svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true"><path class="brand-axes" d="M3 3v26h26" /><path class="brand-front" d="M8 6v8h6v6h7v5h8" /></svg>
          Skyline
        </a>
        <nav aria-label="Main">
          <a href="#/" aria-current={!where ? 'page' : undefined}>Sweeps</a>
          <a href={href(['compare'], sweep && where === 'sweeps' ? { s: [sweep] } : {})} aria-current={where === 'compare' ? 'page' : undefined}>Compare</a>
          <a href="#/workers" aria-current={where === 'workers' ? 'page' : undefined}>Workers</a>
        </nav>
        <span class="grow" />
        <span class={`live ${connected.value ? 'on' : ''}`} title={info.value?.store}>{connected.value ? (info.value?.live ? 'live' : 'following the file') : 'not connected'}</span>
        <button type="button" class="quiet looks" onClick={() => choose(dark.value ? 'light' : 'dark')} aria-label={dark.value ? 'Light colours' : 'Dark colours'}>{dark.value ? '☀' : '☾'}</button>
      </header>
      {problem.value && <p class="notice bad top-notice" role="alert">{problem.value}</p>}
      <main id="main" tabIndex={-1}>
        {!where ? <Sweeps /> : where === 'sweeps' ? <Sweep key={sweep} /> : where === 'compare' ? <Compare /> : where === 'workers' ? <Workers /> : <Empty title="There is no such page."><p><a href="#/">All sweeps</a></p></Empty>}
      </main>
    </>
  );
}

effect(() => {
  const [where, sweep, view, trial] = route.value.path;
  document.title = [trial && `trial ${trial}`, sweep ?? (where ? where[0].toUpperCase() + where.slice(1) : ''), view && !trial ? view : '', 'Skyline'].filter(Boolean).join(' · ');
});

s.beginSweeps();
void beginLive();
render(<Page />, document.getElementById('page')!);
