// Chromium without a test library in the way: the DevTools protocol over a pipe. For memory: what drives a page
// usually keeps every answer that it got (and its body) for whoever asks later, in the very process that is measured.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flags } from './harness.mjs';

export async function openBare() {
  const profile = mkdtempSync(join(tmpdir(), 'skyline-bare-'));
  const child = spawn(process.env.CHROMIUM ?? '/usr/bin/chromium',
    [...flags, '--headless=new', '--remote-debugging-pipe', `--user-data-dir=${profile}`, '--window-size=1440,900', 'about:blank'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const waiting = new Map();
  const workers = []; // sessions of the page's workers
  let last = 0;
  let text = '';
  child.stdio[4].setEncoding('utf8').on('data', (chunk) => {
    const parts = (text + chunk).split('\0');
    text = parts.pop();
    for (const m of parts.map((p) => JSON.parse(p))) {
      if (m.method === 'Target.attachedToTarget' && m.params.targetInfo.type === 'worker') workers.push(m.params.sessionId);
      const w = waiting.get(m.id);
      waiting.delete(m.id);
      if (m.error) w?.failed(new Error(m.error.message));
      else w?.done(m.result);
    }
  });
  const send = (method, params = {}, sessionId = undefined) => new Promise((done, failed) => {
    waiting.set(++last, { done, failed });
    child.stdio[3].write(`${JSON.stringify({ id: last, method, params, sessionId })}\0`);
  });
  const kill = () => {
    child.kill('SIGKILL');
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  };
  process.on('exit', kill);
  const close = async () => {
    await send('Browser.close').catch(() => 0);
    if (child.exitCode === null) await new Promise((done) => child.once('exit', done));
  };
  const { targetId } = await send('Target.createTarget', { url: 'about:blank' });
  const { sessionId: page } = await send('Target.attachToTarget', { targetId, flatten: true });
  await send('Target.setAutoAttach', { autoAttach: true, waitForDebuggerOnStart: false, flatten: true }, page);
  const evaluate = async (expression) => {
    const r = await send('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true }, page);
    if (r.exceptionDetails) throw new Error(r.exceptionDetails.exception?.description ?? r.exceptionDetails.text);
    return r.result.value;
  };
  const go = (url) => send('Page.navigate', { url }, page);
  const version = async () => (await send('Browser.getVersion')).product;
  return { send, evaluate, go, close, version, page, workers };
}

// The least of three, each after a whole collection: an answer that has just come is no leak.
async function heapOf(browser, session) {
  let least = null;
  for (let i = 0; i < 3; i++) {
    await browser.send('HeapProfiler.collectGarbage', {}, session);
    const u = await browser.send('Runtime.getHeapUsage', {}, session);
    if (!least || u.usedSize < least.usedSize) least = u;
    await new Promise((done) => setTimeout(done, 130));
  }
  return least;
}

// Resident memory of a process that is its own, in bytes.
export const residentOf = (pid) => 1024 * Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0);

export async function memoryOf(browser) {
  const page = await heapOf(browser, browser.page);
  const worker = browser.workers.length ? await heapOf(browser, browser.workers[0]) : null;
  const { processInfo } = await browser.send('SystemInfo.getProcessInfo');
  const renderer = Math.max(...processInfo.filter((p) => p.type === 'renderer').map((p) => residentOf(p.id)));
  return { page_heap: page.usedSize, worker_heap: worker?.usedSize ?? 0, worker_arrays: worker?.backingStorageSize ?? 0, renderer };
}

// Least squares: how much y grows for each unit of x.
export function slope(points) {
  const n = points.length;
  const mx = points.reduce((a, [x]) => a + x, 0) / n;
  const my = points.reduce((a, [, y]) => a + y, 0) / n;
  return points.reduce((a, [x, y]) => a + (x - mx) * (y - my), 0) / points.reduce((a, [x]) => a + (x - mx) ** 2, 0);
}
