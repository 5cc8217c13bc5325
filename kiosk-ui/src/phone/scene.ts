// What the phone of a TV shows, from the situation alone.
import type { Situation } from '../core/types';

export type Scene = 'loading' | 'idle' | 'waiting' | 'parked' | 'missed' | 'ringing' | 'lobby' | 'check' | 'call' | 'suspended' | 'adjourned' | 'rating';

export function sceneOf(s: Situation | null): Scene {
  if (!s) return 'loading';
  const ticket = s.ticket;
  if (ticket && ticket.state === 'ringing' && ticket.ring) return 'ringing';
  if (s.session && (!ticket || ticket.state === 'serving')) {
    switch (s.session.state) {
      case 'lobby': return 'lobby';
      case 'checking': return 'check';
      case 'joint': return 'call';
      case 'suspended': return 'suspended';
      case 'adjourned': return 'adjourned';
    }
  }
  if (ticket) {
    switch (ticket.state) {
      case 'waiting':
      case 'offered': // an offer that lapses must not look like a step back
      case 'ringing':
        return 'waiting';
      case 'parked': return 'parked';
      case 'missed': return 'missed';
    }
  }
  return s.rating ? 'rating' : 'idle';
}
