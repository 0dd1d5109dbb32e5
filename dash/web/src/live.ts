// News from the server. Browsers allow some six connections to a host, so the tabs of one browser share
// one event stream where the browser can say who holds it.
import { signal } from '@preact/signals';
import { getJson, type Info, type Live, type Status, type SweepSummary } from './client';

export const info = signal<Info | null>(null);
export const sweeps = signal<SweepSummary[] | null>(null);
export const status = signal<Status | null>(null);
// The state of the coordinator and its workers, while somebody looks at it.
export const live = signal<Live | null>(null);
export function followLive(): () => void {
  if (!info.value?.live) return () => {};
  const look = () => void getJson<Live>('/api/v1/live').then((v) => (live.value = v), () => 0);
  look();
  const timer = setInterval(look, 1000);
  return () => clearInterval(timer);
}

export const connected = signal(false);
export const problem = signal('');

let reading: Promise<void> | null = null;
const reread = () => (reading ??= readList().finally(() => (reading = null)));

async function readList() {
  sweeps.value = (await getJson<{ sweeps: SweepSummary[] }>('/api/v1/sweeps')).sweeps;
}

// An event tells of the sweeps that changed.
function merge(changed: SweepSummary[], gone: number[]) {
  const byId = new Map((sweeps.value ?? []).map((s) => [s.id, s]));
  changed.forEach((s) => byId.set(s.id, s));
  gone.forEach((id) => byId.delete(id));
  sweeps.value = [...byId.values()].sort((a, b) => b.id - a.id);
}

function take(kind: string, data: string) {
  try {
    if (kind === 'reset') {
      void reread().catch(() => 0);
    } else if (kind === 'sweeps') {
      const event = JSON.parse(data);
      if (sweeps.value) merge(event.sweeps, event.gone ?? []);
      else void reread().catch(() => 0);
    } else if (kind === 'status') {
      status.value = JSON.parse(data);
    } else if (kind === 'connected') {
      connected.value = data === '1';
      problem.value = connected.value ? '' : 'The connection is lost; trying again.';
    }
  } catch {
    problem.value = 'The server sent an event that is not JSON.';
  }
}

const channel = 'BroadcastChannel' in self ? new BroadcastChannel('skyline-events') : null;

function hold() {
  const source = new EventSource('/api/v1/events');
  const share = (kind: string, data: string) => {
    take(kind, data);
    channel?.postMessage({ kind, data });
  };
  for (const kind of ['reset', 'sweeps', 'status']) source.addEventListener(kind, (e) => share(kind, (e as MessageEvent).data));
  source.onopen = () => share('connected', '1');
  source.onerror = () => share('connected', '0');
  // A tab that opens later is told the present state.
  channel?.addEventListener('message', (e) => {
    if (e.data?.kind !== 'hello') return;
    channel.postMessage({ kind: 'reset', data: '{}' });
    if (status.value) channel.postMessage({ kind: 'status', data: JSON.stringify(status.value) });
    channel.postMessage({ kind: 'connected', data: connected.value ? '1' : '0' });
  });
}

export async function beginLive() {
  channel?.addEventListener('message', (e) => {
    if (e.data?.kind && e.data.kind !== 'hello') take(e.data.kind, e.data.data);
  });
  if (channel && navigator.locks) {
    channel.postMessage({ kind: 'hello' });
    void navigator.locks.request('skyline-events', () => {
      hold();
      return new Promise<void>(() => {}); // until this tab goes
    });
  } else {
    hold();
  }
  try {
    const [said] = await Promise.all([getJson<Info>('/api/v1/info'), reread()]);
    info.value = said;
  } catch (e) {
    problem.value = `The server does not answer: ${(e as Error).message}`;
  }
}
