// Small parts that the views share.
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { href } from './route';

export function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const e = ref.current;
    if (!e) return;
    setWidth(Math.floor(e.clientWidth));
    const observer = new ResizeObserver(() => setWidth(Math.floor(e.clientWidth)));
    observer.observe(e);
    return () => observer.disconnect();
  }, []);
  return [ref, width] as const;
}

export function Select(p: {
  label: string;
  value: string;
  options: { value: string; text: string; group?: string }[];
  onChange: (v: string) => void;
  hideLabel?: boolean;
}) {
  const id = useId();
  const groups = [...new Set(p.options.map((o) => o.group ?? ''))];
  const items = (g: string) =>
    p.options.filter((o) => (o.group ?? '') === g).map((o) => <option key={o.value} value={o.value}>{o.text}</option>);
  return (
    <div class="field">
      <label for={id} class={p.hideLabel ? 'unseen' : ''}>{p.label}</label>
      <select id={id} value={p.value} onChange={(e) => p.onChange(e.currentTarget.value)}>
        {groups.map((g) => (g ? <optgroup key={g} label={g}>{items(g)}</optgroup> : items(g)))}
      </select>
    </div>
  );
}

export function Toggle(p: { label: string; on: boolean; onChange: (on: boolean) => void; title?: string }) {
  return (
    <label class="toggle" title={p.title}>
      <input type="checkbox" checked={p.on} onChange={(e) => p.onChange(e.currentTarget.checked)} />
      <span>{p.label}</span>
    </label>
  );
}

export function Segmented<T extends string>(p: { label: string; value: T; options: { value: T; text: string }[]; onChange: (v: T) => void }) {
  return (
    <div class="segmented" role="group" aria-label={p.label}>
      {p.options.map((o) => (
        <button key={o.value} type="button" aria-pressed={o.value === p.value} onClick={() => p.onChange(o.value)}>{o.text}</button>
      ))}
    </div>
  );
}

// A menu that opens below its button; closes on Escape and on a click elsewhere.
export function Menu(p: { label: ComponentChildren; children: ComponentChildren; align?: 'right' }) {
  const ref = useRef<HTMLDetailsElement>(null);
  useEffect(() => {
    const close = (e: Event) => {
      const d = ref.current;
      if (!d?.open) return;
      if (e instanceof KeyboardEvent ? e.key === 'Escape' : !d.contains(e.target as Node)) {
        d.open = false;
        if (e instanceof KeyboardEvent) d.querySelector('summary')?.focus();
      }
    };
    addEventListener('pointerdown', close);
    addEventListener('keydown', close);
    return () => {
      removeEventListener('pointerdown', close);
      removeEventListener('keydown', close);
    };
  }, []);
  return (
    <details class={`menu ${p.align ?? ''}`} ref={ref}>
      <summary>{p.label}</summary>
      <div class="sheet">{p.children}</div>
    </details>
  );
}

export const Notice = (p: { kind?: 'bad'; children: ComponentChildren }) => (
  <p class={`notice ${p.kind ?? ''}`} role={p.kind === 'bad' ? 'alert' : undefined}>{p.children}</p>
);

export function Empty(p: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{p.title}</p>
      {p.children}
    </div>
  );
}

export const TrialLink = (p: { sweep: string; trial: number; children?: ComponentChildren }) => (
  <a href={href(['sweeps', p.sweep, 'trials', String(p.trial)])}>{p.children ?? p.trial}</a>
);

export const State = ({ state }: { state: string }) => <span class={`state ${state}`}>{state}</span>;

export function Bar(p: { value: number; failed?: number; label: string }) {
  const pc = (x: number) => `${(100 * Math.min(1, Math.max(0, x))).toFixed(2)}%`;
  return (
    <div class={`bar ${p.value >= 1 && !p.failed ? 'complete' : ''}`} role="progressbar" aria-label={p.label} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(100 * p.value)}>
      <div class="done" style={{ width: pc(p.value) }} />
      {!!p.failed && <div class="failed" style={{ width: pc(Math.max(p.failed, 0.004)) }} />}
    </div>
  );
}
