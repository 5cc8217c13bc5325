import { afterEach, expect, test, vi } from 'vitest';
import type { Api } from '../../core/api';
import type { Situation, Ticket } from '../../core/types';
import { attachOf, createLine, type MediaTools } from './line';
import { roomOf } from './room-of';

test.each<[string, boolean, { cam: boolean; mic: boolean }, boolean, 'full' | 'view']>([
  ['camera and microphone', false, { cam: true, mic: true }, false, 'full'],
  ['a paired phone is the camera', true, { cam: true, mic: true }, false, 'view'],
  ['a camera without a microphone is no use', false, { cam: true, mic: false }, false, 'view'],
  ['nothing plugged in', false, { cam: false, mic: false }, false, 'view'],
  ['the camera refused', false, { cam: true, mic: true }, true, 'view'],
])('attach: %s', (_name, paired, devices, broken, want) => {
  expect(attachOf(paired, devices, broken)).toBe(want);
});

const mediator = { name: '律师丁', title: '', langs: [] };
const ticket = (state: Ticket['state']): Ticket => ({
  id: 't', ver: 1, no: 'A 1', kind: 'consult', category: 'land', lang: 'zh', state, ahead: 0, passed: false, lo_min: null, hi_min: null,
  ring: state === 'ringing' ? { until_at: 1, mediator, session_id: 's' } : null, until_at: null, outcome: '',
});
const at = (t: Ticket['state'] | null, state: NonNullable<Situation['session']>['state'] | null): Situation => ({
  ver: 1, self: 'device', device: { id: 'd', name: '', kind: 'stb', place: [] }, service: { open: true, seats: 0, busy: 0, lo_min: null, hi_min: null },
  visit: null, ticket: t && ticket(t), capture: { paired: false, live: false }, rating: null,
  session: state && { id: 's', ver: 1, kind: 'consult', state, room_id: 'r', participant_id: 'p', epoch: 1, mediator, suspended_until_at: null },
});

test.each<[string, Situation | null, string | null, string]>([
  ['nothing', null, null, 'none'],
  ['waiting', at('waiting', null), null, 'none'],
  ['ringing: the room is prepared, the camera stays shut', at('ringing', 'lobby'), null, 's shut'],
  ['answered', at('serving', 'lobby'), null, 's open'],
  ['talking', at('serving', 'joint'), null, 's open'],
  ['suspended: the place is kept', at('serving', 'suspended'), null, 's open'],
  ['left by this TV', at('serving', 'joint'), 's', 'none'],
  ['missed: the adjourned session has no room here', at('missed', 'adjourned'), null, 'none'],
  ['the seat is lost and the ticket waits again', at('waiting', 'suspended'), null, 'none'],
  ['over', at('done', 'ended'), null, 'none'],
])('room: %s', (_name, s, left, want) => {
  const r = roomOf(s, left);
  expect(r ? `${r.session} ${r.open ? 'open' : 'shut'}` : 'none').toBe(want);
});

afterEach(() => { vi.unstubAllGlobals(); });

test('a loose plug: the person is seen and heard again, or the phone is the camera until it is back', async () => {
  const mediaDevices = new EventTarget();
  vi.stubGlobal('navigator', { mediaDevices });
  let there = true;
  const did: string[] = [];
  const streams: { onended: () => void; stop: () => void }[][] = [];
  const tools = {
    plugged: () => Promise.resolve({ cam: there, mic: there }),
    stopStream: () => undefined,
    async askMedia() {
      const tracks = [{ onended: () => undefined, stop: () => undefined }, { onended: () => undefined, stop: () => undefined }];
      streams.push(tracks);
      return { stream: { n: streams.length, getTracks: () => tracks }, camProblem: null, micProblem: null };
    },
    openRoom: ({ attach }: { attach: string }) => {
      did.push(attach);
      return { get: () => ({ profile: null }), subscribe: () => () => undefined, placed: () => undefined, close: () => undefined, publish: async (s: { n: number }) => { did.push(`publish ${s.n}`); } };
    },
  } as unknown as MediaTools;
  const settle = () => new Promise((r) => { setTimeout(r); });
  const plug = async (on: boolean): Promise<void> => {
    there = on;
    mediaDevices.dispatchEvent(new Event('devicechange'));
    await settle();
  };
  const pull = async (): Promise<void> => {
    for (const t of streams[streams.length - 1]!) t.onended();
    await settle();
  };
  const line = createLine({ api: {} as Api, reread: () => undefined, load: () => Promise.resolve(tools) });
  line.follow(at('serving', 'joint'), null);
  await settle();
  expect(did).toEqual(['full', 'publish 1']);
  await pull(); // and it is there again at once
  expect(did.slice(2)).toEqual(['publish 2']);
  there = false;
  await pull(); // the track's end may come before the news of the device
  await plug(false);
  await plug(true);
  expect(did.slice(3)).toEqual(['view', 'full', 'publish 3']);
});
