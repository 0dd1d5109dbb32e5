// Measures the page with a million results, and writes what it measured as JSON. Not a test: times depend
// on the machine, so each is printed beside the budget and what it was measured with.
//   node frames.mjs [--out FILE] [--write-baseline] [--live SECONDS]
// Each figure is printed beside that of bench/baselines/dash-page.json; --write-baseline replaces that file, which
// says something only if the machine was idle: look at load_before and load_after.
// --live also follows a sweep that records as fast as it can for so long, and the page's heap meanwhile.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { launch, millionSweep, openPage, root, run, serve, workFolder } from './harness.mjs';

const option = (name, fallback) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? fallback : process.argv[at + 1];
};
const liveSeconds = Number(option('--live', '0'));
const folder = workFolder();
const db = join(folder, 'million.db');
const quantile = (list, q) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(q * list.length))];
const note = (text) => process.stderr.write(`${text}\n`);
const round = (x) => Math.round(x * 100) / 100;

const result = { date: new Date().toISOString(), cpu: cpus()[0].model, cores: cpus().length, load_before: loadavg()[0] };
run(['run', millionSweep(folder), '--db', db, '--progress', 'none'], [0]);
const browser = await launch();
await (await browser.newContext()).close(); // the browser's own start is no part of a page's
let server = serve(['dash', '--db', db, '--listen', '127.0.0.1:0']);
let url = await server.url;
result.browser = browser.version();
const address = () => `${url}#/sweeps/million/front?xlog=1&ylog=1&tool=pan`;

// First paint: from the start of the navigation, in a browser context without cache, to the first ink of this
// sweep's points in the plot. Warm: the server has read the columns before, as one that somebody looked at has.
// Cold: the navigation begins the moment that a new server listens.
async function firstPaint() {
  const { page, context } = await openPage(browser, url);
  await page.addInitScript(() => {
    const look = () => {
      const c = document.querySelector('canvas.dots');
      if (c && c.width > 300) {
        const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        for (let i = 3; i < data.length; i += 4) if (data[i]) return void (globalThis.inkAt = performance.now());
      }
      setTimeout(look, 15);
    };
    look();
  });
  await page.goto(address());
  await page.waitForFunction(() => globalThis.inkAt, null, { timeout: 120000 });
  const ms = await page.evaluate(() => globalThis.inkAt);
  await page.getByText(/counted in each pixel/).waitFor({ timeout: 60000 });
  return { ms, page, context };
}
const colds = [];
for (let i = 0; i < 3; i++) {
  if (i > 0) {
    await server.stop();
    server = serve(['dash', '--db', db, '--listen', '127.0.0.1:0']);
    url = await server.url;
  }
  const cold = await firstPaint();
  colds.push(cold.ms);
  await cold.context.close();
}
const paints = [];
for (let i = 0; i < 5; i++) {
  const p = await firstPaint();
  paints.push(p.ms);
  await p.context.close();
}
note(`first paint ${paints.map(round)}`);
result.first_paint_ms = { budget: 1000, best: round(Math.min(...paints)), median: round(quantile(paints, 0.5)), all: paints.map(round), cold_best: round(Math.min(...colds)), cold: colds.map(round) };

const { page } = await firstPaint();
await page.waitForTimeout(1500);
result.renderer = await page.evaluate(() => {
  const gl = new OffscreenCanvas(1, 1).getContext('webgl2');
  const info = gl?.getExtension('WEBGL_debug_renderer_info');
  return gl ? gl.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : gl.RENDERER) : 'none';
});
result.drawn = await page.locator('.pareto .summary').innerText();

// Panning: a pointer that moves with each frame, in a circle, so that the picture is always in motion.
const pan = await page.evaluate(async () => {
  const e = document.querySelector('[data-plot=main]');
  const r = e.getBoundingClientRect();
  const send = (type, x, y) => e.dispatchEvent(new PointerEvent(type, { pointerId: 1, button: 0, clientX: x, clientY: y, bubbles: true }));
  e.setPointerCapture = () => {};
  const cx = r.left + r.width / 2;
  const cy = r.top + r.height / 2;
  const times = [];
  send('pointerdown', cx + 60, cy);
  let last = 0;
  await new Promise((done) => {
    const step = (now) => {
      if (last) times.push(now - last);
      last = now;
      if (times.length >= 300) return done();
      const a = times.length / 14;
      send('pointermove', cx + 60 * Math.cos(a), cy + 60 * Math.sin(a));
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  });
  send('pointerup', cx, cy);
  return times;
});
result.pan = { budget_fps: 50, frames: pan.length, fps: round((1000 * pan.length) / pan.reduce((a, b) => a + b, 0)), median_ms: round(quantile(pan, 0.5)), p95_ms: round(quantile(pan, 0.95)), p99_ms: round(quantile(pan, 0.99)), frame_ms: pan.map(round) };

note(`pan ${round(result.pan.fps)} frames/s`);

// Brushing: from the pointer's release to the count of selected rows on the page.
await page.goto(`${url}#/sweeps/million/front?xlog=1&ylog=1`);
await page.getByText(/counted in each pixel/).waitFor();
await page.waitForTimeout(1500);
const brush = await page.evaluate(async () => {
  const e = document.querySelector('[data-plot=main]');
  e.setPointerCapture = () => {};
  const r = e.getBoundingClientRect();
  const count = document.querySelector('[data-testid=count]');
  const times = [];
  for (let i = 0; i < 12; i++) {
    const send = (type, x, y) => e.dispatchEvent(new PointerEvent(type, { pointerId: 1, button: 0, clientX: r.left + x * r.width, clientY: r.top + y * r.height, bubbles: true }));
    send('pointerdown', 0.2 + i / 100, 0.3);
    send('pointermove', 0.6 + i / 100, 0.8);
    await new Promise((done) => {
      const watch = new MutationObserver(() => {
        watch.disconnect();
        times.push(performance.now() - began);
        done();
      });
      watch.observe(count, { childList: true, characterData: true, subtree: true });
      const began = performance.now();
      setTimeout(done, 5000);
      send('pointerup', 0.6 + i / 100, 0.8);
    });
    await new Promise((done) => setTimeout(done, 700));
  }
  return times;
});
note(`brush ${brush.map(round)}`);
result.brush_ms = { budget: 50, best: round(Math.min(...brush)), median: round(quantile(brush, 0.5)), all: brush.map(round) };

// The table: a wheel's step with every frame, and how often a row was seen without its values; then jumps, from
// the scroll to the first frame with exact values.
const scroll = await page.evaluate(async () => {
  const grid = document.querySelector('[role=grid]');
  const frame = () => new Promise((done) => requestAnimationFrame(done));
  const times = [];
  let empty = 0;
  let last = await frame();
  for (let i = 0; i < 240; i++) {
    grid.scrollTop += 60;
    const now = await frame();
    times.push(now - last);
    last = now;
    if (grid.querySelector('.wait')) empty++;
  }
  const jumps = [];
  for (const share of [0.5, 0.1, 0.9, 0.3, 0.7, 0.2, 0.8]) {
    await new Promise((done) => setTimeout(done, 300));
    const old = grid.querySelector('.grid-body [role=row]')?.getAttribute('aria-rowindex');
    const began = performance.now();
    grid.scrollTop = share * grid.scrollHeight;
    do await frame();
    while (performance.now() - began < 5000 && (grid.querySelector('.wait') || grid.querySelector('.grid-body [role=row]')?.getAttribute('aria-rowindex') === old));
    jumps.push(performance.now() - began);
  }
  return { times, empty, jumps };
});
result.table_scroll = { frames: scroll.times.length, fps: round((1000 * scroll.times.length) / scroll.times.reduce((a, b) => a + b, 0)), median_ms: round(quantile(scroll.times, 0.5)), p95_ms: round(quantile(scroll.times, 0.95)), frames_with_missing_values: scroll.empty };
result.table_jump_ms = { best: round(Math.min(...scroll.jumps)), median: round(quantile(scroll.jumps, 0.5)), all: scroll.jumps.map(round) };

// A front over axes that nobody asked for before: the request and its answer, in the page.
const fronts = await page.evaluate(async () => {
  const names = ['cycles', 'utilization', 'pes', 'macs', 'rows', 'cols'];
  const times = [];
  for (const [i, x] of names.entries())
    for (const y of names.slice(i + 1)) {
      const began = performance.now();
      await (await fetch(`/api/v1/sweeps/million/front?objectives=${x}:max,${y}:min`)).json();
      times.push(performance.now() - began);
    }
  return times;
});
result.front_ms = { budget: 50, best: round(Math.min(...fronts)), median: round(quantile(fronts, 0.5)), worst: round(Math.max(...fronts)) };

await page.context().close();
await server.stop();

if (liveSeconds > 0) {
  const live = join(folder, 'live.db');
  const running = serve(['run', millionSweep(folder, 'live', 60000), '--db', live, '--progress', 'none', '--dash', '127.0.0.1:0']);
  const at = await running.url;
  const { page } = await openPage(browser, at);
  await page.goto(`${at}#/sweeps/live/front?xlog=1&ylog=1`);
  const samples = [];
  const began = Date.now();
  while (Date.now() - began < liveSeconds * 1000) {
    await page.waitForTimeout(1000);
    samples.push(await page.evaluate(() => {
      const number = (e) => Number((e?.textContent ?? '').replace(/ of.*|,/g, '').match(/\d+/)?.[0] ?? 0);
      return { recorded: number(document.querySelector('[data-testid=recorded]')), held: /reading/.test(document.querySelector('[data-testid=count]')?.textContent ?? '') ? 0 : number(document.querySelector('[data-testid=count]')), heap_mb: Math.round(performance.memory.usedJSHeapSize / 1048576) };
    }));
  }
  const last = samples[samples.length - 1];
  result.live = { seconds: liveSeconds, rows_per_s: Math.round(last.recorded / liveSeconds), behind_rows: samples.map((s) => s.recorded - s.held), heap_mb: samples.map((s) => s.heap_mb), held: last.held };
  await page.context().close();
  await running.stop();
}
await browser.close();
result.load_after = loadavg()[0];
const out = option('--out', '');
if (out) writeFileSync(out, `${JSON.stringify(result)}\n`);
const { frame_ms, ...brief } = result.pan;
const said = { ...result, pan: brief };
console.log(JSON.stringify(said, null, 1));

const baselineFile = join(root, 'bench/baselines/dash-page.json');
const figures = (r) => ({ first_paint_ms: r.first_paint_ms.best, first_paint_cold_ms: r.first_paint_ms.cold_best, pan_fps: r.pan.fps, pan_p95_ms: r.pan.p95_ms, brush_ms: r.brush_ms.median,
  table_scroll_fps: r.table_scroll.fps, table_jump_ms: r.table_jump_ms.median, front_ms: r.front_ms.median });
if (existsSync(baselineFile)) {
  const before = JSON.parse(readFileSync(baselineFile, 'utf8'));
  note(`against the baseline of ${before.date} (${before.cpu}, load ${round(before.load_before)}), now with load ${round(result.load_before)}:`);
  for (const [name, v] of Object.entries(figures(result))) note(`  ${name.padEnd(22)} ${String(v).padStart(9)}   baseline ${String(figures(before)[name]).padStart(9)}   ratio ${round(v / figures(before)[name])}`);
}
if (process.argv.includes('--write-baseline')) {
  mkdirSync(join(root, 'bench/baselines'), { recursive: true });
  writeFileSync(baselineFile, `${JSON.stringify(said, null, 1)}\n`);
  note(`written: ${baselineFile}`);
}
