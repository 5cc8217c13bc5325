import type { DeviceRow } from '../core/types';

/**
 * The device list as the page holds it: as many places as the server counted, filled window by window with what was
 * scrolled to. Pure: pages, deltas and the visible range in, places and wishes out.
 *
 * Order: a row keeps its place until the operator asks for the list anew. A row that changes stays where it is, a row
 * that leaves the filter stays and is marked, new ones wait: nothing moves under the pointer (ui.md §13).
 */
export const PAGE = 200; // rows of one question, as many as the server gives
const KEPT = 40; // windows in memory: 8,000 rows, whatever the list's length

export type Windows = {
  total: number; // places, as counted when the order was made
  now: number; // as counted last
  pages: ReadonlyMap<number, Page>;
  where: ReadonlyMap<string, number>; // id -> place
  gone: ReadonlySet<string>; // still shown, no longer part of the answer
  changed: ReadonlySet<string>; // rows whose chip is another one than when they were fetched
};
export type Page = { rows: readonly DeviceRow[]; next: string; used: number };
export type Snapshot = { rows: DeviceRow[] | null; total: number; vseq: number };
export type Delta = { vseq: number; up: DeviceRow[]; gone: string[]; total: number };

const NONE: ReadonlySet<string> = new Set();
export const EMPTY: Windows = { total: 0, now: 0, pages: new Map(), where: new Map(), gone: NONE, changed: NONE };

export const rowAt = (w: Windows, place: number): DeviceRow | undefined => w.pages.get(Math.floor(place / PAGE))?.rows[place % PAGE];

/** A window has come. The first one says how long the list is; `clock` tells which windows were looked at last. */
export function filled(w: Windows, page: number, rows: readonly DeviceRow[], next: string, total: number, clock: number): Windows {
  const first = w.pages.size === 0;
  const pages = new Map(w.pages);
  pages.set(page, { rows, next, used: clock });
  while (pages.size > KEPT) {
    let oldest = -1;
    for (const [n, p] of pages) if (n !== page && (oldest < 0 || p.used < (pages.get(oldest)?.used ?? 0))) oldest = n;
    pages.delete(oldest);
  }
  const where = new Map<string, number>();
  for (const [n, p] of pages) p.rows.forEach((r, i) => where.set(r.id, n * PAGE + i));
  // A last window that comes short or long has the last word about where the list ends.
  const end = page * PAGE + rows.length;
  const known = first ? total : w.total;
  const ends = next === '' ? end : Math.max(known, end);
  return { ...w, total: ends, now: total, pages, where };
}

/** News of the live window: rows in their places. Rows that nobody fetched have none and are left out. */
export function heard(w: Windows, up: readonly DeviceRow[], gone: readonly string[], total: number): Windows {
  if (up.length === 0 && gone.length === 0) return total === w.now ? w : { ...w, now: total };
  const pages = new Map(w.pages);
  const nextGone = new Set(w.gone);
  const changed = new Set(w.changed);
  const copied = new Map<number, DeviceRow[]>();
  for (const r of up) {
    nextGone.delete(r.id);
    const place = w.where.get(r.id);
    if (place === undefined) continue;
    const n = Math.floor(place / PAGE);
    const page = pages.get(n);
    if (page === undefined) continue;
    let rows = copied.get(n);
    if (rows === undefined) {
      rows = page.rows.slice();
      copied.set(n, rows);
      pages.set(n, { ...page, rows });
    }
    if (rows[place % PAGE]?.chip !== r.chip) changed.add(r.id);
    rows[place % PAGE] = r;
  }
  for (const id of gone) if (w.where.has(id)) nextGone.add(id);
  return { ...w, now: total, pages, gone: nextGone, changed };
}

/** How many rows a new order would show elsewhere, or nowhere, or for the first time. */
export function moved(w: Windows): number {
  const odd = new Set([...w.changed, ...w.gone]).size;
  return Math.max(odd, Math.abs(w.now - w.total));
}

/** The windows that the places first..last need, the visible ones first, then those ahead in the direction of travel. */
export function wanted(w: Windows, first: number, last: number, down: boolean, ahead = 2): number[] {
  const from = Math.max(0, Math.floor(first / PAGE));
  const to = Math.max(from, Math.floor(Math.max(first, last) / PAGE));
  const end = Math.max(0, Math.ceil(w.total / PAGE) - 1);
  const list: number[] = [];
  const put = (n: number) => {
    if (n >= 0 && n <= end && !w.pages.has(n) && !list.includes(n)) list.push(n);
  };
  for (let n = from; n <= to; n++) put(n);
  for (let i = 1; i <= ahead; i++) put(down ? to + i : from - i);
  put(down ? from - 1 : to + 1);
  return list;
}

/** The ids of a live window: what is visible, and as much around it as fits. */
export function liveIds(w: Windows, first: number, last: number): string[] {
  const spare = Math.max(0, Math.floor((PAGE - (last - first + 1)) / 2));
  const ids: string[] = [];
  for (let i = Math.max(0, first - spare); i < w.total && ids.length < PAGE && i <= last + spare; i++) {
    const r = rowAt(w, i);
    if (r !== undefined) ids.push(r.id);
  }
  return ids;
}

/** Marks the windows of a range as looked at. */
export function used(w: Windows, first: number, last: number, clock: number): void {
  for (let n = Math.floor(first / PAGE); n <= Math.floor(last / PAGE); n++) {
    const p = w.pages.get(n);
    if (p !== undefined) p.used = clock;
  }
}
