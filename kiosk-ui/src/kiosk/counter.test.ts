import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError } from '../core/api';
import { createClock } from '../core/clock';
import { askMedia, plugged } from '../core/rtc/media';
import { createStore } from '../core/store';
import type { TerminalStatus } from '../core/terminal';
import type { Situation } from '../core/types';
import { openCounter, type Counter } from './counter';

let c: Counter;
let status: ReturnType<typeof createStore<TerminalStatus>>;
let fact: ReturnType<typeof createStore<{ value: Situation | null }>>;
let calls: string[];
let refuse: ApiError | null;
let left: number;
let attached: string;
let publishing: MediaStream | null;
const room = { get: () => ({ publishing: !!publishing }), publish: (s: MediaStream | null) => { publishing = s; } };

vi.mock('../core/terminal', () => ({
  openTerminal: () => ({
    status, clock: createClock(), link: () => null, onFrame: () => () => undefined, resume: () => undefined, close: () => undefined,
    situation: { ...fact, nudge: () => undefined, refetch: () => Promise.resolve(), clear: () => fact.set({ value: null }), close: () => undefined },
    api: {
      async post(path: string) {
        calls.push(path);
        if (refuse) throw refuse;
        return { url: 'u', code: `c${calls.length}`, qr_svg: '', expires_at: Date.now() * 1000 + 600e6 };
      },
    },
  }),
}));
vi.mock('../core/speak', () => ({ createSpeaker: () => ({ hush: () => undefined, unlock: () => undefined }) }));
vi.mock('../core/rtc/media', async (real) => ({ ...(await real<object>()), plugged: vi.fn(), askMedia: vi.fn() }));
vi.mock('../core/rtc/keeper', async (real) => ({
  ...(await real<object>()),
  keepRoom: () => ({ ...createStore(room), follow: () => undefined, attach: (kind: string) => { attached = kind; }, close: () => undefined }),
}));

const situation = (more: Partial<Situation> = {}): Situation => ({
  ver: 1, self: 'device', device: { id: 'd', name: 'n', kind: 'kiosk', place: [] }, service: { open: true, seats: 1, busy: 0, lo_min: null, hi_min: null },
  visit: { id: 'v', how: 'anonymous', opened_at: 1 }, ticket: null, session: null, capture: { paired: false, live: false }, rating: null, ...more,
});
const set = async (more: Partial<Situation> = {}): Promise<void> => {
  fact.set({ value: situation(more) });
  await vi.advanceTimersByTimeAsync(0);
};
const code = (): string | null => { const { link } = c.captures.get(); return link && link.code; };

beforeEach(async () => {
  vi.useFakeTimers();
  vi.mocked(plugged).mockResolvedValue({ cam: false, mic: false });
  vi.stubGlobal('navigator', { mediaDevices: new EventTarget() });
  vi.stubGlobal('sessionStorage', { getItem: () => 'v', setItem: () => undefined, removeItem: () => undefined });
  status = createStore<TerminalStatus>({ at: 'up', since: 0 });
  fact = createStore<{ value: Situation | null }>({ value: null });
  [calls, refuse, left, attached, publishing] = [[], null, 0, '', null];
  c = openCounter(() => { left++; });
  await set();
});
afterEach(() => {
  c.close();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test('the code for a phone is asked for again when it failed and before it runs out', async () => {
  refuse = new ApiError(0, 'net.down');
  c.captures.need();
  await vi.advanceTimersByTimeAsync(6000);
  refuse = null;
  c.captures.need();
  await set();
  expect(code()).toBe('c2');
  await vi.advanceTimersByTimeAsync(575_000);
  c.captures.need();
  await set();
  expect(code()).toBe('c3');
});

test('a code is dropped when a phone has used it; the next one, for a phone that died, stays', async () => {
  c.captures.need();
  await set({ capture: { paired: true, live: true } });
  expect(code()).toBeNull();
  c.captures.need();
  await set({ capture: { paired: true, live: false } });
  await set({ capture: { paired: true, live: false } });
  expect([code(), calls.length]).toEqual(['c2', 2]);
  await set({ capture: { paired: true, live: true } });
  expect(code()).toBeNull();
});

const serving = (): Partial<Situation> => {
  const mediator = { name: '律师丁', title: '律师', langs: ['zh'] };
  return {
    ticket: { id: 't', ver: 1, no: 'A 001', kind: 'consult', category: 'land', lang: 'zh', state: 'serving', ahead: 0, passed: false, lo_min: null, hi_min: null, ring: null, until_at: null, outcome: '' },
    session: { id: 's', ver: 1, kind: 'consult', state: 'joint', room_id: 'r', participant_id: 'p', epoch: 1, mediator, suspended_until_at: null },
  };
};

test('a loose plug: the person is seen and heard again, or the phone is asked until the camera is back', async () => {
  const streams: (MediaStream & { tracks: { onended: () => void }[] })[] = [];
  vi.mocked(askMedia).mockImplementation(async () => {
    const tracks = [{ stop: () => undefined, onended: () => undefined }, { stop: () => undefined, onended: () => undefined }];
    const stream = { tracks, getTracks: () => tracks } as unknown as (typeof streams)[0];
    streams.push(stream);
    return { stream, camProblem: null, micProblem: null };
  });
  const plug = async (there: boolean): Promise<void> => {
    vi.mocked(plugged).mockResolvedValue({ cam: there, mic: there });
    navigator.mediaDevices.dispatchEvent(new Event('devicechange'));
    await vi.advanceTimersByTimeAsync(0);
  };
  const pull = async (): Promise<void> => {
    for (const t of streams[streams.length - 1]!.tracks) t.onended();
    await vi.advanceTimersByTimeAsync(0);
  };
  await plug(true);
  await set(serving());
  expect([attached, publishing]).toEqual(['full', streams[0]]);
  await pull(); // and it is there again at once
  expect([streams.length, publishing]).toEqual([2, streams[1]]);
  await plug(false);
  await pull();
  expect([attached, c.eye.get().camera, publishing]).toEqual(['view', 'none', null]);
  await plug(true);
  expect([attached, c.eye.get().camera, streams.length, publishing]).toEqual(['full', 'on', 3, streams[2]]);
});

test('clearing waits for the line, not for a place that another window or the operator took', async () => {
  refuse = new ApiError(0, 'net.down');
  status.set({ at: 'down', since: 0 });
  void c.wipe('left');
  await vi.advanceTimersByTimeAsync(60_000);
  expect(c.gone.get()).toBe('clearing');
  status.set({ at: 'disabled', since: 0 });
  await vi.advanceTimersByTimeAsync(3000);
  expect(c.gone.get()).toBe('cleared');
  await vi.advanceTimersByTimeAsync(4000);
  expect(left).toBe(1);
});
