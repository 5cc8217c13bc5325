// Which screen the kiosk shows: from the situation, the steps touched on this page, and nothing else.
import type { Lang, Situation, TicketKind } from '../core/types';

/** What was touched since the visit began and is not yet a ticket. */
export interface Steps { lang: Lang | null; kind: TicketKind | null }

export type Scene = 'attract' | 'lang' | 'kind' | 'category' | 'waiting' | 'parked' | 'missed' | 'ringing' | 'lobby' | 'call' | 'suspended' | 'adjourned' | 'rating';

/** What of a situation belongs to the person of the open visit. Without a visit nothing does; `over` are the tickets and
 *  sessions that a person before ended here, which the server may still keep open for the mediator. */
export function mine(s: Situation, over: string[]): Situation {
  const ticket = s.visit && s.ticket && over.indexOf(s.ticket.id) < 0 ? s.ticket : null;
  const session = s.visit && s.session && over.indexOf(s.session.id) < 0 ? s.session : null;
  const rating = s.visit && s.rating && over.indexOf(s.rating.session_id) < 0 ? s.rating : null;
  return { ...s, ticket, session, rating, capture: s.visit ? s.capture : { paired: false, live: false } };
}

export function sceneOf(s: Situation, steps: Steps): Scene {
  const ticket = s.ticket;
  if (ticket && ticket.state === 'ringing' && ticket.ring) return 'ringing';
  if (s.session && (!ticket || ticket.state === 'serving')) {
    switch (s.session.state) {
      case 'lobby': return 'lobby';
      case 'checking':
      case 'joint':
        return 'call';
      case 'suspended': return 'suspended';
      case 'adjourned': return 'adjourned';
    }
  }
  if (ticket) {
    switch (ticket.state) {
      case 'waiting':
      case 'offered':
      case 'ringing':
        return 'waiting';
      case 'parked': return 'parked';
      case 'missed': return 'missed';
    }
  }
  if (s.rating) return 'rating';
  if (!s.visit) return 'attract';
  if (!steps.lang) return 'lang';
  return steps.kind ? 'category' : 'kind';
}

/** The idle clock stands still while somebody is called or talks (device-protocol.md §11). */
export const idleRuns = (scene: Scene): boolean => !['attract', 'ringing', 'lobby', 'call', 'suspended'].includes(scene);

/** Ending these loses something: it is asked once more. */
export const asksBeforeEnd = (scene: Scene): boolean => ['waiting', 'parked', 'missed', 'ringing', 'lobby', 'call', 'suspended'].includes(scene);
