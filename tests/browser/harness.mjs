// What the browser tests share: a store, a server, Chromium.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const here = dirname(fileURLToPath(import.meta.url));
export const root = resolve(here, '../..');
export const skyline = process.env.SKYLINE ?? join(root, 'build/bin/skyline');

if (!existsSync(skyline)) throw new Error(`${skyline} is not built: ninja -C build skyline, or set SKYLINE`);

// A folder of its own, gone at the end.
export function workFolder() {
  const path = mkdtempSync(join(tmpdir(), 'skyline-page-'));
  process.on('exit', () => rmSync(path, { recursive: true, force: true }));
  return path;
}

// A sweep of 1,037,232 points that a computer evaluates in two seconds; with a larger `last`, one that goes on.
export function millionSweep(folder, name = 'million', last = 150) {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, `name: ${name}
job: gemm
space:
  m: [196, 784, 1568, 3136]
  n: [64, 128, 256, 512]
  k: [576, 1152, 2304]
  rows: {from: 4, to: ${last}, step: 1}
  cols: {from: 4, to: 150, step: 1}
derived: {pes: "rows * cols"}
objectives: [{cycles: min}, {pes: min}]
`);
  return file;
}

// Runs to its end; a sweep with failed trials exits 1, which is fine here.
export function run(args, codes = [0, 1]) {
  const r = spawnSync(skyline, args, { encoding: 'utf8', timeout: 120000, maxBuffer: 1 << 28 });
  if (!codes.includes(r.status)) throw new Error(`skyline ${args.join(' ')}: ${r.status ?? r.signal}\n${r.stderr}`);
  return r.stdout;
}

const children = new Set();
process.on('exit', () => children.forEach((c) => c.kill('SIGKILL')));

// A program that prints the address of its dashboard.
export function serve(args) {
  const child = spawn(skyline, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let text = '';
  const url = new Promise((done, failed) => {
    const look = (chunk) => {
      text += chunk;
      const found = /http:\/\/[\d.]+:\d+\//.exec(text);
      if (found) done(found[0]);
    };
    child.stdout.on('data', look);
    child.stderr.on('data', look);
    child.on('exit', (code) => {
      children.delete(child);
      failed(new Error(`skyline ${args.join(' ')} ended with ${code}\n${text}`));
    });
    setTimeout(() => failed(new Error(`no address within 20 s\n${text}`)), 20000).unref();
  });
  const stop = () => new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done();
    child.once('exit', done);
    child.kill('SIGINT');
    setTimeout(() => child.kill('SIGKILL'), 5000).unref();
  });
  return { url, stop, child };
}

export const flags = ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-default-apps', '--disable-sync', '--no-first-run', '--enable-precise-memory-info'];

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [...flags, '--enable-unsafe-swiftshader'], // WebGL 2 without a GPU; all else stays as it is without one
  });
}

// A page that notes what must never be: errors, refused policy, requests elsewhere.
export async function openPage(browser, url, options = {}) {
  const { width = 1440, height = 900, ...rest } = options;
  const context = await browser.newContext({ viewport: { width, height }, acceptDownloads: true, ...rest });
  const page = await context.newPage();
  const wrong = [];
  page.on('pageerror', (e) => wrong.push(`error: ${e.message}`));
  page.on('console', (m) => {
    if (m.type() === 'error' && !/the server responded with a status of 4\d\d/.test(m.text())) wrong.push(`console: ${m.text()}`);
  });
  const origin = new URL(url).origin;
  page.on('request', (r) => {
    if (!r.url().startsWith(origin) && !/^(data|blob):/.test(r.url())) wrong.push(`request elsewhere: ${r.url()}`);
  });
  return { page, context, wrong };
}
