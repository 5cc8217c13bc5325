// Which screen the kiosk shows: from the situation, the steps touched on this page, and nothing else.
import type { Lang, Situation, TicketKind } from '../core/types';

/** What was touched since the visit began and is not yet a ticket. */
export interface Steps { lang: Lang | null; kind: TicketKind | null }

export type Scene = 'attract' | 'lang' | 'kind' | 'category' | 'waiting' | 'parked' | 'missed' | 'ringing' | 'lobby' | 'call' | 'suspended' | 'adjourned' | 'rating';

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

/** The idle clock stands still while a ticket has its place, rings, or somebody talks: clearing gives all of it up
 *  (device-protocol.md §11). */
export const idleRuns = (scene: Scene): boolean => !['attract', 'waiting', 'parked', 'missed', 'ringing', 'lobby', 'call', 'suspended'].includes(scene);

/** Ending these loses something: it is asked once more. */
export const asksBeforeEnd = (scene: Scene): boolean => ['waiting', 'parked', 'missed', 'ringing', 'lobby', 'call', 'suspended'].includes(scene);
