// Which room a terminal or its phone should be in, from the situation alone: opened when the session exists (so that the
// receiving line is ready while it rings), left when the session is over. A reload ends in the same room.
import type { Api } from '../api';
import { createStore, type Readable } from '../store';
import type { Attach, RoomReady, Situation } from '../types';
import { openRoom, type Room } from './room';

export interface Keeper extends Readable<Room | null> {
  /** Call with every new situation. */
  follow(s: Situation | null): void;
  /** Attach in another way (a camera was plugged in, or failed). */
  attach(kind: Attach): void;
  close(): void;
}

/** The session whose room should be open: from the ring to the end, not while adjourned. */
export function roomWanted(s: Situation | null): string | null {
  const session = s && s.session;
  return session && session.state !== 'ended' && session.state !== 'adjourned' ? session.id : null;
}

/** The person has said yes: camera, microphone and pub may start. */
export const accepted = (s: Situation | null): boolean => !!s && !!s.session && !!s.ticket && s.ticket.state === 'serving';

export function keepRoom(o: { api: Api; attach: Attach; onReread: () => void }): Keeper {
  const store = createStore<Room | null>(null);
  let attach = o.attach;
  let session: string | null = null;

  function leave(): void {
    const old = store.get();
    if (!old) return;
    store.set(null);
    old.close();
  }

  function enter(): void {
    if (!session) return;
    const path = `/sessions/${session}/media-tickets`;
    const kind = attach;
    store.set(openRoom({ attach: kind, entry: () => o.api.post<RoomReady>(path, { attach: kind }), onReread: o.onReread }));
  }

  return {
    get: store.get,
    subscribe: store.subscribe,
    follow(s) {
      const next = roomWanted(s);
      if (next === session) return;
      leave();
      session = next;
      enter();
    },
    attach(kind) {
      if (kind === attach) return;
      attach = kind;
      leave();
      enter();
    },
    close() {
      leave();
      session = null;
    },
  };
}
