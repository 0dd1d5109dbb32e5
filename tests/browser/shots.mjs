// Takes a picture of every view at three widths, light and dark, for stores from empty to a million points,
// so that a person can look at them. Not a test: what is ugly is for eyes to say.
//   node shots.mjs DIR [PATTERN]   only pictures whose name matches, such as 'thousand.*-390-dark'
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { launch, millionSweep, openPage, run, serve, workFolder } from './harness.mjs';

const [out, pattern = ''] = process.argv.slice(2);
if (!out) throw new Error('shots.mjs: which folder?');
mkdirSync(out, { recursive: true });
const wanted = new RegExp(pattern);
const folder = workFolder();
const file = (name, text) => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

const THOUSAND = (name, more = '') => `name: ${name}
job: flexsa
space:
  network: [resnet50]
  organisation: [1G1C, 1G4C, 4G4C, 1G1F, 4G1F]
  width_kept: {from: 0.30, to: 1.00, step: 0.01}
  batch: [16, 32, 64]
derived: {mj_per_sample: "1000.0 * energy_j / batch"}
objectives: [{pe_utilization: max}, {mj_per_sample: min}, {time_s: min}]
${more}`;

function finishedStore() {
  const db = join(folder, 'finished.db');
  const add = (name, text) => run(['run', file(`${name}.yaml`, text), '--db', db, '--progress', 'none']);
  add('thousand', THOUSAND('thousand', 'constraints: ["time_s < 0.2"]\n'));
  add('narrow', THOUSAND('narrow').replace('[1G1C, 1G4C, 4G4C, 1G1F, 4G1F]', '[1G1F, 4G1F]'));
  add('one', 'name: one\njob: gemm\nspace: {rows: [64]}\nobjectives: [{cycles: min}, {utilization: max}]\n');
  add('failing', `name: failing
job: fault
space: {x: {from: 1, to: 200, step: 1}, fail: [0.4], crash: [0.1]}
limits: {attempts: 1}
derived: {cost: "(x * 79) % 101"}
objectives: [{y: min}, {cost: min}]
`);
  add('command', `name: command
job: command
command: [sh, -c, 'i=0; while [ $i -lt 20 ]; do echo "{\\"loss\\": $((400 / (i + 2))), \\"sky_step\\": $i}"; i=$((i+1)); done; echo note >&2', job, '{x}']
space: {x: {from: 1, to: 6, step: 1}}
metrics: {loss: {unit: ''}}
objectives: [{loss: min}]
`);
  return db;
}

const SWEEP_VIEWS = ['front', 'parallel', 'importance', 'table', 'failures', 'machines'];
// Each server with the addresses to look at.
async function places() {
  const db = finishedStore();
  const finished = serve(['dash', '--db', db, '--listen', '127.0.0.1:0']);
  const million = join(folder, 'million.db');
  run(['run', millionSweep(folder), '--db', million, '--progress', 'none'], [0]);
  const large = serve(['dash', '--db', million, '--listen', '127.0.0.1:0']);
  const hub = (name) => ['coordinator', '--db', join(folder, `${name}.db`), '--listen', `ipc://${join(folder, `${name}.sock`)}`, '--dash', '127.0.0.1:0', '--log', 'error'];
  const empty = serve(hub('empty'));
  const waiting = serve(hub('waiting'));
  await waiting.url;
  run(['submit', file('waiting.yaml', THOUSAND('waiting')), '--connect', `ipc://${join(folder, 'waiting.sock')}`], [0]);
  const live = serve(['run', file('live.yaml', `name: live
job: fault
space: {x: {from: 1, to: 1000000, step: 1}, sleep_us: [3000], fail: [0.01]}
limits: {attempts: 1}
objectives: [{y: min}]
`), '--db', join(folder, 'live.db'), '--progress', 'none', '-j', '2', '--dash', '127.0.0.1:0']);
  const of = (sweep, views = SWEEP_VIEWS) => views.map((v) => [`${sweep}-${v.replace(/[^\w].*/, '')}`, `#/sweeps/${sweep}/${v}`]);
  const best = JSON.parse(run(['front', 'thousand', '--db', db, '--format', 'json'], [0]))[3].trial;
  const brushed = 'r=width_kept:0.45:0.7&colour=width_kept';
  const lost = JSON.parse(run(['failures', 'failing', '--db', db, '--format', 'json'], [0]))[0].trial;
  return [
    [finished, [['list', '#/'], ...of('thousand'), ...of('one'), ...of('failing'),
      ['thousand-matrix', '#/sweeps/thousand/front?matrix=1'], ['thousand-brushed', `#/sweeps/thousand/front?${brushed}&size=batch&trial=${best}`],
      ['thousand-lines', `#/sweeps/thousand/parallel?${brushed}`],
      ['thousand-trial', `#/sweeps/thousand/trials/${best}`], ['failing-trial', `#/sweeps/failing/trials/${lost}`], ['command-trial', '#/sweeps/command/trials/2'],
      ['compare', '#/compare?s=thousand&s=narrow'], ['compare-none', '#/compare'], ['workers-file', '#/workers'], ['nowhere', '#/nowhere'], ['no-sweep', '#/sweeps/absent/front']]],
    [large, [['million-list', '#/'], ...of('million', ['front', 'parallel', 'importance', 'table']), ['million-log', '#/sweeps/million/front?xlog=1&ylog=1'],
      ['million-brushed', '#/sweeps/million/front?xlog=1&ylog=1&r=rows:60:90&colour=utilization'], ['million-trial', '#/sweeps/million/trials/123456']]],
    [empty, [['empty-list', '#/'], ['empty-workers', '#/workers'], ['empty-compare', '#/compare']]],
    [waiting, [['waiting-list', '#/'], ...of('waiting')]],
    [live, [['live-list', '#/'], ...of('live', ['front', 'failures']), ['live-workers', '#/workers']]],
  ];
}

const browser = await launch();
let taken = 0;
const list = await places();
for (const [server, addresses] of list) {
  const url = await server.url;
  for (const width of [1440, 1024, 390])
    for (const looks of ['light', 'dark']) {
      const mine = addresses.filter(([name]) => wanted.test(`${name}-${width}-${looks}`));
      if (!mine.length) continue;
      const { page, context, wrong } = await openPage(browser, url, { width, height: width < 640 ? 844 : 900, colorScheme: looks, deviceScaleFactor: width < 640 ? 2 : 1 });
      for (const [name, hash] of mine) {
        await page.goto(`${url}${hash}`);
        await page.locator('main h1, main h2, main .empty').first().waitFor({ timeout: 20000 });
        if (/million-(front|log|brushed|parallel)/.test(name)) await page.getByText(/counted in each pixel|drawn as bands|a line each/).first().waitFor({ timeout: 15000 }).catch(() => 0);
        await page.waitForTimeout(/million|live|waiting/.test(name) ? 1800 : 700);
        await page.screenshot({ path: join(out, `${name}-${width}-${looks}.png`), fullPage: true });
        taken++;
      }
      if (wrong.length) process.stderr.write(`${width} ${looks}: ${[...new Set(wrong)].join('; ')}\n`);
      await context.close();
    }
}
await browser.close();
await Promise.all(list.map(([server]) => server.stop()));
console.log(`${taken} pictures in ${out}`);
