import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { askSeconds, createIdle, type Idle, idleMs } from '../src/kiosk/idle';
import { asksBeforeEnd, idleRuns, type Scene, sceneOf, type Steps } from '../src/kiosk/scene';
import { sceneOf as phoneScene } from '../src/phone/scene';
import { accepted, roomWanted } from '../src/core/rtc/keeper';
import type { SessionState, Situation, TicketState } from '../src/core/types';

const mediator = { name: '律师丁', title: '值班律师', langs: ['zh'] };

function situation(ticket: TicketState | null, session: SessionState | null, more: Partial<Situation> = {}): Situation {
  return {
    ver: 1, self: 'device', device: { id: 'd', name: 'n', kind: 'kiosk', place: [] }, service: { open: true, seats: 1, busy: 0, lo_min: null, hi_min: null },
    visit: { id: 'v', how: 'anonymous', opened_at: 1 },
    ticket: ticket && { id: 't', ver: 1, no: 'A 001', kind: 'consult', category: 'land', lang: 'zh', state: ticket, ahead: 0, passed: false, lo_min: null, hi_min: null, ring: ticket === 'ringing' ? { until_at: 9, mediator, session_id: 's' } : null, until_at: null, outcome: '' },
    session: session && { id: 's', ver: 1, kind: 'consult', state: session, room_id: 'r', participant_id: 'p', epoch: 1, mediator, suspended_until_at: null },
    capture: { paired: false, live: false }, rating: null, ...more,
  };
}

const none: Steps = { lang: null, kind: null };
const rows: [string, Situation, Steps, Scene][] = [
  ['nobody', situation(null, null, { visit: null }), none, 'attract'],
  ['first touch', situation(null, null), none, 'lang'],
  ['language chosen', situation(null, null), { lang: 'zh', kind: null }, 'kind'],
  ['kind chosen', situation(null, null), { lang: 'zh', kind: 'consult' }, 'category'],
  ['waiting wins over the steps', situation('waiting', null), none, 'waiting'],
  ['an offer looks like waiting', situation('offered', null), none, 'waiting'],
  ['ring', situation('ringing', 'lobby'), none, 'ringing'],
  ['missed', situation('missed', 'adjourned'), none, 'missed'],
  ['parked', situation('parked', null), none, 'parked'],
  ['answered, not admitted', situation('serving', 'lobby'), none, 'lobby'],
  ['check zone', situation('serving', 'checking'), none, 'call'],
  ['call', situation('serving', 'joint'), none, 'call'],
  ['suspended', situation('serving', 'suspended'), none, 'suspended'],
  ['adjourned', situation('serving', 'adjourned'), none, 'adjourned'],
  ['rating', situation(null, null, { rating: { session_id: 's', mediator: '律师丁' } }), none, 'rating'],
];

describe('kiosk screen', () => {
  it.each(rows)('%s', (_, s, steps, want) => expect(sceneOf(s, steps)).toBe(want));
  it('never counts idle seconds while a number waits, rings, or somebody talks', () => {
    for (const scene of ['waiting', 'parked', 'missed', 'ringing', 'lobby', 'call', 'suspended'] as const) expect(idleRuns(scene)).toBe(false);
    for (const scene of ['lang', 'kind', 'category', 'adjourned', 'rating'] as const) expect(idleRuns(scene)).toBe(true);
  });
  it('asks before it ends what would be lost', () => {
    expect(rows.filter(([, s, steps]) => asksBeforeEnd(sceneOf(s, steps))).map((r) => r[3])).toEqual(['waiting', 'waiting', 'ringing', 'missed', 'parked', 'lobby', 'call', 'call', 'suspended']);
  });
});

describe('phone screen', () => {
  it.each(rows.filter((r) => !['attract', 'lang', 'kind', 'category'].includes(r[3])))('%s', (_, s) => {
    const want = { checking: 'check' } as Record<string, string>;
    const kiosk = sceneOf(s, none);
    expect(phoneScene(s)).toBe(kiosk === 'call' && s.session ? want[s.session.state] || 'call' : kiosk);
  });
  it('waits for the first answer and idles without a ticket', () => {
    expect([phoneScene(null), phoneScene(situation(null, null))]).toEqual(['loading', 'idle']);
  });
});

describe('room of a situation', () => {
  it('is open from the ring to the end', () => {
    const open = (t: TicketState | null, s: SessionState | null) => roomWanted(situation(t, s));
    expect([open('waiting', null), open('ringing', 'lobby'), open('serving', 'joint'), open('serving', 'suspended'), open('serving', 'adjourned'), open(null, 'ended')]).toEqual([null, 's', 's', 's', null, null]);
  });
  it('sends nothing before the person has said yes', () => {
    expect([accepted(null), accepted(situation('ringing', 'lobby')), accepted(situation('waiting', null)), accepted(situation('serving', 'lobby')), accepted(situation('serving', 'joint'))]).toEqual([false, false, false, true, true]);
  });
});

describe('idle', () => {
  let over: number;
  let idle: Idle;
  beforeEach(() => {
    vi.useFakeTimers();
    over = 0;
    idle = createIdle(() => over++);
  });
  afterEach(() => {
    idle.close();
    vi.useRealTimers();
  });
  const seconds = (n: number) => vi.advanceTimersByTime(n * 1000);

  it('asks after 60 s, wipes 20 s later', () => {
    idle.run(true);
    seconds(idleMs / 1000 - 1);
    expect(idle.get()).toBe(null);
    seconds(1);
    expect(idle.get()).toBe(askSeconds);
    seconds(askSeconds - 1);
    expect([idle.get(), over]).toEqual([1, 0]);
    seconds(1);
    expect([idle.get(), over]).toEqual([null, 1]);
    seconds(600);
    expect(over).toBe(1);
  });
  it('one touch extends, far more than ten times', () => {
    idle.run(true);
    for (let i = 0; i < 25; i++) {
      seconds(idleMs / 1000 + askSeconds - 1);
      idle.touch();
      expect(idle.get()).toBe(null);
    }
    expect(over).toBe(0);
  });
  it('stands still in a call and starts anew after it', () => {
    idle.run(true);
    seconds(70);
    idle.run(false);
    expect(idle.get()).toBe(null);
    seconds(3600);
    idle.touch();
    expect(over).toBe(0);
    idle.run(true);
    seconds(59);
    expect(idle.get()).toBe(null);
    seconds(1);
    expect(idle.get()).toBe(askSeconds);
  });
});
