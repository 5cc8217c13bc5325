import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { asApiError, type Api, type ApiError } from '../core/api';
import type { Link } from '../core/link';
import type { DeviceRow } from '../core/types';
import { EMPTY, filled, heard, liveIds, moved, PAGE, used, wanted, type Delta, type Snapshot, type Windows } from './windows';
import type { Place } from './url';

/** What narrows and orders the list; all of it stands in the address. */
export type Filter = Pick<Place, 'unit' | 'chip' | 'kind' | 'class' | 'tier' | 'model' | 'q' | 'sort'>;
export type Chips = Partial<Record<string, number>>;
type Answer = { rows: DeviceRow[] | null; next: string; total: number; chips: Chips };

/** Frames of the live view, handed on by whoever owns the link. */
export type ViewFeed = { onDelta: ((d: Delta) => void) | null };

/** The filter as the API reads it; a sort of "-name" is backwards. */
export function query(f: Filter, extra: Record<string, string | number> = {}): string {
  const s = new URLSearchParams();
  for (const k of ['unit', 'chip', 'kind', 'class', 'tier', 'model', 'q'] as const) if (f[k] !== '') s.set(k, f[k]);
  if (f.sort !== '') s.set('sort', f.sort.replace(/^-/, ''));
  if (f.sort.startsWith('-')) s.set('desc', '1');
  for (const [k, v] of Object.entries(extra)) s.set(k, String(v));
  return s.toString();
}

/** Questions on their way at once: one for what is seen, one for what comes. */
const LINES = 2;
/** After scrolling has rested for so long the live window follows. */
const REST_MS = 150;

export type FleetList = {
  windows: Windows;
  chips: Chips;
  moved: number;
  loading: boolean;
  error: ApiError | null;
  at: number; // of the last news, µs
  tookMs: number; // how long the first window took
  look: (first: number, last: number) => void;
  renew: () => void;
};

type State = { key: string; windows: Windows; chips: Chips; error: ApiError | null; at: number; tookMs: number };
const none = (key: string): State => ({ key, windows: EMPTY, chips: {}, error: null, at: 0, tookMs: 0 });

/**
 * The device list behind a filter: windows fetched as they are scrolled to, and a live view of what is in sight. Another
 * filter is another list; the old one stays on the screen until the new one's first window is there.
 */
export function useFleetList(api: Api, link: Link | null, up: boolean, feed: ViewFeed, filter: Filter): FleetList {
  const [round, setRound] = useState(0);
  const key = `${query(filter)}#${round}`;
  const [state, setState] = useState<State>(() => none(''));
  const box = useRef(new Fetcher()).current;
  const [range, setRange] = useState<[number, number]>([0, 0]);
  const filterRef = useRef(filter);
  filterRef.current = filter;

  useEffect(() => {
    box.begin(api, filterRef.current, (change) => setState((s) => change(s.key === key ? s : none(key))));
    return () => box.stop();
  }, [api, key, box]);
  const mine = state.key === key;
  box.windows = mine ? state.windows : EMPTY;

  useEffect(() => { if (mine) box.settled(); }, [mine, state.windows.pages, box]);

  const rest = useRef<ReturnType<typeof setTimeout>>(undefined);
  const look = useCallback((first: number, last: number) => {
    box.look(first, last);
    clearTimeout(rest.current);
    rest.current = setTimeout(() => setRange([first, last]), REST_MS);
  }, [box]);
  useEffect(() => () => clearTimeout(rest.current), []);

  // The live view: the rows in sight and around. It opens again when they are others.
  const ids = useMemo(() => (mine ? liveIds(state.windows, range[0], range[1]) : []), [mine, state.windows.where, state.windows.total, range]);
  const idsKey = ids.join();
  const [again, setAgain] = useState(0);
  useEffect(() => {
    if (link === null || !up || idsKey === '') return;
    let over = false;
    let vseq = 0;
    let frame = 0;
    let timer: ReturnType<typeof setTimeout>;
    const buffer: Delta[] = [];
    const take = (upRows: readonly DeviceRow[], gone: readonly string[], total: number) =>
      setState((s) => (s.key === key ? { ...s, windows: heard(s.windows, upRows, gone, total), at: Date.now() * 1000 } : s));
    const paint = () => {
      frame = 0;
      if (vseq === 0) return;
      for (const d of buffer.splice(0)) {
        if (d.vseq <= vseq) continue;
        if (d.vseq !== vseq + 1) { setAgain((n) => n + 1); return; }
        vseq = d.vseq;
        take(d.up, d.gone, d.total);
      }
    };
    feed.onDelta = (d) => {
      buffer.push(d);
      if (frame === 0) frame = requestAnimationFrame(paint);
    };
    const { unit, chip, kind, class: klass, tier, model, q } = filterRef.current;
    const asked = idsKey.split(',');
    link.request<Snapshot>('view.open', { view: 'devices', unit, chip, kind, class: klass, tier, model, q, ids: asked }).then((snap) => {
      if (over) return;
      const rows = snap.rows ?? [];
      const here = new Set(rows.map((r) => r.id));
      vseq = snap.vseq;
      take(rows, asked.filter((id) => !here.has(id)), snap.total);
      if (buffer.length > 0 && frame === 0) frame = requestAnimationFrame(paint);
    }, () => { if (!over) timer = setTimeout(() => setAgain((n) => n + 1), 2000); });
    return () => {
      over = true;
      feed.onDelta = null;
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    };
  }, [link, up, feed, key, idsKey, again]);

  // What the list has without the live view: the counts beside the chips.
  useEffect(() => {
    const id = setInterval(() => { if (document.visibilityState === 'visible') box.count(); }, 3000);
    return () => clearInterval(id);
  }, [box, key]);

  const renew = useCallback(() => setRound((n) => n + 1), []);
  return {
    windows: state.windows, chips: state.chips, moved: mine ? moved(state.windows) : 0, loading: !mine || (state.windows.pages.size === 0 && state.error === null),
    error: mine ? state.error : null, at: state.at, tookMs: state.tookMs, look, renew,
  };
}

type Change = (s: State) => State;

/** Fetches windows, the visible ones first, at most LINES at a time; what is no longer wanted is given up. */
class Fetcher {
  windows: Windows = EMPTY;
  private api: Api | null = null;
  private filter: Filter | null = null;
  private put: ((c: Change) => void) | null = null;
  private running = new Map<number, AbortController>();
  private first = 0;
  private last = 0;
  private down = true;
  private clock = 1;
  private timer: ReturnType<typeof setTimeout> | undefined;

  begin(api: Api, filter: Filter, put: (c: Change) => void): void {
    this.stop();
    this.api = api;
    this.filter = filter;
    this.put = put;
    this.windows = EMPTY;
    this.fetch(Math.floor(this.first / PAGE));
    if (this.first >= PAGE) this.fetch(0); // says how long the list is, whatever the place is worth
  }

  stop(): void {
    clearTimeout(this.timer);
    for (const a of this.running.values()) a.abort();
    this.running.clear();
    this.put = null;
  }

  look(first: number, last: number): void {
    if (first !== this.first) this.down = first > this.first;
    this.first = first;
    this.last = last;
    used(this.windows, first, last, ++this.clock);
    this.next();
  }

  /** The counts of the filter, without a row. */
  count(): void {
    const { api, filter, put } = this;
    if (api === null || filter === null || put === null || this.running.size > 0 || this.windows.pages.size === 0) return;
    api.get<Answer>(`/devices?${query(filter, { limit: 1 })}`).then(
      (a) => { if (this.put === put) put((s) => ({ ...s, chips: a.chips, windows: heard(s.windows, [], [], a.total), at: Date.now() * 1000 })); },
      () => undefined, // the banner says that the line is down
    );
  }

  private next(): void {
    if (this.put === null || this.windows.pages.size === 0) return;
    const want = wanted(this.windows, this.first, this.last, this.down);
    for (const [n, a] of this.running) {
      if (want.includes(n) || n === 0) continue;
      a.abort();
      this.running.delete(n);
    }
    for (const n of want) if (this.running.size < LINES && !this.running.has(n)) this.fetch(n);
  }

  private fetch(n: number): void {
    const { api, filter, put } = this;
    if (api === null || filter === null || put === null) return;
    const abort = new AbortController();
    this.running.set(n, abort);
    // Behind a window that is there its cursor leads on; it costs the server the window, not the way to it.
    const before = this.windows.pages.get(n - 1);
    const from: Record<string, string | number> = before !== undefined && before.next !== '' ? { cursor: before.next } : n > 0 ? { offset: n * PAGE } : {};
    const began = performance.now();
    const done = () => { if (this.running.get(n) === abort) this.running.delete(n); };
    api.get<Answer>(`/devices?${query(filter, { limit: PAGE, ...from })}`, { signal: abort.signal }).then(
      (a) => {
        done();
        if (this.put !== put) return;
        put((s) => ({
          ...s, error: null, chips: a.chips, at: Date.now() * 1000, tookMs: s.windows.pages.size === 0 ? performance.now() - began : s.tookMs,
          windows: filled(s.windows, n, a.rows ?? [], a.next, a.total, ++this.clock),
        }));
      },
      (e: unknown) => {
        done();
        if (abort.signal.aborted || this.put !== put) return;
        put((s) => ({ ...s, error: asApiError(e) }));
        clearTimeout(this.timer);
        this.timer = setTimeout(() => (this.windows.pages.size === 0 ? this.fetch(n) : this.next()), 2000);
      },
    );
  }

  /** The windows that are there now; fetches what still lacks. */
  settled(): void { this.next(); }
}
