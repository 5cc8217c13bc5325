// Which screen shows: one pure function of what the server says (Situation) and of what only this page knows (Local).
// A reload rebuilds the same screen, because Local keeps nothing but the steps of a choice not sent yet.
import type { Situation, TicketKind } from '../core/types';

/** What lies on the stack: steps of a choice (whole screens) and layers above a screen. */
export type Layer =
  | { name: 'category'; kind: TicketKind }
  | { name: 'lang'; kind: TicketKind; category: string }
  | { name: 'help' } // key 0
  | { name: 'phone' } // QR: a phone becomes the camera
  | { name: 'cancel' } // 不问了: asks once more
  | { name: 'later' } // Back while it rings
  | { name: 'leave' } // Back in a call
  | { name: 'withdraw' } // 退出调解: asks once more
  | { name: 'trouble'; code: string }; // a command was refused

/** Why nothing works until somebody acts; each is a whole screen. */
export type Fatal = 'claim' | 'moved' | 'disabled' | 'quarantined' | 'refused' | 'unsupported';
/** The line to the server: for how long it is gone, and whether the box itself has a network. */
export type Line = 'up' | 'wavering' | 'nonet' | 'noserver';

export interface Local {
  fatal: Fatal | null;
  line: Line;
  /** The person went home although a ticket waits. */
  home: boolean;
  /** The session this TV left; it waits, only the mediator ends it. */
  left: string | null;
  /** A rating was just given (1..5) or skipped (0): the goodbye shows. */
  bye: number | null;
  /** The person's matter wants the screen: a question, the agreement, an answer (dispute/matter.ts). */
  matter: boolean;
  layers: readonly Layer[];
}

export type Base =
  | Fatal | 'nonet' | 'noserver' | 'starting'
  | 'home' | 'category' | 'lang' | 'waiting' | 'parked' | 'ring' | 'call' | 'suspended' | 'matter' | 'rating' | 'bye';
/** The strip above the tiles of home. */
export type Strip = 'waiting' | 'missed' | 'left';

export interface Screen { base: Base; over: Layer | null; strip: Strip | null }

const OPEN = ['waiting', 'offered', 'parked', 'missed'];
const LIVE = ['lobby', 'checking', 'joint', 'suspended'];

/** screenOf is the whole table of ui.md §5.2 for the first release. */
export function screenOf(s: Situation | null, l: Local): Screen {
  const base = baseOf(s, l);
  return { base, over: overOf(base, l.layers), strip: base === 'home' && s ? stripOf(s, l) : null };
}

function baseOf(s: Situation | null, l: Local): Base {
  if (l.fatal) return l.fatal;
  const cut = l.line === 'nonet' || l.line === 'noserver' ? l.line : null;
  if (!s) return cut || 'starting';
  const ticket = s.ticket;
  const session = s.session;
  if (ticket && ticket.state === 'ringing' && ticket.ring) return 'ring'; // media may be up although the link is not
  if (l.matter && !heldBack(s)) return 'matter';
  if (session && LIVE.indexOf(session.state) >= 0 && session.id !== l.left && !heldBack(s)) {
    return session.state === 'suspended' ? 'suspended' : 'call';
  }
  const open = ticket !== null && OPEN.indexOf(ticket.state) >= 0;
  if (cut) return open ? 'parked' : cut;
  if (l.bye !== null) return 'bye';
  if (s.rating) return 'rating';
  if (open && !l.home) {
    if (ticket.state === 'parked') return 'parked';
    if (ticket.state !== 'missed') return 'waiting'; // an offer that lapses must not look like a step back
  }
  if (!open) {
    for (let i = l.layers.length - 1; i >= 0; i--) {
      const name = l.layers[i]!.name;
      if (name === 'category' || name === 'lang') return name;
    }
  }
  return 'home';
}

/** heldBack tells that the session's own ticket is back in the queue: the session waits too, without this TV. */
function heldBack(s: Situation): boolean {
  return s.ticket !== null && OPEN.indexOf(s.ticket.state) >= 0;
}

function stripOf(s: Situation, l: Local): Strip | null {
  const t = s.ticket;
  if (t && t.state === 'missed') return 'missed';
  if (t && OPEN.indexOf(t.state) >= 0) return 'waiting';
  if (s.session && s.session.id === l.left && LIVE.indexOf(s.session.state) >= 0) return 'left';
  return null;
}

/** Which layers may lie above a screen; anything else stays hidden until its screen comes back. */
const MAY_LIE: { [b in Base]?: readonly Layer['name'][] } = {
  home: ['help', 'phone', 'trouble'],
  category: ['help', 'trouble'],
  lang: ['help', 'trouble'],
  waiting: ['help', 'phone', 'cancel', 'trouble'],
  parked: ['help', 'cancel'],
  ring: ['help', 'later', 'trouble'],
  call: ['help', 'phone', 'leave', 'withdraw', 'trouble'],
  matter: ['help', 'withdraw', 'trouble'],
  suspended: ['help', 'phone', 'leave'],
  rating: ['trouble'],
  disabled: ['help'],
  nonet: ['help'],
  noserver: ['help'],
  claim: ['help'],
};

function overOf(base: Base, layers: readonly Layer[]): Layer | null {
  const top = layers.length ? layers[layers.length - 1]! : null;
  const may = MAY_LIE[base];
  return top && may && may.indexOf(top.name) >= 0 ? top : null;
}
