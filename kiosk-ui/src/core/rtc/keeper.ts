// Which room a terminal or its phone should be in, from the situation alone: opened when the session exists (so that the
// receiving line is ready while it rings), left when the session is over. A reload ends in the same room.
import type { Api } from '../api';
import { createStore, type Readable } from '../store';
import type { Attach, RoomReady, Situation } from '../types';
import type { Room } from './room';

export interface Keeper extends Readable<Room | null> {
  /** Call with every new situation. */
  follow(s: Situation | null): void;
  /** The same for a page without a situation: the session whose room should be open, null = none. */
  enter(session: string | null): void;
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

const again = 2000;

export function keepRoom(o: { api: Api; attach: Attach; onReread: () => void }): Keeper {
  const store = createStore<Room | null>(null);
  let attach = o.attach;
  let session: string | null = null;
  let wanted = 0; // generation: a script that comes late opens no room that nobody wants any more

  // the room has a script of its own, fetched while the person still chooses
  let tools: Promise<typeof import('./room')> | null = null;
  const fetchTools = (): Promise<typeof import('./room')> => {
    if (!tools) {
      tools = import('./room');
      tools.catch(() => { tools = null; });
    }
    return tools;
  };
  void fetchTools().catch(() => undefined);

  function leave(): void {
    wanted++;
    const old = store.get();
    if (!old) return;
    store.set(null);
    old.close();
  }

  function open(): void {
    if (!session) return;
    const path = `/sessions/${session}/media-tickets`;
    const kind = attach;
    const mine = ++wanted;
    fetchTools().then(
      ({ openRoom }) => {
        if (mine === wanted) store.set(openRoom({ attach: kind, entry: () => o.api.post<RoomReady>(path, { attach: kind }), onReread: o.onReread }));
      },
      () => setTimeout(() => { if (mine === wanted) open(); }, again),
    );
  }

  function enter(next: string | null): void {
    if (next === session) return;
    leave();
    session = next;
    open();
  }

  return {
    get: store.get,
    subscribe: store.subscribe,
    follow(s) {
      enter(roomWanted(s));
      const room = store.get();
      if (room && s && s.session) room.placed(s.session.fence);
    },
    enter,
    attach(kind) {
      if (kind === attach) return;
      attach = kind;
      leave();
      open();
    },
    close() {
      leave();
      session = null;
    },
  };
}
