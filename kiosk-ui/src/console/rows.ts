import type { DeviceRow } from '../core/types';

/**
 * The rows of the live device list. Pure: snapshot and deltas in, rows out.
 *
 * Order: the server's order of the snapshot stands until the operator asks for a new one. A row that changes stays
 * where it is, a row that leaves the filter stays and is marked, a new row waits below: nothing moves under the
 * pointer (ui.md §13). `moved` counts what the next snapshot would show elsewhere.
 */
export type View = {
  rows: DeviceRow[];
  total: number;
  vseq: number;
  at: number; // when the last news came, µs; 0 = never
  gone: ReadonlySet<string>; // still shown, no longer part of the answer
  changed: ReadonlySet<string>; // rows whose chip is another one than when the order was made
  broken: boolean; // a delta was missed: open the view again
};

export type Snapshot = { rows: DeviceRow[]; total: number; vseq: number };
export type Delta = { vseq: number; up: DeviceRow[]; gone: string[]; total: number };

const NONE: ReadonlySet<string> = new Set();
export const EMPTY_VIEW: View = { rows: [], total: 0, vseq: 0, at: 0, gone: NONE, changed: NONE, broken: false };

export function fromSnapshot(s: Snapshot, nowAt: number): View {
  return { rows: s.rows, total: s.total, vseq: s.vseq, at: nowAt, gone: NONE, changed: NONE, broken: false };
}

/** A snapshot that comes after a lost line: shown rows keep their places, like under a delta. */
export function rejoin(v: View, s: Snapshot, nowAt: number): View {
  const here = new Set(s.rows.map((r) => r.id));
  const missing = v.rows.filter((r) => !here.has(r.id)).map((r) => r.id);
  const next = applyRows(v, s.rows, missing);
  return { ...next, total: s.total, vseq: s.vseq, at: nowAt, broken: false };
}

/** Applies deltas in the order they came; stops at the first gap. */
export function applyDeltas(v: View, deltas: readonly Delta[], nowAt: number): View {
  let next = v;
  for (const d of deltas) {
    if (next.broken || d.vseq <= next.vseq) continue;
    if (d.vseq !== next.vseq + 1) return { ...next, broken: true };
    next = { ...applyRows(next, d.up, d.gone), total: d.total, vseq: d.vseq, at: nowAt };
  }
  return next;
}

function applyRows(v: View, up: readonly DeviceRow[], gone: readonly string[]): View {
  if (up.length === 0 && gone.length === 0) return v;
  const rows = v.rows.slice();
  const index = new Map(rows.map((r, i) => [r.id, i]));
  const nextGone = new Set(v.gone);
  const changed = new Set(v.changed);
  for (const r of up) {
    const i = index.get(r.id);
    nextGone.delete(r.id);
    if (i === undefined) {
      index.set(r.id, rows.push(r) - 1);
      changed.add(r.id);
      continue;
    }
    if (rows[i]?.chip !== r.chip) changed.add(r.id);
    rows[i] = r;
  }
  for (const id of gone) if (index.has(id)) nextGone.add(id);
  return { ...v, rows, gone: nextGone, changed };
}

/** How many rows stand at a place that a new order would change. */
export function moved(v: View): number {
  return new Set([...v.changed, ...v.gone]).size;
}
