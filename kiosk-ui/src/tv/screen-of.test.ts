import { expect, test } from 'vitest';
import type { Situation, Ticket } from '../core/types';
import { screenOf, type Local } from './screen-of';

const ticket = (state: Ticket['state'], more: Partial<Ticket> = {}): Ticket => ({
  id: 't', ver: 1, no: 'A 037', kind: 'consult', category: 'land', lang: 'zh', state, ahead: 2, passed: false,
  lo_min: 5, hi_min: 10, ring: null, until_at: null, outcome: '', ...more,
});
const mediator = { name: '律师丁', title: '律师', langs: ['zh'] };
const ring = { until_at: 1, mediator, session_id: 's' };
const session = (state: NonNullable<Situation['session']>['state']): NonNullable<Situation['session']> => ({
  id: 's', ver: 1, kind: 'consult', state, room_id: 'r', participant_id: 'p', epoch: 1, mediator, suspended_until_at: null,
});
const situation = (more: Partial<Situation> = {}): Situation => ({
  ver: 1, self: 'device', device: { id: 'd', name: '村部的电视', kind: 'stb', place: [] },
  service: { open: true, seats: 1, busy: 0, lo_min: null, hi_min: null },
  visit: null, ticket: null, session: null, capture: { paired: false, live: false }, rating: null, ...more,
});
const here: Local = { fatal: null, line: 'up', home: false, left: null, bye: null, matter: false, layers: [] };

const rows: [string, Situation | null, Partial<Local>, string][] = [
  ['nothing known yet', null, {}, 'starting'],
  ['not enrolled', null, { fatal: 'claim' }, 'claim'],
  ['disabled by an operator beats a call', situation({ session: session('joint') }), { fatal: 'disabled' }, 'disabled'],
  ['another window took over', situation(), { fatal: 'moved' }, 'moved'],
  ['no network at start', null, { line: 'nonet' }, 'nonet'],
  ['no server at start', null, { line: 'noserver' }, 'noserver'],
  ['idle', situation(), {}, 'home'],
  ['help above home', situation(), { layers: [{ name: 'help' }] }, 'home+help'],
  ['the line wavers on home: nothing changes', situation(), { line: 'wavering' }, 'home'],
  ['the line is gone on home', situation(), { line: 'noserver' }, 'noserver'],
  ['choosing', situation(), { layers: [{ name: 'category', kind: 'consult' }] }, 'category'],
  ['choosing, with help', situation(), { layers: [{ name: 'category', kind: 'consult' }, { name: 'help' }] }, 'category+help'],
  ['language', situation(), { layers: [{ name: 'category', kind: 'mediate' }, { name: 'lang', kind: 'mediate', category: 'land' }] }, 'lang'],
  ['waiting', situation({ ticket: ticket('waiting') }), {}, 'waiting'],
  ['a question in the talk', situation({ ticket: ticket('serving'), session: session('joint') }), { matter: true }, 'matter'],
  ['a question while the line is gone: the talk may go on', situation({ ticket: ticket('serving'), session: session('joint') }), { matter: true, line: 'noserver' }, 'matter'],
  ['the end of a dispute before the rating', situation({ rating: { session_id: 's', mediator: 'm' } }), { matter: true }, 'matter'],
  ['leaving the mediation asks', situation({ session: session('joint') }), { matter: true, layers: [{ name: 'withdraw' }] }, 'matter+withdraw'],
  ['and can be asked for in the talk', situation({ session: session('joint') }), { layers: [{ name: 'withdraw' }] }, 'call+withdraw'],
  ['a ring beats it', situation({ ticket: ticket('ringing', { ring }), session: session('lobby') }), { matter: true }, 'ring'],
  ['a place back in the queue beats it', situation({ ticket: ticket('waiting'), session: session('lobby') }), { matter: true }, 'waiting'],
  ['an offer is shown as waiting', situation({ ticket: ticket('offered') }), {}, 'waiting'],
  ['a ticket ends the choice', situation({ ticket: ticket('waiting') }), { layers: [{ name: 'category', kind: 'consult' }] }, 'waiting'],
  ['不问了 asks', situation({ ticket: ticket('waiting') }), { layers: [{ name: 'cancel' }] }, 'waiting+cancel'],
  ['Back keeps the place', situation({ ticket: ticket('waiting') }), { home: true }, 'home/waiting'],
  ['the line is gone while waiting', situation({ ticket: ticket('waiting') }), { line: 'nonet' }, 'parked'],
  ['parked', situation({ ticket: ticket('parked') }), {}, 'parked'],
  ['parked, but at home', situation({ ticket: ticket('parked') }), { home: true }, 'home/waiting'],
  ['ringing', situation({ ticket: ticket('ringing', { ring }), session: session('lobby') }), {}, 'ring'],
  ['ringing finds a person at home', situation({ ticket: ticket('ringing', { ring }), session: session('lobby') }), { home: true }, 'ring'],
  ['ringing hides a question about cancelling', situation({ ticket: ticket('ringing', { ring }) }), { layers: [{ name: 'cancel' }] }, 'ring'],
  ['Back while it rings asks', situation({ ticket: ticket('ringing', { ring }) }), { layers: [{ name: 'later' }] }, 'ring+later'],
  ['missed', situation({ ticket: ticket('missed'), session: session('adjourned') }), {}, 'home/missed'],
  ['missed and waiting again', situation({ ticket: ticket('waiting'), session: session('adjourned') }), {}, 'waiting'],
  ['answered', situation({ ticket: ticket('serving'), session: session('lobby') }), {}, 'call'],
  ['in the call', situation({ ticket: ticket('serving'), session: session('joint') }), {}, 'call'],
  ['being checked', situation({ ticket: ticket('serving'), session: session('checking') }), {}, 'call'],
  ['the link is gone in a call: media may live', situation({ ticket: ticket('serving'), session: session('joint') }), { line: 'noserver' }, 'call'],
  ['leaving asks', situation({ session: session('joint') }), { layers: [{ name: 'leave' }] }, 'call+leave'],
  ['left: the session waits', situation({ session: session('joint') }), { left: 's' }, 'home/left'],
  ['left an earlier session, in a new one', situation({ session: session('joint') }), { left: 'old' }, 'call'],
  ['the other side is gone', situation({ session: session('suspended') }), {}, 'suspended'],
  ['seat lost: the same ticket waits again', situation({ ticket: ticket('waiting'), session: session('suspended') }), {}, 'waiting'],
  ['ended', situation({ session: session('ended'), rating: { session_id: 's', mediator: '律师丁' } }), {}, 'rating'],
  ['no help layer where digits rate', situation({ rating: { session_id: 's', mediator: '律师丁' } }), { layers: [{ name: 'help' }] }, 'rating'],
  ['rated', situation(), { bye: 5 }, 'bye'],
  ['rated, the fact is not new yet', situation({ rating: { session_id: 's', mediator: '律师丁' } }), { bye: 5 }, 'bye'],
  ['a ring ends the goodbye', situation({ ticket: ticket('ringing', { ring }) }), { bye: 5 }, 'ring'],
  ['a done ticket is nobody\'s', situation({ ticket: ticket('done') }), {}, 'home'],
  ['cancelled', situation({ ticket: ticket('cancelled') }), {}, 'home'],
];

test.each(rows)('%s', (_name, s, local, want) => {
  const got = screenOf(s, { ...here, ...local });
  expect(got.base + (got.over ? '+' + got.over.name : '') + (got.strip ? '/' + got.strip : '')).toBe(want);
});
