import { createContext, useContext, useEffect, useMemo } from 'react';
import type { Api, ApiError } from '../core/api';
import { createFact, type Fact, type FactView } from '../core/facts';
import { useFact } from '../core/hooks.react';
import type { Overview, TicketDigest, UnitRow } from '../core/types';

export type SessionRow = { id: string; kind: string; state: string; no: string; category: string; place: string[]; mediator: string; started_at: number };
export type Claim = { id: string; code: string; serial: string; model: string; kind: string; at: number; expires_at: number };

/** A REST answer kept fresh by a slow sweep; asked for only while `path` is not ''. */
export function usePolled<T>(api: Api, path: string, everyMs: number): FactView<T> & { fact: Fact<T> } {
  const fact = useMemo(() => createFact<T>({ fetch: () => api.get<T>(path), pollMs: everyMs }), [api, path, everyMs]);
  useEffect(() => {
    if (path !== '') fact.nudge();
    return () => fact.close();
  }, [fact, path]);
  return { ...useFact(fact), fact };
}

export type Common = { units: UnitRow[] | null; overview: Overview | null; queue: TicketDigest[] | null; at: number; error: ApiError | null };

/** What every screen of the console shares; `roles` decide what is asked for at all. */
export function useCommon(api: Api, may: { see: boolean; queue: boolean }): Common {
  const units = usePolled<{ units: UnitRow[] }>(api, '/units', 10_000);
  const over = usePolled<Overview>(api, may.see ? '/console/overview' : '', 3000);
  const queue = usePolled<{ rows: TicketDigest[] | null }>(api, may.queue ? '/console/queue' : '', 5000);
  return { units: units.value?.units ?? null, overview: over.value, queue: queue.value ? (queue.value.rows ?? []) : null, at: over.at, error: units.error ?? over.error };
}

export const CommonContext = createContext<Common>({ units: null, overview: null, queue: null, at: 0, error: null });
export const useShared = (): Common => useContext(CommonContext);
