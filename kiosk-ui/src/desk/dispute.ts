import { useCallback, useEffect, useMemo, useState } from 'react';
import { asApiError, newKey, type ApiError } from '../core/api';
import { createFact, type Fact } from '../core/facts';
import { useFact } from '../core/hooks.react';
import type { Staff } from '../staff/gate';
import type { AgText } from './clauses';
import { tidy } from './matter';
import type { Dispute } from './types';

export type Matter = {
  dispute: Dispute | null;
  /** Name of the command that is on its way, '' when none. */
  busy: string;
  /** Sends a command once, again under the same key while the server is away, and takes its answer; false = refused. */
  run: (name: string, path: string, body?: object, quiet?: (e: ApiError) => boolean) => Promise<boolean>;
  /** PUT of an idempotent part (a party's data, the disclosure). */
  put: (name: string, path: string, body: object) => Promise<boolean>;
  /** Multipart, for a scan. */
  upload: (name: string, path: string, form: FormData, quiet?: (e: ApiError) => boolean) => Promise<boolean>;
  putDraft: (text: AgText, revision: number) => Promise<Dispute>;
  refetch: () => Promise<Dispute>;
  nudge: () => void;
};

const TRIES = 4;
const UPLOAD_MS = 120_000;

/** GET /disputes/{id} kept fresh by nudges, and the mediator's commands on it. Without an id there is no dispute. */
export function useDispute(staff: Staff, id: string, onTrouble: (e: ApiError) => void): Matter {
  const fact = useMemo<Fact<Dispute | null>>(
    () =>
      createFact<Dispute | null>({
        fetch: async () => (id === '' ? null : tidy(await staff.api.get<Dispute>(`/disputes/${id}`))),
        ver: (d) => d?.ver ?? 0,
        pollMs: id === '' ? 0 : 5000,
      }),
    [staff, id],
  );
  useEffect(() => {
    if (id !== '') fact.nudge();
    return () => fact.close();
  }, [fact, id]);
  const { value } = useFact(fact);
  const [busy, setBusy] = useState('');

  const send = useCallback(
    async (name: string, call: () => Promise<Dispute>, quiet?: (e: ApiError) => boolean): Promise<boolean> => {
      setBusy(name);
      try {
        for (let n = 1; ; n++) {
          try {
            fact.set(tidy(await call()));
            return true;
          } catch (e) {
            if (!asApiError(e).temporary || asApiError(e).status === 429 || n >= TRIES) throw e;
            await new Promise((r) => setTimeout(r, 800 * n));
          }
        }
      } catch (e) {
        const err = asApiError(e);
        fact.nudge();
        if (quiet?.(err) !== true) onTrouble(err);
        return false;
      } finally {
        setBusy('');
      }
    },
    [fact, onTrouble],
  );

  // The commands keep their identity while the dispute changes: what stands on them, a draft's notebook, must live on.
  const commands = useMemo<Omit<Matter, 'dispute' | 'busy'>>(() => {
    const at = (path: string) => `/disputes/${id}${path}`;
    return {
      run: (name, path, body = {}, quiet) => {
        const keyed = { key: newKey(), ...body };
        return send(name, () => staff.api.post<Dispute>(at(path), keyed), quiet);
      },
      put: (name, path, body) => {
        const keyed = { key: newKey(), ...body };
        return send(name, () => staff.api.put<Dispute>(at(path), keyed));
      },
      upload: (name, path, form, quiet) => {
        form.set('key', newKey());
        return send(name, () => staff.api.post<Dispute>(at(path), form, { timeoutMs: UPLOAD_MS }), quiet);
      },
      putDraft: async (text, revision) => {
        const d = tidy(await staff.api.put<Dispute>(at('/agreement'), { ...text, form: 'written' }, { ifMatch: revision }));
        fact.set(d);
        return d;
      },
      refetch: () => fact.refetch().then((d) => (d === null ? Promise.reject(new Error('no dispute')) : d)),
      nudge: () => fact.nudge(),
    };
  }, [send, staff, id, fact]);
  return { dispute: value, busy, ...commands };
}
