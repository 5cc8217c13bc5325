import { useEffect, useReducer, useSyncExternalStore } from 'react';
import type { Fact, FactView } from './facts';
import type { Readable } from './store';

/** Reads a store and redraws when it changes. */
export const useStore = <T,>(store: Readable<T>): T => useSyncExternalStore(store.subscribe, store.get);

export const useFact = <T,>(fact: Fact<T>): FactView<T> => useStore(fact);

/** Redraws every `ms` milliseconds while `on`; for clocks and countdowns. */
export function useTick(ms: number, on = true): void {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    if (!on) return;
    const id = setInterval(redraw, ms);
    return () => clearInterval(id);
  }, [ms, on]);
}
