import { useCallback, useEffect, useMemo, useState } from 'react';
import { asApiError, type Api, type ApiError } from '../core/api';
import { usePolled } from './data';

/**
 * A list that is read page by page while its first page is looked at again and again. Pure part: rows that are shown
 * change in place; rows that are new wait until they are asked for, so that nothing moves under the pointer (ui.md §13).
 */
export type Page<T> = { rows: T[] | null; next: string; total: number };
type Row = { id: string };

/** What is shown, with every row of a fresh look put in its old place; `fresh` counts the rows that wait. */
export function refreshed<T extends Row>(shown: readonly T[], look: readonly T[]): { rows: T[]; fresh: number } {
  const by = new Map(look.map((r) => [r.id, r]));
  const rows = shown.map((r) => by.get(r.id) ?? r);
  const known = new Set(shown.map((r) => r.id));
  return { rows, fresh: look.filter((r) => !known.has(r.id)).length };
}

/** Pages one after another; a row that moved between two fetches stands once. */
export function joined<T extends Row>(shown: readonly T[], more: readonly T[]): T[] {
  const known = new Set(shown.map((r) => r.id));
  return [...shown, ...more.filter((r) => !known.has(r.id))];
}

export type Paged<T> = {
  rows: T[];
  total: number;
  fresh: number;
  loading: boolean;
  error: ApiError | null;
  at: number; // of the last look, local ms
  more: (() => void) | null; // null: no further page, or one is on its way
  renew: () => void;
  put: (row: T) => void;
};

type State<T> = { path: string; rows: T[]; next: string };

/** The list behind `path` (with its filters, without a cursor). Another path is another list. */
export function usePaged<T extends Row>(api: Api, path: string, everyMs: number): Paged<T> {
  const look = usePolled<Page<T>>(api, path, everyMs);
  const [kept, setKept] = useState<State<T> | null>(null);
  const [busy, setBusy] = useState(false);
  const mine = kept !== null && kept.path === path ? kept : null;
  const first = look.value;

  const take = useCallback(() => {
    if (first !== null) setKept({ path, rows: first.rows ?? [], next: first.next });
  }, [first, path]);
  useEffect(() => {
    const came = first?.rows?.length ?? 0;
    if (mine === null || (mine.rows.length === 0 && came > 0)) take(); // under an empty list nothing can move
  }, [mine, first, take]);

  const seen = useMemo(() => refreshed(mine?.rows ?? [], first?.rows ?? []), [mine, first]);
  const next = mine?.next ?? '';
  const more = () => {
    setBusy(true);
    api.get<Page<T>>(`${path}${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(next)}`).then(
      (page) => setKept((s) => (s !== null && s.path === path ? { path, rows: joined(s.rows, page.rows ?? []), next: page.next } : s)),
      (e: unknown) => void asApiError(e), // the banner says that the line is down; the button stays for another try
    ).finally(() => setBusy(false));
  };
  const put = (row: T) => {
    setKept((s) => (s === null ? s : { ...s, rows: s.rows.map((r) => (r.id === row.id ? row : r)) }));
    look.fact.nudge();
  };
  return {
    rows: mine === null ? [] : seen.rows,
    total: first?.total ?? 0,
    fresh: mine === null ? 0 : seen.fresh,
    loading: mine === null && look.error === null,
    error: look.error,
    at: look.at,
    more: next === '' || busy ? null : more,
    renew: take,
    put,
  };
}
