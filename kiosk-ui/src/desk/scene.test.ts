import { describe, expect, test } from 'vitest';
import type { Desk } from '../core/types';
import { handInDue, hearing, offerEnd, others, partOf, sceneOf, tileGrid, type Session } from './scene';

const session = (state: string, ticket = 'serving'): Session => ({
  id: 's', ver: 1, kind: 'consult', state: state as Session['state'], room_id: 'r', participant_id: 'me', epoch: 1, started_at: 0, until_at: null, left: false,
  ticket: { id: 't', no: 'A 001', kind: 'consult', category: 'land', lang: 'zh', class: 'normal', place: [], terminal: 'stb', waited_s: 0, state: ticket as Session['ticket']['state'], capture: false },
  members: [
    { participant: 'me', name: '调解员丙', role: 'mediator', attach: ['full'], present: true },
    { participant: 'p2', name: '申请人甲', role: 'citizen', attach: ['view', 'capture'], present: true },
  ],
  note: { version: 0, matter: '', advice: '', answer: '', next_step: '', saved_at: null },
});
const wrap: NonNullable<Desk['wrap_up']> = { session_id: 's', until_at: 0, note: session('joint').note, ticket: session('joint').ticket };

describe('the scene follows the server', () => {
  test.each([
    ['lobby', 'ringing', 'ringing'],
    ['lobby', 'missed', 'ringing'],
    ['lobby', 'serving', 'lobby'],
    ['checking', 'serving', 'live'],
    ['joint', 'serving', 'live'],
    ['suspended', 'serving', 'suspended'],
    ['adjourned', 'missed', 'adjourned'],
    ['ended', 'done', 'idle'],
  ])('session %s with ticket %s shows %s', (state, ticket, want) => expect(sceneOf({ session: session(state, ticket), wrap_up: null })).toBe(want));
  test('no session: idle, or the record', () => {
    expect(sceneOf({ session: null, wrap_up: null })).toBe('idle');
    expect(sceneOf({ session: null, wrap_up: wrap })).toBe('wrap');
    expect(sceneOf({ session: session('ended', 'wrap_up'), wrap_up: wrap })).toBe('wrap');
  });
});

test.each([[120, 0], [11, 0], [10, 1], [1, 1], [0, 2]])('with %i s left the record was due %i times', (left, want) => expect(handInDue(left)).toBe(want));

describe('people', () => {
  test('others leave me out', () => expect(others(session('joint')).map((m) => m.participant)).toEqual(['p2']));
  test.each([
    [['full'], true, 'full'],
    [['view', 'capture'], true, 'both'],
    [['view'], true, 'listens'],
    [['capture'], false, 'phoneOnly'],
    [[], false, 'away'],
  ])('attachments %j are %s', (attach, present, want) => expect(partOf({ attach: attach as string[], present: present as boolean })).toBe(want));
  test.each([
    [['甲', '乙'], ['甲', '乙'], ['甲', '乙'], [], []],
    [['甲'], [], [], ['甲'], []], // his phone is lost: he hears me, I do not hear him
    [[], ['甲'], [], [], ['甲']], // I am muted
    [[], [], [], [], []],
  ])('heard by %j, hearing %j: both ways %j, one way %j and %j', (canHear, sounding, mutual, hearsMe, heard) =>
    expect(hearing(canHear as string[], sounding as string[])).toEqual({ mutual, hearsMe, heard }));
  test.each([[0, 1, 1], [1, 1, 1], [2, 2, 1], [3, 2, 2], [4, 2, 2], [5, 3, 2], [7, 3, 3]])('%s people stand in %s x %s', (n, cols, rows) => expect(tileGrid(n)).toEqual({ cols, rows }));
});

describe('an offer that vanishes', () => {
  const ticket = session('joint').ticket;
  const desk = (over: Partial<Desk>): Desk => ({
    seat: { state: 'ready', reason: '', strikes: 0, ver: 1, until_at: null }, offer: null, session: null, wrap_up: null, queue: [], waiting: 0, today: { served: 0 }, now_at: 10e6, ...over,
  });
  const offered = desk({ offer: { id: 'o1', ver: 1, until_at: 25e6, lease_ms: 15_000, ticket } });
  test('is nothing while it is there or when this window answered', () => {
    expect(offerEnd(offered, offered, '')).toBe('');
    expect(offerEnd(offered, desk({}), 'o1')).toBe('');
    expect(offerEnd(desk({}), desk({}), '')).toBe('');
  });
  test('lapsed: the lease is over, a strike came, or two of them sent the seat away', () => {
    expect(offerEnd(offered, desk({ now_at: 25e6 }), '')).toBe('expired');
    expect(offerEnd(offered, desk({ seat: { state: 'ready', reason: '', strikes: 1, ver: 2, until_at: null } }), '')).toBe('expired');
    expect(offerEnd(offered, desk({ seat: { state: 'away', reason: 'strikes', strikes: 0, ver: 2, until_at: null } }), '')).toBe('expired');
  });
  test('withdrawn: it went early without a strike', () => expect(offerEnd(offered, desk({ now_at: 15e6 }), '')).toBe('withdrawn'));
  test('accepted in another window: silence', () => expect(offerEnd(offered, desk({ session: session('lobby', 'ringing') }), '')).toBe(''));
  test('a next offer at once still explains the last one', () =>
    expect(offerEnd(offered, desk({ now_at: 26e6, offer: { id: 'o2', ver: 1, until_at: 41e6, lease_ms: 15_000, ticket } }), '')).toBe('expired'));
});
