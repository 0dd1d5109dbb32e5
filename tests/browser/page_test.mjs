// The page in a real Chromium, on real sweeps with real workers. One server with finished sweeps for what
// must not move, one with a sweep that runs for what must.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, openPage, root, run, serve, workFolder } from './harness.mjs';

const folder = workFolder();
const db = join(folder, 'page.db');
const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WAIT = 20000;
let browser, server, url;

before(async () => {
  const flexsa = join(root, 'sweeps/examples/flexsa-resnet50.yaml');
  run(['run', flexsa, '--db', db, '--progress', 'none'], [0]);
  run(['run', flexsa, '--db', db, '--progress', 'none', '--name', 'flexsa-small', '--set', 'organisation=[1G1C,1G1F]'], [0]);
  writeFileSync(join(folder, 'fault.yaml'), `name: fault
job: fault
space: {x: {from: 1, to: 60, step: 1}, fail: [0.3]}
limits: {attempts: 1}
objectives: [{y: min}]
`);
  run(['run', join(folder, 'fault.yaml'), '--db', db, '--progress', 'none']);
  writeFileSync(join(folder, 'one.yaml'), 'name: one\njob: gemm\nspace: {rows: [64]}\nobjectives: [{cycles: min}, {utilization: max}]\n');
  run(['run', join(folder, 'one.yaml'), '--db', db, '--progress', 'none'], [0]);
  writeFileSync(join(folder, 'fine.yaml'), `name: fine
job: noop
space: {x: {from: 1, to: 300, step: 1}}
derived: {fine: "1000000.0 - 150.0 * (x % 2) + ((x * 7919) % 300) * 0.0001"}
`);
  run(['run', join(folder, 'fine.yaml'), '--db', db, '--progress', 'none'], [0]);
  writeFileSync(join(folder, 'many.yaml'), `name: many
job: gemm
space: {rows: {from: 4, to: 223, step: 1}, cols: {from: 4, to: 183, step: 1}}
derived: {pes: "rows * cols"}
objectives: [{cycles: min}, {pes: min}]
`);
  run(['run', join(folder, 'many.yaml'), '--db', db, '--progress', 'none'], [0]);
  server = serve(['dash', '--db', db, '--listen', '127.0.0.1:0']);
  url = await server.url;
  browser = await launch();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});

// A page, and at the end: nothing went wrong in it.
function check(name, hash, body, options) {
  test(name, { timeout: 60000 }, async () => {
    const { page, context, wrong } = await openPage(browser, url, options);
    page.setDefaultTimeout(WAIT);
    await page.goto(url + hash);
    await body(page);
    assert.deepEqual(wrong, []);
    await context.close();
  });
}
const count = (page) => page.getByTestId('count');
const countOf = async (page) => Number((await count(page).innerText()).replace(/,/g, '').match(/\d+/)[0]);

// Waits for what the page comes to in its own time; says what it was instead when it never did.
async function until(what, look, holds) {
  const end = Date.now() + WAIT;
  let seen = await look();
  for (; !holds(seen); seen = await look()) {
    if (Date.now() > end) assert.fail(`${what}: still ${JSON.stringify(seen)}`);
    await new Promise((done) => setTimeout(done, 50));
  }
  return seen;
}

// The page counts its selection in a worker, after the address has it. What it must come to is what SQL says.
const rowsWhere = (sweep, where) => JSON.parse(run(['results', sweep, '--db', db, '--where', where, '--format', 'json', '--limit', '100000'], [0])).length;
async function selected(page, where) {
  await page.getByText(/ of 5,325 selected/).waitFor();
  const expected = rowsWhere('flexsa-resnet50', where);
  await until(`${expected} rows are where ${where}`, () => countOf(page), (n) => n === expected);
  return expected;
}
const rangesOf = (page) => new URLSearchParams(new URL(page.url()).hash.split('?')[1]).getAll('r').map((r) => r.split(':'));
const whereOf = (ranges) => ranges.map(([c, lo, hi]) => `${c} BETWEEN ${lo} AND ${hi}`).join(' AND ');
const drawn = (page) => page.getByText(/each drawn as a point|counted in each pixel/).waitFor();
const inkOf = (page, selector) => page.locator(selector).first().evaluate((c) => {
  const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  let ink = 0;
  for (let i = 3; i < data.length; i += 4) ink += data[i] > 0 ? 1 : 0;
  return ink;
});
const drag = async (page, from, to) => {
  const box = await page.locator('[data-plot=main]').boundingBox();
  const at = ([x, y]) => [box.x + x * box.width, box.y + y * box.height];
  await page.mouse.move(...at(from));
  await page.mouse.down();
  await page.mouse.move(...at([(from[0] + to[0]) / 2, (from[1] + to[1]) / 2]));
  await page.mouse.move(...at(to));
  await page.mouse.up();
};

check('the list has every sweep with its state', '#/', async (page) => {
  for (const name of ['flexsa-resnet50', 'flexsa-small', 'fault', 'one']) await page.getByRole('link', { name, exact: true }).waitFor();
  assert.match(await page.locator('.sweep-row', { hasText: 'flexsa-resnet50' }).innerText(), /5,325 of 5,325/);
});

check('points and their front are drawn', '#/sweeps/flexsa-resnet50/front', async (page) => {
  await drawn(page);
  await until('points leave ink', () => inkOf(page, 'canvas.dots'), (ink) => ink > 3000);
  // The front that the page draws is the one that the program prints.
  const rows = JSON.parse(run(['front', 'flexsa-resnet50', '--db', db, '--format', 'json'], [0]));
  const trials = rows.map((r) => r.trial).sort((a, b) => a - b);
  await page.locator('.front-list tbody tr').nth(trials.length - 1).waitFor();
  const shown = (await page.locator('.front-list tbody td:first-child').allInnerTexts()).map(Number).sort((a, b) => a - b);
  assert.deepEqual(shown, trials);
});

check('a brush selects rows of the table', '#/sweeps/flexsa-resnet50/front', async (page) => {
  await drawn(page);
  await drag(page, [0.35, 0.2], [0.7, 0.9]);
  await page.waitForFunction(() => location.hash.includes('r='));
  const ranges = rangesOf(page);
  assert.deepEqual(ranges.map((r) => r[0]).sort(), ['mj_per_sample', 'pe_utilization']);
  const expected = await selected(page, whereOf(ranges));
  assert.ok(expected > 10);
  await page.waitForFunction((n) => document.querySelector('[data-testid=table]')?.dataset.rows === String(n), expected);
});

check('a lasso selects, and can be taken away', '#/sweeps/flexsa-resnet50/front?tool=lasso', async (page) => {
  await drawn(page);
  const box = await page.locator('[data-plot=main]').boundingBox();
  await page.mouse.move(box.x + 0.3 * box.width, box.y + 0.3 * box.height);
  await page.mouse.down();
  for (const [x, y] of [[0.7, 0.3], [0.7, 0.8], [0.5, 0.9], [0.3, 0.8]]) await page.mouse.move(box.x + x * box.width, box.y + y * box.height, { steps: 6 });
  await page.mouse.up();
  await page.getByText(/ of 5,325 selected/).waitFor();
  await page.getByRole('button', { name: 'Remove the lasso' }).click();
  await page.getByText(/^5,325 trials$/).waitFor();
});

check('SQL selects; a mistake is explained; writing is impossible', '#/sweeps/flexsa-resnet50/table', async (page) => {
  const where = page.getByLabel('Where');
  await where.fill("organisation = '1G1F' AND batch >= 32");
  await where.press('Enter');
  assert.ok((await selected(page, "organisation = '1G1F' AND batch >= 32")) > 10);
  await where.fill('no_such_column > 1');
  await where.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'no_such_column' }).waitFor();
});

check('the table scrolls over all rows and sorts', '#/sweeps/flexsa-resnet50/table', async (page) => {
  await page.waitForFunction(() => document.querySelector('[data-testid=table]')?.dataset.rows === '5325');
  await page.getByRole('button', { name: /^pe_utilization/ }).click();
  await page.getByRole('button', { name: /^pe_utilization/ }).click();
  const best = JSON.parse(run(['results', 'flexsa-resnet50', '--db', db, '--order-by', 'pe_utilization desc', '--limit', '1', '--format', 'json'], [0]))[0];
  await page.locator('.grid-body [role=row]').first().getByText(String(best.trial), { exact: true }).waitFor();
  await page.getByRole('grid').focus();
  await page.keyboard.press('End');
  await page.locator('[aria-rowindex="5326"]').waitFor();
});

check('the table sorts by doubles, not by floats', '#/sweeps/fine/table?cols=fine', async (page) => {
  for (const [clicks, order] of [[1, 'fine'], [2, 'fine desc']]) {
    await page.goto(`${url}#/sweeps/fine/table?cols=fine&sort=${clicks === 1 ? '' : '-'}fine`);
    const rows = JSON.parse(run(['results', 'fine', '--db', db, '--order-by', order, '--limit', '8', '--format', 'json'], [0]));
    const first = rows.map((r) => String(r.trial)).join();
    await page.waitForFunction((wanted) => [...document.querySelectorAll('.grid-body [role=row]')].sort((a, b) => a.ariaRowIndex - b.ariaRowIndex)
      .slice(0, 8).map((r) => r.querySelector('a')?.textContent).join() === wanted, first);
  }
});

check('the address restores the state', '#/sweeps/flexsa-resnet50/front', async (page) => {
  await drawn(page);
  await page.getByLabel('Colour', { exact: true }).selectOption('width_kept');
  await page.locator('.control').first().getByLabel('log').check();
  await drag(page, [0.5, 0.3], [0.8, 0.9]);
  await page.waitForFunction(() => location.hash.includes('r='));
  const where = whereOf(rangesOf(page));
  await selected(page, where);
  await page.getByRole('button', { name: /^batch/ }).click();
  const saved = page.url();
  const other = await openPage(browser, url);
  await other.page.goto(saved);
  await drawn(other.page);
  await selected(other.page, where);
  assert.equal(await other.page.getByLabel('Colour', { exact: true }).inputValue(), 'width_kept');
  assert.equal(await other.page.locator('.control').first().getByLabel('log').isChecked(), true);
  assert.equal(await other.page.locator('[aria-sort=ascending]').innerText().then((t) => t.split(' ')[0]), 'batch');
  assert.equal(await other.page.locator('rect.brush').count(), 1);
  await other.context.close();
  await page.goBack(); // the sort
  await page.goBack(); // the brush
  await page.getByText(/^5,325 trials$/).waitFor();
});

check('zoom and pan move the axes and are in the address', '#/sweeps/flexsa-resnet50/front?tool=pan', async (page) => {
  await drawn(page);
  const ticks = () => page.locator('.scatter .tick').allTextContents().then((t) => t.join());
  const whole = await ticks();
  const box = await page.locator('[data-plot=main]').boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.wheel(0, -500);
  await page.waitForFunction(() => location.hash.includes('zoom='));
  const zoomed = await ticks();
  assert.notEqual(zoomed, whole);
  await drag(page, [0.5, 0.5], [0.2, 0.3]);
  await until('the axes move', ticks, (now) => now !== zoomed);
  await page.getByRole('button', { name: 'Show all' }).click();
  await page.waitForFunction(() => !location.hash.includes('zoom='));
  await until(`the ticks are ${whole}`, ticks, (now) => now === whole);
});

check('by keyboard alone from the list to a trial on the front', '#/', async (page) => {
  await page.getByRole('link', { name: 'flexsa-resnet50' }).waitFor();
  const reach = async (wanted) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      if (await page.evaluate((w) => { const e = document.activeElement; return e?.matches(w) || e?.textContent.trim() === w; }, wanted).catch(() => false)) return;
    }
    assert.fail(`Tab never reached ${wanted}`);
  };
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press('Tab');
    if ((await page.evaluate(() => document.activeElement?.textContent)) === 'flexsa-resnet50') break;
  }
  await page.keyboard.press('Enter');
  await drawn(page);
  await page.locator('.front-list tbody tr').first().waitFor();
  await reach('[data-plot=main]');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  const said = page.locator('.scatter [role=status]');
  await until('the second point is said', () => said.innerText(), (text) => /^front point 2 of \d+: pe_utilization 0\.\d+, mj_per_sample [\d.]+$/.test(text));
  const trial = (await page.locator('.front-list tbody td:first-child').nth(1).innerText()).trim();
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: `Trial ${trial}` }).waitFor();
  assert.match(await page.evaluate(() => document.activeElement?.textContent), /^Trial/);
});

check('a trial says how to run it again, and that gives the same', '#/sweeps/flexsa-resnet50/front', async (page) => {
  await drawn(page);
  await page.locator('.front-list tbody a').first().click();
  const command = (await page.locator('.command pre').innerText()).trim();
  assert.match(command, /^skyline eval flexsa /);
  const words = command.match(/'[^']*'|\S+/g).map((w) => w.replace(/^'|'$/g, '')).slice(1);
  const again = JSON.parse(run(words, [0]));
  const shown = await page.locator('.values div', { has: page.getByText('pe_utilization', { exact: true }) }).locator('.number').innerText();
  assert.equal(Number(shown), again.metrics.pe_utilization);
});

check('parallel coordinates: a brush on an axis reaches scatter and table', '#/sweeps/flexsa-resnet50/parallel', async (page) => {
  await page.getByText(/trials, (a line each|drawn as bands)/).waitFor();
  await page.waitForTimeout(500);
  const axis = page.locator('[data-axis=width_kept]');
  const box = await axis.boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height * 0.1);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height * 0.5, { steps: 4 });
  await page.mouse.up();
  await page.waitForFunction(() => location.hash.includes('r='));
  const where = whereOf(rangesOf(page));
  const expected = await selected(page, where);
  assert.ok(expected > 10 && expected < 5325);
  await until('lines leave ink', () => inkOf(page, 'canvas.dots'), (ink) => ink > 3000);
  await page.getByRole('link', { name: 'Front', exact: true }).click();
  await drawn(page);
  await selected(page, where);
  await page.locator('.grid-body [role=row]').first().waitFor();
});

check('importance and slices come from the server', '#/sweeps/flexsa-resnet50/importance', async (page) => {
  await page.locator('.shares li').first().waitFor();
  assert.equal(await page.locator('.share-name').first().innerText(), 'width_kept');
  await page.locator('.slices svg').nth(2).waitFor();
});

check('failures are grouped by reason; a trial that failed has a page', '#/sweeps/fault/failures', async (page) => {
  const row = page.locator('table.list tbody tr').first();
  await row.waitFor();
  assert.match(await row.innerText(), /fail/);
  await row.getByRole('link').click();
  await page.getByRole('heading', { name: /^Trial / }).waitFor();
  await page.getByRole('heading', { name: 'Failed' }).waitFor();
});

check('two sweeps are compared', '#/compare?s=flexsa-resnet50&s=flexsa-small', async (page) => {
  await page.locator('.compare table.list tbody tr').nth(1).waitFor();
  assert.ok((await page.locator('.compare path.mark').count()) > 10);
  // What the smaller space reaches, the larger one reaches too.
  const cells = await page.locator('.compare tbody tr').nth(1).locator('td').allInnerTexts();
  assert.equal(cells[6].trim(), '–');
  assert.equal(cells[5].trim(), '0 %');
});

check('one point alone is drawn in the middle', '#/sweeps/one/front', async (page) => {
  await page.getByText('1 trial, drawn as a point.').waitFor();
  await until('the point leaves ink', () => inkOf(page, 'canvas.dots'), (ink) => ink > 10);
});

// The two ways of drawing many points, one against the other. A point of WebGL's is some pixels wide, one of the
// counts' is one: each counted pixel has ink there too, and there is no ink away from a counted pixel.
for (const [what, query] of [['all points', ''], ['log axes', 'xlog=1&ylog=1'], ['a part', 'x=rows&y=cols&r=rows:100:199']])
  check(`WebGL 2 draws what is counted: ${what}`, `#/sweeps/many/front?draw=density&${query}`, async (page) => {
    const pixels = async (how, words) => {
      await page.evaluate((hash) => { location.hash = hash; }, `#/sweeps/many/front?draw=${how}&${query}`);
      await page.getByText(words).waitFor();
      await page.waitForTimeout(500);
      return page.locator('canvas.dots').first().evaluate((c) => {
        const { data, width, height } = c.getContext('2d').getImageData(0, 0, c.width, c.height);
        return { width, height, ink: Array.from({ length: width * height }, (_, i) => (data[4 * i + 3] > 8 ? 1 : 0)) };
      });
    };
    const counted = await pixels('density', /counted in each pixel/);
    const drawn = await pixels('points', /drawn by the graphics card/);
    assert.deepEqual([drawn.width, drawn.height], [counted.width, counted.height]);
    const { width, height } = counted;
    const near = (p, i, reach) => {
      for (let dy = -reach; dy <= reach; dy++)
        for (let dx = -reach; dx <= reach; dx++) {
          const x = (i % width) + dx;
          const y = Math.floor(i / width) + dy;
          if (x >= 0 && y >= 0 && x < width && y < height && p.ink[y * width + x]) return true;
        }
      return false;
    };
    const inked = (p) => p.ink.flatMap((v, i) => (v ? [i] : []));
    const missed = inked(counted).filter((i) => !near(drawn, i, 1)).length;
    const stray = inked(drawn).filter((i) => !near(counted, i, 2)).length;
    assert.ok(inked(counted).length > 500, `${inked(counted).length} pixels are counted`);
    assert.deepEqual({ missed, stray }, { missed: 0, stray: 0 });
  });

check('exports are what is shown', "#/sweeps/flexsa-resnet50/front?where=organisation+%3D+'1G1F'+AND+batch+%3D+64&cols=organisation,batch,pe_utilization&sort=-pe_utilization", async (page) => {
  const n = await selected(page, "organisation = '1G1F' AND batch = 64");
  await drawn(page);
  const get = async (label) => {
    await page.getByText('Export', { exact: true }).click();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: label }).click()]);
    await page.keyboard.press('Escape');
    return readFileSync(await download.path());
  };
  const csv = (await get('Rows as CSV')).toString().trim().split('\r\n');
  assert.equal(csv[0], 'trial,organisation,batch,pe_utilization');
  assert.equal(csv.length, n + 1);
  const json = JSON.parse((await get('Rows as JSON')).toString());
  assert.equal(json.length, n);
  assert.ok(json.every((r) => r.organisation === '1G1F' && r.batch === 64));
  assert.ok(json.every((r, i) => i === 0 || r.pe_utilization <= json[i - 1].pe_utilization));
  const svg = (await get('Figure as SVG')).toString();
  assert.match(svg, /^<svg /);
  assert.match(svg, /mj_per_sample/);
  assert.match(svg, /data:image\/png/);
  const png = await get('Figure as PNG');
  assert.equal(png.subarray(1, 4).toString(), 'PNG');
  assert.ok(png.length > 20000);
});

// Everything once in light; what depends on the colours also in dark.
for (const [name, hash] of [['list', '#/'], ['front', '#/sweeps/flexsa-resnet50/front'], ['parallel', '#/sweeps/flexsa-resnet50/parallel'], ['table', '#/sweeps/flexsa-resnet50/table'],
  ['importance', '#/sweeps/flexsa-resnet50/importance'], ['failures', '#/sweeps/fault/failures'], ['machines', '#/sweeps/fault/machines'],
  ['trial', '#/sweeps/flexsa-resnet50/trials/0'], ['compare', '#/compare?s=flexsa-resnet50&s=flexsa-small'], ['workers', '#/workers']])
  check(`axe finds nothing: ${name}`, hash, async (page) => {
    await page.locator('main h1, main h2').first().waitFor();
    await page.waitForTimeout(700);
    await page.evaluate(axe);
    const look = (only) => page.evaluate((rules) => globalThis.axe.run(document, { resultTypes: ['violations'], ...(rules ? { runOnly: rules } : {}) })
      .then((found) => found.violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(' ')).slice(0, 3).join(' | ')}`)), only);
    assert.deepEqual(await look(null), []);
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.waitForFunction(() => document.documentElement.dataset.looks === 'dark');
    assert.deepEqual(await look(['color-contrast']), []);
  }, { colorScheme: 'light' });

for (const width of [390, 1024])
  check(`nothing is wider than ${width} px`, '#/sweeps/flexsa-resnet50/front', async (page) => {
    for (const view of ['front', 'parallel', 'importance', 'table', 'failures', 'machines', 'trials/0']) {
      await page.goto(`${url}#/sweeps/flexsa-resnet50/${view}`);
      await page.waitForTimeout(500);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, view);
    }
  }, { width, height: 800 });

test('a running sweep: points come, the front follows, workers are seen', { timeout: 90000 }, async () => {
  const live = join(folder, 'live.db');
  writeFileSync(join(folder, 'live.yaml'), `name: live
job: fault
space: {x: {from: 1, to: 6000, step: 1}, sleep_us: [4000], fail: [0.01]}
derived: {cost: "(x * 7919) % 1009", gain: "(x * 104729) % 997"}
limits: {attempts: 1}
objectives: [{cost: min}, {gain: max}]
`);
  const running = serve(['run', join(folder, 'live.yaml'), '--db', live, '--progress', 'none', '-j', '2', '--dash', '127.0.0.1:0']);
  const at = await running.url;
  const { page, context, wrong } = await openPage(browser, at);
  page.setDefaultTimeout(WAIT);
  await page.goto(`${at}#/sweeps/live/front`);
  const recorded = async () => Number((await page.getByTestId('recorded').innerText()).replace(/ of.*|,/g, ''));
  await drawn(page);
  const first = await recorded();
  await page.waitForFunction((n) => Number(document.querySelector('[data-testid=recorded]').textContent.replace(/ of.*|,/g, '')) > n + 300, first);
  const now = await recorded();
  await page.waitForFunction((n) => Number(document.querySelector('[data-testid=count]').textContent.replace(/,/g, '').match(/\d+/)[0]) >= n, now);
  assert.ok((await countOf(page)) >= now);
  assert.match(await page.locator('.live').innerText(), /^live$/);
  await page.goto(`${at}#/workers`);
  await page.getByText('connected').first().waitFor();
  await page.locator('.workers table tbody tr').first().waitFor();
  assert.deepEqual(wrong, []);
  await context.close();
  await running.stop();
});
