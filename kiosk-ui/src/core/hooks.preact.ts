import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import type { Fact, FactView } from './facts';
import type { Readable } from './store';

/** Reads a store and redraws when it changes. */
export function useStore<T>(store: Readable<T>): T {
  const [, redraw] = useState(0);
  const seen = useRef(store.get());
  const value = store.get();
  seen.current = value;
  useLayoutEffect(() => {
    if (store.get() !== seen.current) redraw((n) => n + 1); // changed between render and effect
    return store.subscribe(() => redraw((n) => n + 1));
  }, [store]);
  return value;
}

export const useFact = <T>(fact: Fact<T>): FactView<T> => useStore(fact);

/** Redraws every `ms` milliseconds while `on`; for clocks and countdowns. */
export function useTick(ms: number, on = true): void {
  const [, redraw] = useState(0);
  useEffect(() => {
    if (!on) return;
    const id = setInterval(() => redraw((n) => n + 1), ms);
    return () => clearInterval(id);
  }, [ms, on]);
}
