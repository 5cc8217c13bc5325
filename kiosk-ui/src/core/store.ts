// The smallest observable value: read it, hear of changes. Facts, rooms and links are all Readable, so both
// runtimes need one hook only (hooks.preact.ts, hooks.react.ts).

export interface Readable<T> {
  get(): T;
  subscribe(cb: () => void): () => void;
}

export interface Store<T> extends Readable<T> {
  set(next: T): void;
}

export function createStore<T>(initial: T): Store<T> {
  let value = initial;
  const subs = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (next === value) return;
      value = next;
      for (const cb of Array.from(subs)) cb();
    },
    subscribe(cb) {
      subs.add(cb);
      return () => { subs.delete(cb); };
    },
  };
}
