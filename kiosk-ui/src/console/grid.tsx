import { Tooltip } from 'antd';
import { memo, useCallback, useEffect, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';
import { flushSync } from 'react-dom';
import type { DeviceRow } from '../core/types';
import { rowAt, type Windows } from './windows';

export const ROW = 36; // px
const HEAD = 38;
const AROUND = 24; // rows drawn above and below what is visible: what a fast flick shows before the next paint
const STEP = 8; // the drawn range moves by so many rows

export type Column = { key: string; title: ReactNode; tip?: ReactNode; width: number; sort?: string; cell: (r: DeviceRow, gone: boolean) => ReactNode };

export type GridProps = {
  windows: Windows;
  columns: readonly Column[];
  sort: string;
  selected: string;
  label: string;
  busy: boolean; // what is shown is of the former filter
  start: number; // the row to begin at
  onSort: (sort: string) => void;
  onOpen: (id: string) => void;
  onLook: (first: number, last: number) => void;
  empty: ReactNode;
};

/**
 * A table as long as the server says it is: rows of one height in a scroller of the whole length, of which only those near
 * the sight exist. One stop of the Tab key; arrows, Page, Home and End move, Enter opens.
 */
export function Grid(p: GridProps) {
  const { windows: w, onLook } = p;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ top: 0, height: 0 });
  const [at, setAt] = useState(0);
  const total = w.total;
  const first = Math.min(Math.max(0, total - 1), Math.floor(view.top / ROW));
  const last = Math.min(total - 1, Math.ceil((view.top + view.height) / ROW));

  // Scrolling draws at once when the drawn range has to move: the compositor is already there.
  const drawn = useRef({ from: 0, to: 0 });
  const onScroll = useCallback(() => {
    const el = box.current;
    if (el === null) return;
    const height = el.clientHeight - HEAD;
    const now = { top: el.scrollTop, height };
    const a = Math.floor(now.top / ROW);
    const z = Math.ceil((now.top + height) / ROW);
    onLook(a, z);
    if (a - STEP < drawn.current.from || z + STEP > drawn.current.to) flushSync(() => setView(now));
  }, [onLook]);
  useLayoutEffect(() => {
    const el = box.current;
    if (el === null) return;
    const seen = new ResizeObserver(() => setView({ top: el.scrollTop, height: el.clientHeight - HEAD }));
    seen.observe(el);
    return () => seen.disconnect();
  }, []);

  // Another list begins at its place; a list that has just learned its length can go there now.
  const started = useRef(-1);
  useLayoutEffect(() => {
    const el = box.current;
    if (el === null || total === 0 || started.current === p.start) return;
    started.current = p.start;
    el.scrollTop = p.start * ROW;
    setAt(p.start);
    setView({ top: el.scrollTop, height: el.clientHeight - HEAD });
  }, [p.start, total]);
  useEffect(() => { onLook(first, Math.max(first, last)); }, [onLook, first, last]);

  const go = (place: number) => {
    const el = box.current;
    if (el === null || total === 0) return;
    const n = Math.min(total - 1, Math.max(0, place));
    setAt(n);
    const room = el.clientHeight - HEAD;
    if (n * ROW < el.scrollTop) el.scrollTop = n * ROW;
    else if ((n + 1) * ROW > el.scrollTop + room) el.scrollTop = (n + 1) * ROW - room;
  };
  const onKey = (e: KeyboardEvent) => {
    if (e.target !== box.current) return;
    const page = Math.max(1, Math.floor(view.height / ROW) - 1);
    const to: Partial<Record<string, number>> = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: total - 1 };
    const n = to[e.key];
    if (n !== undefined) {
      e.preventDefault();
      go(n);
    } else if (e.key === 'Enter' || e.key === ' ') {
      const r = rowAt(w, at);
      if (r === undefined) return;
      e.preventDefault();
      p.onOpen(r.id);
    }
  };

  const from = Math.max(0, Math.floor((first - AROUND) / STEP) * STEP);
  const to = Math.min(total, Math.ceil((last + AROUND) / STEP) * STEP);
  drawn.current = { from: from === 0 ? -STEP : from, to: to === total ? total + 2 * STEP : to };
  const pool = 2 * AROUND + 3 * STEP + Math.ceil(view.height / ROW);
  const wide = p.columns.reduce((sum, c) => sum + c.width, 0);
  const template = p.columns.map((c) => `minmax(${c.width}px, ${c.width}fr)`).join(' ');
  const active = at >= from && at < to ? `row-${at}` : undefined;
  const rows: ReactNode[] = [];
  for (let i = from; i < to; i++) {
    const r = rowAt(w, i);
    rows.push(
      <Line
        key={i % pool} // places that leave at one end are used again at the other
        place={i}
        row={r}
        columns={p.columns}
        template={template}
        selected={r !== undefined && r.id === p.selected}
        active={i === at}
        gone={r !== undefined && w.gone.has(r.id)}
        onOpen={p.onOpen}
        onPoint={setAt}
      />,
    );
  }
  return (
    <div
      ref={box} className="grid" role="grid" tabIndex={0} aria-label={p.label} aria-busy={p.busy} aria-rowcount={total + 1} aria-colcount={p.columns.length}
      aria-activedescendant={active} onScroll={onScroll} onKeyDown={onKey}
    >
      <div className="ghead" role="rowgroup" style={{ minWidth: wide }}>
        <div role="row" aria-rowindex={1} className="grow1" style={{ gridTemplateColumns: template }}>
          {p.columns.map((c) => <Head key={c.key} column={c} sort={p.sort} onSort={p.onSort} />)}
        </div>
      </div>
      <div className="gbody" role="rowgroup" style={{ height: total * ROW, minWidth: wide }}>{rows}</div>
      {total === 0 && p.empty}
    </div>
  );
}

function Head({ column: c, sort, onSort }: { column: Column; sort: string; onSort: (s: string) => void }) {
  const current = sort === '' ? 'name' : sort;
  const way = c.sort === undefined ? undefined : current === c.sort ? 'ascending' : current === `-${c.sort}` ? 'descending' : 'none';
  const next = way === 'ascending' ? `-${c.sort ?? ''}` : (c.sort ?? '');
  const sorter = (
    <button type="button" className="sorter" onClick={() => onSort(next === 'name' ? '' : next)}>
      {c.title}<i aria-hidden="true">{way === 'ascending' ? '▲' : way === 'descending' ? '▼' : ''}</i>
    </button>
  );
  return (
    <div role="columnheader" {...(way === undefined ? {} : { 'aria-sort': way })}>
      {c.sort === undefined ? c.title : c.tip === undefined ? sorter : <Tooltip trigger={['hover', 'focus']} styles={{ root: { maxWidth: 460 } }} title={c.tip}>{sorter}</Tooltip>}
    </div>
  );
}

type LineProps = {
  place: number; row: DeviceRow | undefined; columns: readonly Column[]; template: string; selected: boolean; active: boolean; gone: boolean;
  onOpen: (id: string) => void; onPoint: (place: number) => void;
};

const Line = memo(function Line({ place, row, columns, template, selected, active, gone, onOpen, onPoint }: LineProps) {
  const open = () => {
    if (row === undefined) return;
    onPoint(place);
    onOpen(row.id);
  };
  return (
    <div
      id={`row-${place}`} role="row" aria-rowindex={place + 2} aria-selected={selected} onClick={open} data-id={row?.id}
      className={`grow1 line${selected ? ' sel' : ''}${active ? ' at' : ''}${gone ? ' gone' : ''}${row === undefined ? ' blank' : ''}`}
      style={{ transform: `translateY(${place * ROW}px)`, gridTemplateColumns: template }}
    >
      {columns.map((c) => <div key={c.key} role="gridcell">{row === undefined ? <i className="ghost" /> : c.cell(row, gone)}</div>)}
    </div>
  );
});
