import type { Attach, Desk } from '../core/types';

/** What the desk shows, as a pure function of GET /desk: the server's state decides, never a click. */
export type Session = NonNullable<Desk['session']>;
export type Member = Session['members'][number];

export type Scene =
  | 'idle' // nobody is here
  | 'ringing' // the citizen's screen rings
  | 'lobby' // the citizen is there, the mediator has not let him in yet (mediation)
  | 'live' // checking or joint: they see and hear each other
  | 'suspended' // somebody was lost, the session waits
  | 'adjourned' // it goes on another day
  | 'wrap'; // the call is over, the record is written

export function sceneOf(desk: Pick<Desk, 'session' | 'wrap_up'>): Scene {
  const s = desk.session;
  if (s === null) return desk.wrap_up === null ? 'idle' : 'wrap';
  switch (s.state) {
    case 'lobby':
      return s.ticket.state === 'serving' ? 'lobby' : 'ringing';
    case 'suspended':
      return 'suspended';
    case 'adjourned':
      return 'adjourned';
    case 'ended':
      return desk.wrap_up === null ? 'idle' : 'wrap';
    default:
      return 'live';
  }
}

const HAND_IN_S = 10;

/** How often the record should have been handed in with `left` seconds to go: once shortly before the end, and at it. */
export const handInDue = (left: number): 0 | 1 | 2 => (left > HAND_IN_S ? 0 : left > 0 ? 1 : 2);

export const inCall = (s: Scene): boolean => s === 'live' || s === 'lobby' || s === 'suspended';

/** The other people of the room, in the server's order. */
export function others(s: Session): Member[] {
  return s.members.filter((m) => m.participant !== s.participant_id);
}

/**
 * How somebody takes part. A television that only shows ("view") and a phone that only films ("capture") are one
 * participant; without the phone he hears but is not heard.
 */
export type Part = 'away' | 'full' | 'both' | 'listens' | 'phoneOnly';

export function partOf(m: Pick<Member, 'present' | 'attach'>): Part {
  const has = (a: Attach) => m.attach.includes(a);
  if (has('full')) return 'full';
  if (has('view')) return has('capture') ? 'both' : 'listens';
  if (has('capture')) return 'phoneOnly';
  return m.present ? 'full' : 'away';
}

/** Who hears whom, by name. `mutual` = both ways; the others are one way only and are said apart. */
export type Hearing = { mutual: string[]; hearsMe: string[]; heard: string[] };

/** `canHear` = names that hear me (the server's live gates), `sounding` = names whose microphone is live for me. */
export function hearing(canHear: readonly string[], sounding: readonly string[]): Hearing {
  return {
    mutual: canHear.filter((n) => sounding.includes(n)),
    hearsMe: canHear.filter((n) => !sounding.includes(n)),
    heard: sounding.filter((n) => !canHear.includes(n)),
  };
}

/** Columns and rows of the picture area for `n` remote people. */
export function tileGrid(n: number): { cols: number; rows: number } {
  if (n <= 1) return { cols: 1, rows: 1 };
  if (n === 2) return { cols: 2, rows: 1 };
  const cols = n <= 4 ? 2 : 3;
  return { cols, rows: Math.ceil(n / cols) };
}

/** Why an offer vanished without this window answering it. */
export type OfferEnd = '' | 'expired' | 'withdrawn';

export function offerEnd(before: Desk, after: Desk, answered: string): OfferEnd {
  const offer = before.offer;
  if (offer === null || after.offer?.id === offer.id || answered === offer.id) return '';
  if (after.session !== null && before.session === null) return ''; // accepted in another window
  if (after.seat.strikes > before.seat.strikes || after.seat.state === 'away' || after.now_at >= offer.until_at) return 'expired';
  return 'withdrawn';
}
