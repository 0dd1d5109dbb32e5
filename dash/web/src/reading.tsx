// The card beside a point: which trial it is, its exact values.
import { useEffect, useState } from 'preact/hooks';
import { fraction, type Box, type Scale } from './axis';
import { rowsOf } from './client';
import { exact, withUnit } from './format';
import * as s from './sweepstate';
import { TrialLink } from './ui';

export interface Cursor {
  trial: number;
  x: number;
  y: number;
  place?: number; // on the front
  of?: number;
  pinned: boolean;
}

const WAIT_MS = 90; // a pointer that only passes asks nothing

export function Reading({ cursor, box, x, y, width, onClose }: { cursor: Cursor; box: Box; x: Scale; y: Scale; width: number; onClose: () => void }) {
  const [row, setRow] = useState<Record<string, any> | null>(null);
  useEffect(() => {
    setRow(null);
    let gone = false;
    const timer = setTimeout(() => {
      rowsOf(s.name.value, [cursor.trial]).then((rows) => !gone && setRow(rows[0]), () => 0);
    }, WAIT_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [cursor.trial]);
  const px = box.left + fraction(x, cursor.x) * box.width;
  const py = box.top + (1 - fraction(y, cursor.y)) * box.height;
  const left = px > width / 2;
  const columns = s.schema.value?.columns ?? [];
  const shown = columns.filter((c) => c.role === 'param' || c.role === 'metric' || c.role === 'derived').filter((c) => c.name !== x.column && c.name !== y.column);
  const text = (name: string, approx: number, unit: string) => {
    const v = row?.[name];
    return typeof v === 'number' ? withUnit(v, unit, 6) : typeof v === 'string' ? v : x.texts && name === x.column ? x.texts[approx] : withUnit(approx, unit, 4);
  };
  return (
    <>
      <svg class="over cursor" width={width} height={box.top + box.height + 20} aria-hidden="true"><circle cx={px} cy={py} r={8} /></svg>
      <div class={`reading ${cursor.pinned ? 'pinned' : ''}`} style={{ left: left ? 'auto' : `${px + 16}px`, right: left ? `${width - px + 16}px` : 'auto', top: `${Math.max(4, Math.min(py - 20, box.top + box.height - 150))}px` }}>
        <p class="reading-head">
          <TrialLink sweep={s.name.value} trial={cursor.trial}>trial {cursor.trial}</TrialLink>
          {cursor.place !== undefined && <span class="muted"> · {cursor.place + 1} of {cursor.of} on the front</span>}
          {cursor.pinned && <button type="button" class="close" aria-label="Close" onClick={onClose}>×</button>}
        </p>
        <dl>
          {[x, y].map((a, i) => <div key={`${a.column}${i}`} class="strong"><dt>{a.column}</dt><dd>{text(a.column, i === 0 ? cursor.x : cursor.y, a.unit)}</dd></div>)}
          {row && shown.slice(0, 9).map((c) => (
            <div key={c.name}><dt>{c.name}</dt><dd>{typeof row[c.name] === 'number' ? withUnit(row[c.name], c.unit, 5) : exact(row[c.name])}</dd></div>
          ))}
        </dl>
      </div>
    </>
  );
}
