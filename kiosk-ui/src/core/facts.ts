// Nudge, then fetch. A fact is the page's copy of one REST answer: pushes only say "look again", and a slow sweep finds
// what a lost push hid. One fetch is on its way at a time; nudges in between make exactly one more.
import { ApiError, asApiError } from './api';
import { createStore, type Readable } from './store';

export interface FactView<T> {
  value: T | null;
  /** The last fetch failed with this; `value` may be old. */
  error: ApiError | null;
  /** Local time of the last good answer, ms; 0 = never. */
  at: number;
}

export interface Fact<T> extends Readable<FactView<T>> {
  /** Something may have changed: fetch, unless a fetch that starts later is already due. */
  nudge(): void;
  /** Fetches now and resolves with the value (or the error) of a fetch begun after this call. */
  refetch(): Promise<T>;
  /** Takes an answer that a command brought; an older answer still on its way does not overwrite it. */
  set(value: T): void;
  /** Forgets everything; used when a visit is wiped or a person signs out. */
  clear(): void;
  close(): void;
}

export interface FactOpts<T> {
  fetch: () => Promise<T>;
  /** Version of an answer, for the race of a command's answer with a fetch. */
  ver?: (value: T) => number;
  /** Sweep interval in ms; 0 = none. A function is asked before each wait. */
  pollMs?: number | ((value: T | null) => number);
  now?: () => number;
}

const retryFirst = 1000;
const retryCap = 8000;

export function createFact<T>(opts: FactOpts<T>): Fact<T> {
  const now = opts.now || Date.now;
  const store = createStore<FactView<T>>({ value: null, error: null, at: 0 });
  let running = false;
  let again = false;
  let closed = false;
  let failures = 0;
  let setsSeen = 0; // counts set() and clear(): an answer that began before one of them may be older
  let timer: ReturnType<typeof setTimeout> | undefined;
  let waiters: { ok: (v: T) => void; no: (e: ApiError) => void }[] = [];

  function wait(ms: number): void {
    clearTimeout(timer);
    if (!closed && ms > 0) timer = setTimeout(nudge, ms);
  }

  function sweep(): void {
    const p = opts.pollMs;
    wait(typeof p === 'function' ? p(store.get().value) : p || 0);
  }

  async function run(): Promise<void> {
    running = true;
    again = false;
    clearTimeout(timer);
    const mine = waiters;
    waiters = [];
    const setsBefore = setsSeen;
    try {
      const value = await opts.fetch();
      failures = 0;
      if (closed) {
        for (const w of mine) w.no(new ApiError(0, 'net.down'));
        return;
      }
      const held = store.get().value;
      const raced = setsSeen !== setsBefore;
      const older = raced && (held === null || !opts.ver || opts.ver(value) < opts.ver(held));
      if (older) again = true;
      else store.set({ value, error: null, at: now() });
      for (const w of mine) w.ok(value);
    } catch (e) {
      const error = asApiError(e);
      failures++;
      if (!closed) store.set({ ...store.get(), error });
      for (const w of mine) w.no(error);
    } finally {
      running = false;
    }
    if (closed) return;
    if (again || waiters.length > 0) void run();
    else if (failures > 0) wait(Math.max(store.get().error?.retryMs || 0, Math.min(retryCap, retryFirst * 2 ** (failures - 1))));
    else sweep();
  }

  function nudge(): void {
    if (closed) return;
    if (running) again = true;
    else void run();
  }

  return {
    get: store.get,
    subscribe: store.subscribe,
    nudge,
    refetch() {
      return new Promise<T>((ok, no) => {
        if (closed) {
          no(new ApiError(0, 'net.down'));
          return;
        }
        waiters.push({ ok, no });
        if (!running) void run();
      });
    },
    set(value) {
      setsSeen++;
      store.set({ value, error: null, at: now() });
      if (!running) sweep();
    },
    clear() {
      setsSeen++;
      store.set({ value: null, error: null, at: 0 });
    },
    close() {
      closed = true;
      clearTimeout(timer);
      for (const w of waiters) w.no(new ApiError(0, 'net.down'));
      waiters = [];
    },
  };
}
