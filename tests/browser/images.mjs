// Takes the pictures of docs/images that show the dashboard, of the demo's sweep.
import { join } from 'node:path';
import { launch, openPage, root, run, serve, workFolder } from './harness.mjs';

const db = join(workFolder(), 'demo.db');
run(['run', join(root, 'sweeps/examples/flexsa-resnet50.yaml'), '--db', db, '--progress', 'none'], [0]);
const server = serve(['dash', '--db', db, '--listen', '127.0.0.1:0']);
const url = await server.url;
const browser = await launch();
const PICTURES = [
  ['dash-front', 'front', { width: 1280, height: 960 }, /each drawn as a point/],
  ['dash-front-dark', 'front', { width: 1280, height: 960, colorScheme: 'dark' }, /each drawn as a point/],
  ['dash-parallel', 'parallel?colour=width_kept&r=pe_utilization:0.8:1', { width: 1280, height: 820 }, /drawn as bands|a line each/],
  ['dash-phone', 'front', { width: 390, height: 844 }, /each drawn as a point/],
];
for (const [name, view, looks, ready] of PICTURES) {
  const { page, context } = await openPage(browser, url, looks);
  await page.goto(`${url}#/sweeps/flexsa-resnet50/${view}`);
  await page.getByText(ready).first().waitFor({ timeout: 20000 });
  await page.waitForTimeout(1500); // the front, its growth and the last frame
  await page.screenshot({ path: join(root, 'docs/images', `${name}.png`) });
  await context.close();
}
await browser.close();
await server.stop();
console.log(`${PICTURES.length} pictures in docs/images`);
