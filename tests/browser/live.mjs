// Measures how far a page is behind a sweep that records so many results a second: a page that is opened with the
// sweep, and one that is opened late. JSON on standard output. Not a test: it depends on the machine.
//   node live.mjs [--seconds 40] [--late 20] [--rate 50000]     --rate 0: as fast as it goes
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { memoryOf, openBare, residentOf } from './cdp.mjs';
import { serve, skyline, workFolder } from './harness.mjs';

const option = (name, fallback) => {
  const at = process.argv.indexOf(name);
  return at < 0 ? fallback : Number(process.argv[at + 1]);
};
const seconds = option('--seconds', 40);
const late = option('--late', seconds / 2);
const rate = option('--rate', 50000);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const round = (x, digits = 2) => Number(x.toFixed(digits));
const quantile = (list, q) => [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(q * list.length))];

const folder = workFolder();
mkdirSync(join(folder, 'hub'), { mode: 0o700 });
const endpoint = `ipc://${join(folder, 'hub', 's')}`;
writeFileSync(join(folder, 'live.yaml'), `name: live
job: noop
space: {x: {from: 1, to: 100000000, step: 1}}
derived: {cost: "1 + (x * 7919) % 100003", gain: "1 + (x * 104729) % 99991"}
objectives: [{cost: min}, {gain: max}]
`);
const result = { date: new Date().toISOString(), cpu: cpus()[0].model, cores: cpus().length, load_before: loadavg()[0] };
const running = serve(['coordinator', '--db', join(folder, 'live.db'), '--listen', endpoint, '--log', 'error', '--dash', '127.0.0.1:0']);
const url = await running.url;
const worker = spawn(skyline, ['worker', '--connect', endpoint, '--log', 'error', '-j', '1'], { stdio: 'ignore', detached: true });
const signal = (name) => {
  try {
    process.kill(-worker.pid, name); // its executors too
  } catch {
    // it has ended
  }
};
process.on('exit', () => signal('SIGKILL'));

// When how many results were durable, as the coordinator knows it itself.
const truth = [];
let began;
const watching = setInterval(async () => {
  const asked = Date.now();
  const { committed } = await fetch(`${url}api/v1/live`).then((r) => r.json()).catch(() => ({}));
  if (committed === undefined) return;
  const at = (asked + Date.now()) / 2;
  truth.push({ at, rows: committed });
  // The worker is held up while it is ahead.
  began ??= committed > 0 ? at : undefined;
  if (rate && began) signal(committed > (rate * (Date.now() - began)) / 1000 ? 'SIGSTOP' : 'SIGCONT');
}, 25);

// What the page draws, and when: the figure's own sentence tells.
const drawn = `(() => {
  const text = document.querySelector('.pareto .summary')?.textContent ?? '';
  const found = /(?:[\\d,]+ of )?([\\d,]+) trials?/.exec(text);
  return { at: Date.now(), rows: found ? Number(found[1].replace(/,/g, '')) : 0, server: /by the server/.test(text) };
})()`;
async function follow(browser, until) {
  const opened = Date.now();
  const samples = [];
  await browser.go(`${url}#/sweeps/live/front`);
  while (Date.now() < until) {
    samples.push(await browser.evaluate(drawn).catch(() => ({ at: Date.now(), rows: 0 })));
    await sleep(100);
  }
  return { opened, samples, memory: await memoryOf(browser) };
}
function judge({ opened, samples, memory }) {
  // A picture of n rows became old when one more was there.
  const lag = samples.map(({ at, rows, server }) => ({ at, rows, server, s: Math.max(0, (at - (truth.find((t) => t.rows > rows)?.at ?? at)) / 1000) }));
  const first = lag.find((v) => v.rows > 0);
  const caught = lag.find((v) => v.rows > 0 && v.s <= 1);
  const after = caught ? lag.filter((v) => v.at >= caught.at) : [];
  const of = (list) => (list.length ? { median: round(quantile(list, 0.5)), p95: round(quantile(list, 0.95)), most: round(Math.max(...list)) } : null);
  return {
    first_picture_s: first ? round((first.at - opened) / 1000) : null,
    within_a_second_after_s: caught ? round((caught.at - opened) / 1000) : null,
    lag_s: of(after.filter((v) => !v.server).map((v) => v.s)),
    lag_s_by_the_server: of(after.filter((v) => v.server).map((v) => v.s)),
    rows: lag[lag.length - 1].rows,
    page_heap_mb: round(memory.page_heap / 1048576), renderer_mb: round(memory.renderer / 1048576, 0),
  };
}
const early = await openBare();
execFileSync(skyline, ['submit', join(folder, 'live.yaml'), '--connect', endpoint]);
await sleep(500);
const end = Date.now() + 1000 * seconds;
const second = (async () => {
  const browser = await openBare();
  await sleep(1000 * late);
  const seen = await follow(browser, end);
  await browser.close();
  return seen;
})();
const [one, two] = await Promise.all([follow(early, end), second]);
clearInterval(watching);
const ends = [truth[0], truth[truth.length - 1]];
result.rows_per_s = Math.round((1000 * (ends[1].rows - ends[0].rows)) / (ends[1].at - ends[0].at));
result.rows = ends[1].rows;
result.opened_early = judge(one);
result.opened_late = { at_rows: truth.find((t) => t.at >= two.opened)?.rows, ...judge(two) };
result.server_mb = round(residentOf(running.child.pid) / 1048576, 0);
result.load_after = loadavg()[0];
await early.close();
signal('SIGKILL');
await running.stop();
console.log(JSON.stringify(result, null, 1));
process.exit(0);
