import { useEffect, useMemo, useRef, useState } from 'react';
import { asApiError, newKey, type ApiError } from '../core/api';
import { createClock, type Clock } from '../core/clock';
import { createFact } from '../core/facts';
import { useFact } from '../core/hooks.react';
import type { Desk } from '../core/types';
import type { Staff } from '../staff/gate';
import { useLine, type Line } from '../staff/line';
import { offerEnd, type OfferEnd } from './scene';

export type Control = { op: 'admit' | 'end' | 'mute' | 'check' | 'joint'; args?: object };

export type Work = {
  staff: Staff;
  clock: Clock;
  line: Line;
  desk: Desk | null;
  error: ApiError | null;
  /** A command is on its way; its button waits. */
  busy: string;
  refetch: () => Promise<Desk>;
  setSeat: (state: 'ready' | 'away', reason?: string) => Promise<void>;
  answer: (take: boolean, reason?: string) => Promise<void>;
  control: (c: Control) => Promise<boolean>;
  wrapUp: (sessionId: string, outcome: Outcome) => Promise<ApiError | null>;
  /** Takes a desk that came with another command's answer into account: looks again. */
  nudge: () => void;
};

/** How a consult ended. */
export type Outcome = 'served' | 'referred' | 'booked';

const SEAT_TRIES = 10;
const quiet = new Set(['pong', 'link_config', 'going_away']);

/**
 * GET /desk kept fresh by the link, and the mediator's commands. Every command's answer is the new desk; `onTrouble`
 * hears of refusals, `onOfferEnd` of offers that went away unanswered, `onNudge` of every push that may change a screen.
 */
export function useWork(staff: Staff, onTrouble: (e: ApiError) => void, onOfferEnd: (e: OfferEnd, no: string) => void, onNudge: () => void): Work {
  const clock = useMemo(() => createClock(), []);
  const fact = useMemo(
    () =>
      createFact<Desk>({
        fetch: async () => {
          const d = await staff.api.get<Desk>('/desk');
          clock.sync(d.now_at);
          return d;
        },
        ver: (d) => d.now_at,
        pollMs: (d) => (d !== null && (d.offer !== null || d.session !== null || d.wrap_up !== null) ? 4000 : 10_000),
      }),
    [staff, clock],
  );
  useEffect(() => {
    fact.nudge();
    return () => fact.close();
  }, [fact]);

  const line = useLine(staff, 'desk', {
    frame: (t) => {
      if (quiet.has(t)) return;
      fact.nudge();
      onNudge();
    },
    up: (w) => {
      clock.sync(w.now_at);
      fact.nudge();
      onNudge();
    },
  });

  const { value: desk, error } = useFact(fact);
  const before = useRef<Desk | null>(null);
  const answered = useRef('');
  useEffect(() => {
    if (desk === null) return;
    if (before.current !== null && before.current.offer !== null) {
      const end = offerEnd(before.current, desk, answered.current);
      if (end !== '') onOfferEnd(end, before.current.offer.ticket.no);
    }
    before.current = desk;
  }, [desk, onOfferEnd]);

  const [busy, setBusy] = useState('');
  const command = async (name: string, call: () => Promise<Desk | undefined>): Promise<ApiError | null> => {
    setBusy(name);
    try {
      const next = await call();
      if (next) {
        clock.sync(next.now_at);
        fact.set(next);
      } else fact.nudge();
      return null;
    } catch (e) {
      fact.nudge();
      return asApiError(e);
    } finally {
      setBusy('');
    }
  };
  const tell = async (p: Promise<ApiError | null>): Promise<boolean> => {
    const err = await p;
    if (err !== null) onTrouble(err);
    return err === null;
  };

  return {
    staff,
    clock,
    line,
    desk,
    error,
    busy,
    refetch: fact.refetch,
    setSeat: async (state, reason) => {
      await tell(
        command('seat', async () => {
          // the line may just be coming back (a restarted server): the wish waits for it
          for (let tries = 0; ; tries++) {
            try {
              await staff.api.post('/seat', reason ? { state, reason } : { state });
              return undefined;
            } catch (e) {
              if (asApiError(e).code !== 'seat.no_link' || tries >= SEAT_TRIES) throw e;
              await new Promise((r) => setTimeout(r, 1000));
            }
          }
        }),
      );
    },
    answer: async (take, reason) => {
      const offer = desk?.offer;
      if (!offer || busy !== '') return;
      answered.current = offer.id;
      const { api } = staff;
      const call = () => (take ? api.post<Desk>(`/offers/${offer.id}/accept`, { ver: offer.ver }) : api.post<Desk>(`/offers/${offer.id}/decline`, { ver: offer.ver, reason }));
      if (!(await tell(command(take ? 'accept' : 'decline', call)))) answered.current = '';
    },
    control: (c) => {
      const id = desk?.session?.id;
      if (!id) return Promise.resolve(false);
      return tell(command(c.op, () => staff.api.post<Desk>(`/sessions/${id}/control`, { key: newKey(), op: c.op, args: c.args ?? {} })));
    },
    wrapUp: (sessionId, outcome) => command('wrap', () => staff.api.post<Desk>(`/sessions/${sessionId}/wrap-up`, { key: newKey(), outcome })),
    nudge: fact.nudge,
  };
}
