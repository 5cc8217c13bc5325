// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Api } from '../core/api';
import { ApiError } from '../core/api';
import { createClock } from '../core/clock';
import { createDpad } from '../core/dpad';
import { createFact } from '../core/facts';
import type { Speaker } from '../core/speak';
import { createStore } from '../core/store';
import type { Terminal, TerminalStatus } from '../core/terminal';
import type { Overlay, Situation, Ticket } from '../core/types';
import { createCaptures } from './captures';
import { createMatter } from './dispute/matter';
import type { Parts } from './lazy';
import { createTv, type Memory, type Tv } from './tv';

// The server of these tests: a situation that the commands change, and a list of what was asked.
let server: Situation;
let calls: string[];
let refuse: Record<string, ApiError>;
let status: ReturnType<typeof createStore<TerminalStatus>>;
let term: Terminal;
const overlay = createStore<Overlay | null>(null);
let tv: Tv;
let kept: Memory;
let left: number;
let ringing: boolean;

const ticket = (state: Ticket['state'], more: Partial<Ticket> = {}): Ticket => ({
  id: 't', ver: 1, no: 'A 037', kind: 'consult', category: 'land', lang: 'zh', state, ahead: 2, passed: false, lo_min: null, hi_min: null,
  ring: null, until_at: null, outcome: '', ...more,
});
const mediator = { name: '律师丁', title: '律师', langs: ['zh'] };
const rings = (): Partial<Situation> => ({ ticket: ticket('ringing', { ring: { until_at: Date.now() * 1000 + 30e6, mediator, session_id: 's' } }), session: session('lobby') });
const session = (state: NonNullable<Situation['session']>['state']): NonNullable<Situation['session']> => ({
  id: 's', ver: 1, kind: 'consult', state, room_id: 'r', participant_id: 'p', epoch: 1, mediator, suspended_until_at: null,
});

function answer(path: string, body: Record<string, unknown>): unknown {
  const no = Object.keys(refuse).filter((p) => path.indexOf(p) >= 0)[0];
  if (no) throw refuse[no]!;
  if (path === '/visits') return (server.visit = { id: 'v', how: 'anonymous', opened_at: 0 });
  if (/close$/.test(path)) server.visit = null;
  if (path === '/tickets') server.ticket = ticket('waiting', { kind: body.kind as Ticket['kind'], category: String(body.category) });
  if (/cancel$/.test(path)) server.ticket = ticket('cancelled');
  if (/return$/.test(path)) server.ticket = ticket('waiting');
  if (/answer$/.test(path)) Object.assign(server, body.take ? { ticket: ticket('serving'), session: session('joint') } : { ticket: ticket('missed'), session: null });
  if (/rating$/.test(path)) server.rating = null;
  return server.ticket;
}

const api: Api = {
  get: <T>() => Promise.resolve({ ...server, ver: ++server.ver } as T),
  async post<T>(path: string, body: Record<string, unknown> = {}) {
    const { key: _, ...rest } = body;
    calls.push(`${path} ${Object.values(rest).join(' ')}`.trim());
    return answer(path, body) as T;
  },
  put: () => Promise.reject(new ApiError(404, 'not_found')),
};

const speaker = (): Speaker => ({
  said: createStore(''), say: () => undefined, hush: () => undefined, unlock: () => undefined, ding: () => undefined, tick: () => undefined,
  ring: (on) => { ringing = on; }, quiet: () => undefined,
});

/** flush lets every promise that needs no timer settle. */
const flush = async (): Promise<void> => { await vi.advanceTimersByTimeAsync(0); };
const set = async (more: Partial<Situation>): Promise<void> => {
  Object.assign(server, more);
  await term.situation.refetch();
  await flush();
};
const base = (): string => {
  const s = tv.screen();
  return s.base + (s.over ? '+' + s.over.name : '') + (s.strip ? '/' + s.strip : '');
};

async function start(more: Partial<Situation> = {}, memory: Partial<Memory> = {}): Promise<void> {
  Object.assign(server, more);
  tv = createTv({
    term, voice: speaker(), pad: createDpad(document.body), history: { state: null, pushState: () => undefined, back: () => undefined },
    memory: { home: false, left: null, visit: '', layers: [], ...memory }, remember: (m) => { kept = m; },
    load: () => new Promise(() => undefined), exit: () => { left++; }, online: () => true,
  });
  await term.situation.refetch();
  await flush();
}

beforeEach(() => {
  vi.useFakeTimers();
  server = {
    ver: 0, self: 'device', device: { id: 'd', name: '电视', kind: 'stb', place: [] }, service: { open: true, seats: 1, busy: 0, lo_min: null, hi_min: null },
    visit: null, ticket: null, session: null, capture: { paired: false, live: false }, rating: null,
  };
  calls = [];
  refuse = {};
  left = 0;
  ringing = false;
  status = createStore<TerminalStatus>({ at: 'up', since: Date.now() });
  term = {
    status, api, clock: createClock(), link: () => null, resume: () => { calls.push('resume'); }, onFrame: () => () => undefined, close: () => undefined,
    situation: createFact<Situation>({ fetch: () => api.get('/situation'), ver: (s) => s.ver }),
    overlay,
  };
});
afterEach(() => {
  term.situation.close();
  vi.useRealTimers();
});

test('a visit opens with the first choice, the ticket after the last', async () => {
  await start();
  tv.choose('consult');
  await flush();
  expect([base(), calls]).toEqual(['category', ['/visits anonymous']]);
  tv.pickCategory('consult', 'land');
  expect(base()).toBe('lang');
  tv.pickLang('consult', 'land', 'mn');
  tv.pickLang('consult', 'land', 'mn'); // a second press while the first is on its way
  await flush();
  expect([base(), calls]).toEqual(['waiting', ['/visits anonymous', '/tickets consult land mn']]);
});

test('a refused ticket is told, and Back goes on choosing', async () => {
  await start();
  refuse['/tickets'] = new ApiError(503, 'queue.closed');
  tv.choose('mediate');
  tv.pickCategory('mediate', 'land');
  tv.pickLang('mediate', 'land', 'zh');
  await flush();
  expect(tv.screen().over).toEqual({ name: 'trouble', code: 'queue.closed' });
  tv.back();
  expect(base()).toBe('lang');
  tv.back();
  expect(base()).toBe('category');
  tv.back();
  expect(base()).toBe('home');
});

test('a ticket that is there already is simply shown', async () => {
  await start();
  refuse['/tickets'] = new ApiError(409, 'queue.already_waiting');
  tv.choose('consult');
  tv.pickLang('consult', 'land', 'zh');
  server.ticket = ticket('waiting');
  await vi.advanceTimersByTimeAsync(100);
  expect(base()).toBe('waiting');
});

test('Back while waiting keeps the place, and the strip leads back', async () => {
  await start({ ticket: ticket('waiting') });
  tv.back();
  expect([base(), kept.home]).toEqual(['home/waiting', true]);
  tv.comeBack('waiting');
  await flush();
  expect([base(), calls]).toEqual(['waiting', ['/visits anonymous']]);
});

test('不问了 needs a second press', async () => {
  await start({ ticket: ticket('waiting') });
  tv.askCancel();
  await flush();
  expect([base(), calls]).toEqual(['waiting+cancel', []]);
  tv.cancel();
  await flush();
  expect([base(), calls]).toEqual(['home', ['/tickets/t/cancel']]);
});

test('a ring finds the person at home, closes what lies open, and ends with the answer', async () => {
  await start({ ticket: ticket('waiting') }, { home: true });
  tv.help();
  await set(rings());
  expect([base(), ringing]).toEqual(['ring', true]);
  tv.answer(true);
  expect(ringing).toBe(false);
  await flush();
  expect([base(), calls]).toEqual(['call', ['/tickets/t/answer true']]);
});

test('等一会儿 asks, then gives the ring up and offers to go on', async () => {
  await start(rings());
  tv.back();
  expect(base()).toBe('ring+later');
  tv.answer(false);
  await flush();
  expect([base(), calls]).toEqual(['home/missed', ['/tickets/t/answer false']]);
  tv.comeBack('missed');
  await flush();
  expect(base()).toBe('waiting');
});

test('leaving a call asks, and the session waits', async () => {
  await start({ visit: { id: 'v', how: '', opened_at: 0 }, ticket: ticket('serving'), session: session('joint') }, { visit: 'v' });
  tv.back();
  expect(base()).toBe('call+leave');
  tv.back();
  expect(base()).toBe('call');
  tv.back();
  tv.leave();
  await flush();
  expect([base(), kept.left, calls]).toEqual(['home/left', 's', ['/sessions/s/leave']]);
  tv.comeBack('left');
  expect(base()).toBe('call');
});

test('what was left is forgotten when the session is over', async () => {
  await start({ ticket: ticket('serving'), session: session('joint') }, { left: 's' });
  await set({ ticket: ticket('done'), session: null, rating: { session_id: 's', mediator: '律师丁' } });
  expect([base(), kept.left]).toEqual(['rating', null]);
});

test('a rating is sent once, goodbye closes the visit by itself', async () => {
  await start({ visit: { id: 'v', how: '', opened_at: 0 }, rating: { session_id: 's', mediator: '律师丁' } }, { visit: 'v' });
  tv.rate(4);
  tv.rate(2);
  await flush();
  expect([base(), calls]).toEqual(['bye', ['/sessions/s/rating 4']]);
  await vi.advanceTimersByTimeAsync(20_000);
  expect([base(), calls.slice(1)]).toEqual(['home', ['/visits/v/close left']]);
});

test('Back on the rating skips it', async () => {
  await start({ visit: { id: 'v', how: '', opened_at: 0 }, rating: { session_id: 's', mediator: '律师丁' } }, { visit: 'v' });
  tv.back();
  await flush();
  expect([base(), calls]).toEqual(['bye', ['/sessions/s/rating true']]);
});

test('five idle minutes close a visit, but not one that waits', async () => {
  await start();
  tv.choose('consult');
  await vi.advanceTimersByTimeAsync(4 * 60_000);
  tv.key({ cmd: 'move', dir: 'l' });
  await vi.advanceTimersByTimeAsync(4 * 60_000);
  expect(calls).toEqual(['/visits anonymous']);
  await vi.advanceTimersByTimeAsync(61_000);
  expect([base(), calls]).toEqual(['home', ['/visits anonymous', '/visits/v/close idle']]);

  tv.choose('consult');
  tv.pickLang('consult', 'land', 'zh');
  await vi.advanceTimersByTimeAsync(30 * 60_000);
  expect(calls.filter((c) => /close/.test(c))).toHaveLength(1);
});

test('Back on home closes the visit and leaves to the portal', async () => {
  await start({ visit: { id: 'v', how: '', opened_at: 0 } }, { visit: 'v' });
  tv.back();
  await flush();
  expect([left, calls]).toEqual([1, ['/visits/v/close left']]);
});

test.each<[string, Partial<Situation>, string, string[]]>([
  ['a power cut ends the visit of whoever was there', {}, '', ['/visits/v/close reboot']],
  ['a reload of the same tab does not', {}, 'v', []],
  ['nor a power cut while somebody waits', { ticket: ticket('waiting') }, '', []],
  ['nor in a call', { ticket: ticket('serving'), session: session('joint') }, '', []],
])('%s', async (_name, more, visit, want) => {
  await start({ visit: { id: 'v', how: '', opened_at: 0 }, ...more }, { visit });
  expect(calls).toEqual(want);
});

test('a parked ticket goes back into the queue by itself, once', async () => {
  await start({ ticket: ticket('parked', { ver: 7 }) });
  await flush();
  expect([base(), calls]).toEqual(['waiting', ['/tickets/t/return']]);
});

test('a parked ticket is left alone while the person is at home', async () => {
  await start({ ticket: ticket('parked') }, { home: true });
  expect([base(), calls]).toEqual(['home/waiting', []]);
});

test('the line: nothing for 3 s, then a word, after 10 s a screen, and back', async () => {
  await start();
  status.set({ at: 'down', since: Date.now() });
  await vi.advanceTimersByTimeAsync(2000);
  expect(tv.local.get().line).toBe('up');
  await vi.advanceTimersByTimeAsync(2000);
  expect([tv.local.get().line, base()]).toEqual(['wavering', 'home']);
  await vi.advanceTimersByTimeAsync(7000);
  expect(base()).toBe('noserver');
  status.set({ at: 'up', since: Date.now() });
  expect(base()).toBe('home');
});

test('the bar of the call fades after 6 s; the first key only shows it', async () => {
  await start({ ticket: ticket('serving'), session: session('joint') });
  expect(tv.key({ cmd: 'move', dir: 'r' })).toBe(false);
  await vi.advanceTimersByTimeAsync(6000);
  expect(tv.bar.get()).toBe(false);
  expect(tv.key({ cmd: 'ok' })).toBe(true);
  expect(tv.bar.get()).toBe(true);
  expect(tv.key({ cmd: 'ok' })).toBe(false);
  await vi.advanceTimersByTimeAsync(6000);
  expect(tv.key({ cmd: 'back' })).toBe(false); // Back always asks
});

test('a code that a phone has used is not shown again', async () => {
  await start({ visit: { id: 'v', how: '', opened_at: 0 }, ticket: ticket('waiting') });
  const fresh = { url: 'u', code: 'c', qr_svg: '<svg/>', expires_at: Date.now() * 1000 + 600e6 };
  vi.spyOn(api, 'post').mockResolvedValue(fresh as never);
  tv.late({
    createCaptures, createMatter,
    createLine: () => ({ ...createStore<unknown>(null), follow: () => undefined, accepted: () => undefined, resume: () => undefined }),
  } as unknown as Parts);
  tv.captures.need();
  await flush();
  expect(tv.captures.get().link).toEqual(fresh);
  await set({ capture: { paired: true, live: false } });
  expect(tv.captures.get().link).toBeNull();
});

test('a message hides what Back and the digits would do', async () => {
  const ok = vi.fn();
  overlay.set({ kind: 'message', id: 'c', text: '停水', speak: false, until: 0, ok });
  expect(tv.key({ cmd: 'digit', n: 0 })).toBe(true);
  expect(tv.key({ cmd: 'move', dir: 'l' })).toBe(false);
  expect(ok).not.toHaveBeenCalled();
  expect(tv.key({ cmd: 'back' })).toBe(true);
  expect(ok).toHaveBeenCalledOnce();
  overlay.set(null);
});
