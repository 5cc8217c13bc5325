// Which room this TV belongs into, from the situation alone; the first script asks it too.
import type { Situation } from '../../core/types';

/** roomOf returns the session whose room this TV is in or is about to enter, and whether its camera may start. */
export function roomOf(s: Situation | null, left: string | null): { session: string; open: boolean } | null {
  if (!s) return null;
  if (s.ticket && s.ticket.state === 'ringing' && s.ticket.ring) return { session: s.ticket.ring.session_id, open: false };
  const waits = s.ticket !== null && ['waiting', 'offered', 'parked', 'missed'].indexOf(s.ticket.state) >= 0;
  if (!s.session || s.session.id === left || waits) return null;
  return ['lobby', 'checking', 'joint', 'suspended'].indexOf(s.session.state) >= 0 ? { session: s.session.id, open: true } : null;
}
