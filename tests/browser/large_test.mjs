// A sweep with more rows than a page holds: the server's density is shown, of all rows, and the page says so.
// Making it takes a while: only with SKYLINE_LONG.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { launch, openPage, run, serve, workFolder } from './harness.mjs';

const ROWS = 2_300_000;
const HELD = 2_000_000;

test('beyond two million rows', { skip: !process.env.SKYLINE_LONG, timeout: 300000 }, async (t) => {
  const folder = workFolder();
  const db = join(folder, 'large.db');
  // The last rows are the best and the furthest out: what looked at the first two million only would miss them.
  writeFileSync(join(folder, 'large.yaml'), `name: large
job: noop
space: {x: {from: 1, to: ${ROWS}, step: 1}}
derived: {cost: "1 + (x * 7919) % 100003 + x / 10.0", gain: "(x * 104729) % 99991 + x / 5.0"}
objectives: [{cost: min}, {gain: max}]
`);
  run(['run', join(folder, 'large.yaml'), '--db', db, '--progress', 'none'], [0]);
  const server = serve(['dash', '--db', db, '--listen', '127.0.0.1:0']);
  const url = await server.url;
  const browser = await launch();
  t.after(async () => {
    await browser.close();
    await server.stop();
  });
  const { page, wrong } = await openPage(browser, url);
  page.setDefaultTimeout(60000);
  await page.goto(`${url}#/sweeps/large/front`);
  await page.getByText(`${ROWS.toLocaleString('en')} trials, counted by the server.`).waitFor();
  await page.getByText(/2,300,000 rows: more than the 2,000,000 that a page holds/).waitFor();

  // The axes reach to the last row, and every trial is in view; the front is of all rows.
  const rows = JSON.parse(run(['front', 'large', '--db', db, '--format', 'json'], [0]));
  const trials = rows.map((r) => r.trial).sort((a, b) => a - b);
  assert.ok(trials[trials.length - 1] > HELD, 'a trial beyond those held is on the front');
  await page.waitForFunction((n) => document.querySelectorAll('.front-list tbody tr').length === n, Math.min(200, trials.length));
  const shown = (await page.locator('.front-list tbody td:first-child').allInnerTexts()).map(Number).sort((a, b) => a - b);
  assert.deepEqual(shown, trials.slice(0, 200));
  const colours = () => page.locator('canvas.dots').evaluate((c) => {
    const data = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
    let ink = 0;
    let coloured = 0;
    for (let i = 0; i < data.length; i += 4) {
      if (!data[i + 3]) continue;
      ink++;
      if (Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 25) coloured++;
    }
    return { ink, coloured };
  });
  const before = await colours();
  assert.ok(before.ink > 10000 && before.coloured > 0.9 * before.ink, JSON.stringify(before));

  // A brush: what lies in it keeps its colour, the rest is pale; the count is of the rows held, and says so.
  await page.getByText(/^the first 2,000,000 rows$/).waitFor();
  const box = await page.locator('[data-plot=main]').boundingBox();
  await page.mouse.move(box.x + 0.5 * box.width, box.y + 0.1 * box.height);
  await page.mouse.down();
  await page.mouse.move(box.x + 0.7 * box.width, box.y + 0.4 * box.height);
  await page.mouse.move(box.x + 0.85 * box.width, box.y + 0.6 * box.height);
  await page.mouse.up();
  await page.getByText(/[\d,]+ of the first 2,000,000 selected/).waitFor();
  const query = new URLSearchParams(new URL(page.url()).hash.split('?')[1]);
  const where = query.getAll('r').map((r) => r.split(':')).map(([c, lo, hi]) => `${c} BETWEEN ${lo} AND ${hi}`).join(' AND ');
  const [{ n, held }] = JSON.parse(run(['sql', '--db', db, '--format', 'json', `SELECT count(*) AS n, sum(trial < ${HELD}) AS held FROM large WHERE ${where}`], [0]));
  assert.ok(n > held && held > 0, `${n} in the brush, ${held} of them held`);
  await page.getByText(`${n.toLocaleString('en')} of ${ROWS.toLocaleString('en')} trials are in the brush, counted by the server.`).waitFor();
  const said = Number((await page.getByText(/of the first 2,000,000 selected/).innerText()).match(/([\d,]+) of the first/)[1].replace(/,/g, ''));
  assert.ok(Math.abs(said - held) <= 2 + held * 1e-5, `${said} selected, expected ${held}`); // ends are floats there
  const after = await colours();
  assert.ok(after.coloured < 0.8 * after.ink && after.coloured > 0, JSON.stringify(after));

  // The table: the first rows, and only those that are selected.
  await page.waitForFunction((k) => Number(document.querySelector('[data-testid=table]').dataset.rows) === k, said);
  // Zoomed: a window of the server's density.
  await page.locator('.segmented button', { hasText: 'Pan' }).click();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.mouse.wheel(0, -400);
  await page.waitForFunction(() => location.hash.includes('zoom='));
  await page.getByText(/counted by the server/).waitFor();
  for (const view of ['parallel', 'table', 'importance']) {
    await page.goto(`${url}#/sweeps/large/${view}`);
    await page.waitForTimeout(1500);
  }
  assert.deepEqual(wrong, []);
});
