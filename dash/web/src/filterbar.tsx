// What is selected, and how: a chip for each brush, SQL, feasibility. Shared by every view of a sweep.
import { useEffect, useState } from 'preact/hooks';
import { group, withUnit } from './format';
import { filter, q, setQuery, setRange } from './route';
import * as s from './sweepstate';
import { Toggle } from './ui';

function rangeWords(column: string, lo: number, hi: number): string {
  const c = s.column(column);
  if (c?.type === 'text') return `${column}: part`;
  return `${column}  ${withUnit(lo, c?.unit ?? '', 4)} to ${withUnit(hi, c?.unit ?? '', 4)}`;
}

export function FilterBar() {
  const f = filter.value;
  const c = s.counts.value;
  const [text, setText] = useState(f.where);
  useEffect(() => setText(f.where), [f.where]);
  const any = f.ranges.length > 0 || !!f.lasso || !!f.where;
  return (
    <section class="filterbar" aria-label="Selection">
      <form class="sql" onSubmit={(e) => { e.preventDefault(); setQuery({ where: text.trim() }, true); }}>
        <label for="where">Where</label>
        <input id="where" type="text" value={text} spellcheck={false} autocomplete="off" autocapitalize="off" maxLength={2000}
          placeholder={example()} onInput={(e) => setText(e.currentTarget.value)} aria-invalid={!!s.filterError.value}
          aria-describedby={s.filterError.value ? 'where-error' : undefined} />
        <button type="submit">Select</button>
      </form>
      {!!s.schema.value?.constraints.length && (
        <Toggle label="feasible only" on={f.feasible} onChange={(on) => setQuery({ feasible: on ? '1' : null }, true)}
          title={s.schema.value.constraints.join(' and ')} />
      )}
      <p class="count" role="status" aria-live="polite" data-testid="count">
        {s.loading.value ? (
          <>reading {group(s.summary.value?.recorded ?? 0)} rows…</>
        ) : s.truncated.value ? (
          <>{group(c.total)} rows: more than the {group(s.ROWS_MAX)} that a page holds, so the server&rsquo;s density is shown{any && c.rows > 0 && <>; <strong>{group(c.selected)}</strong> of the first {group(c.rows)} selected</>}</>
        ) : s.behind.value ? (
          <>reading: <strong>{group(c.rows)}</strong> of {group(c.total)} trials</>
        ) : any ? (
          <><strong>{group(c.selected)}</strong> of {group(c.shown)} selected</>
        ) : (
          <><strong>{group(c.shown)}</strong> {c.shown === 1 ? 'trial' : 'trials'}{c.shown !== c.rows && ` of ${group(c.rows)}`}</>
        )}
      </p>
      {any && (
        <ul class="chips" aria-label="Filters">
          {f.ranges.map((r) => (
            <li key={r.column}>
              <button type="button" onClick={() => setRange(r.column, null)} aria-label={`Remove the range of ${r.column}`}>{rangeWords(r.column, r.lo, r.hi)} <span aria-hidden="true">×</span></button>
            </li>
          ))}
          {f.lasso && <li><button type="button" onClick={() => setQuery({ lasso: null }, true)} aria-label="Remove the lasso">lasso <span aria-hidden="true">×</span></button></li>}
          {f.where && <li><button type="button" onClick={() => setQuery({ where: null }, true)} aria-label="Remove the SQL condition"><code>{f.where}</code> <span aria-hidden="true">×</span></button></li>}
          <li><button type="button" class="link" onClick={() => setQuery({ r: null, lasso: null, where: null }, true)}>clear all</button></li>
        </ul>
      )}
      {s.filterError.value && <p class="notice bad" id="where-error" role="alert">{s.filterError.value}</p>}
    </section>
  );
}

function example(): string {
  const c = s.numeric.value.find((v) => v.role === 'param') ?? s.numeric.value[0];
  return c ? `an SQL condition, such as ${c.name} > ${c.type === 'int' ? 64 : 0.5}` : 'an SQL condition';
}

export const anyFilter = () => filter.value.ranges.length > 0 || !!filter.value.lasso || !!filter.value.where;
export const onlySelected = () => q('only') !== '0' && anyFilter();
