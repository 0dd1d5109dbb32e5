// The page's side of the worker: one question, one promised answer.
import type { Calls, Kind } from './engine/messages';

const waiting = new Map<number, { resolve: (out: any) => void; reject: (e: Error) => void }>();
let last = 0;

// Made when it is first needed: a page's first picture does not wait for it.
let worker: Worker | null = null;
function begin(): Worker {
  const made = new Worker(new URL('./engine/engine.worker.ts', import.meta.url), { type: 'module' });
  made.onmessage = onMessage;
  made.onerror = onError;
  return made;
}

const onMessage = (event: MessageEvent<{ id: number; out?: unknown; error?: string }>) => {
  const { id, out, error } = event.data;
  const w = waiting.get(id);
  waiting.delete(id);
  if (error !== undefined) w?.reject(new Error(error));
  else w?.resolve(out);
};
const onError = (event: ErrorEvent) => {
  const e = new Error(event.message || 'the drawing worker stopped');
  for (const w of waiting.values()) w.reject(e);
  waiting.clear();
};

export function ask<K extends Kind>(kind: K, q: Calls[K]['in']): Promise<Calls[K]['out']> {
  const id = ++last;
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve, reject });
    (worker ??= begin()).postMessage({ id, kind, q });
  });
}

// Runs at most one task at a time, and after it once more if it was asked for meanwhile: a slow answer
// never makes a queue.
export function latest(task: () => Promise<void>): () => void {
  let running = false;
  let again = false;
  const go = async () => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      await task();
    } while (again);
    running = false;
  };
  return () => void go();
}
