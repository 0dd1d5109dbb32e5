// Is memory steady while a sweep runs? The page's heap, its worker's, and the whole processes', at even marks and
// after forced collections. Without SKYLINE_LONG half a minute, with it ten: then the figures are printed as JSON.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { memoryOf, openBare, residentOf, slope } from './cdp.mjs';
import { serve, workFolder } from './harness.mjs';

const long = !!process.env.SKYLINE_LONG;
const WARM_S = long ? 120 : 12; // code is compiled, caches fill
const STEP_S = long ? 60 : 3;
const MARKS = long ? 9 : 6;
// Old elements that are never freed are some 500 KB/s at five pictures a second. What is allowed is what compiled
// code and the browser's own lists of timings still grow by: much in the first minute, hardly any later.
const BOUND_KB_S = long ? 3 : 60;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

test(`the page's memory is steady while a sweep runs, for ${WARM_S + MARKS * STEP_S} s`, { timeout: 900000 }, async () => {
  const folder = workFolder();
  // A front of 400 points whose values go on changing: everything on the page is drawn again, and nothing that it
  // has to keep grows but the columns.
  writeFileSync(join(folder, 'live.yaml'), `name: live
job: fault
space: {x: {from: 1, to: 100000000, step: 1}, sleep_us: [250]}
derived: {cost: "1 + x % 400", gain: "1 + (x % 400) + x / 1e9"}
objectives: [{cost: min}, {gain: max}]
`);
  const running = serve(['run', join(folder, 'live.yaml'), '--db', join(folder, 'live.db'), '--progress', 'none', '-j', '1', '--dash', '127.0.0.1:0']);
  const url = await running.url;
  const browser = await openBare();
  await browser.go(`${url}#/sweeps/live/front?xlog=1&ylog=1`);
  const count = () => browser.evaluate("Number((document.querySelector('[data-testid=count]')?.textContent ?? '0').replace(/,/g, '').match(/\\d+/)?.[0] ?? 0)");
  await sleep(WARM_S * 1000);
  const marks = [];
  const began = performance.now();
  for (let i = 0; i < MARKS; i++) {
    await sleep(Math.max(0, began + i * STEP_S * 1000 - performance.now()));
    const at_s = (performance.now() - began) / 1000 + WARM_S;
    marks.push({ at_s, rows: await count(), ...(await memoryOf(browser)), server: residentOf(running.child.pid) });
  }
  await browser.close();
  await running.stop();
  const kb_s = (of) => slope(marks.map((m) => [m.at_s, m[of] / 1024]));
  const rows = marks[MARKS - 1].rows - marks[0].rows;
  const mb = (x) => Math.round(x / 10485.76) / 100;
  const said = { rows_per_s: Math.round(rows / (marks[MARKS - 1].at_s - marks[0].at_s)), page_heap_kb_s: kb_s('page_heap').toFixed(2), worker_heap_kb_s: kb_s('worker_heap').toFixed(2),
    renderer_kb_s: kb_s('renderer').toFixed(1), server_kb_s: kb_s('server').toFixed(1),
    marks: marks.map((m) => ({ at_s: Math.round(m.at_s), rows: m.rows, page_heap_mb: mb(m.page_heap), worker_heap_mb: mb(m.worker_heap), worker_arrays_mb: mb(m.worker_arrays), renderer_mb: mb(m.renderer), server_mb: mb(m.server) })) };
  if (long) console.log(JSON.stringify(said, null, 1));
  assert.ok(rows > 100 * (MARKS - 1), `the page followed the sweep: ${rows} new rows`);
  assert.ok(kb_s('page_heap') < BOUND_KB_S, `the page's heap: ${JSON.stringify(said)}`);
  assert.ok(kb_s('worker_heap') < BOUND_KB_S, `the worker's heap: ${JSON.stringify(said)}`);
});
