import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError, type Api } from '../../core/api';
import type { MyDispute } from '../../core/dispute';
import type { Situation } from '../../core/types';
import { createMatter, type Matter } from './matter';

let server: MyDispute | null;
let told: (t: string, b: unknown) => void;
let m: Matter;
let gets: number;
const api = {
  async get() {
    gets++;
    if (!server) throw new ApiError(404, 'dispute.none');
    return server;
  },
  post: () => Promise.reject(new ApiError(409, 'dispute.state')),
  put: () => Promise.reject(new ApiError(409, 'dispute.state')),
} as unknown as Api;

const asks = [{ id: 'q', kind: 'convert' as const, version: '', title: '', lines: [], items: [] }];
const matter = (over: Partial<MyDispute> = {}): MyDispute => ({
  id: 'd', ver: 1, session_id: 's', number: '', state: 'registered', category: 'land', mediator: '丙', unit: 'u', me: { party: 'p', name: '甲', side: 'A', signed_at: null, withdrawn_at: null },
  others: [], asks, phone_code_wanted: false, agreement: null, closing: null, receipt_no: '', confirm_last_on: null, files: [], ...over,
});
const session = (answer = ''): NonNullable<Situation['session']> => ({
  id: 's', ver: 1, kind: 'consult', state: 'joint', room_id: 'r', participant_id: 'p', epoch: 1, mediator: { name: '丁', title: '', langs: [] }, suspended_until_at: null, answer,
});
const seen = (over: Partial<Situation>): Situation => ({
  ver: 1, self: 'device', device: { id: 'd', name: '', kind: 'stb', place: [] }, service: { open: true, seats: 1, busy: 0, lo_min: null, hi_min: null },
  visit: { id: 'v', how: '', opened_at: 0 }, ticket: null, session: session(), dispute: null, capture: { paired: false, live: false }, rating: null, ...over,
});
const shown = (): string => { const v = m.get(); return v.shows ? v.thing!.key : ''; };

beforeEach(() => {
  server = null;
  gets = 0;
  m = createMatter({ api, onFrame: (cb) => { told = cb; return () => undefined; } });
});
afterEach(() => m.close());

test('a question takes the screen, Back gives it to the talk, a key brings it back', async () => {
  server = matter();
  m.follow(seen({ dispute: { id: 'd', ver: 1 } }), null);
  await vi.waitFor(() => expect(shown()).toBe('ask:q'));
  m.dismiss();
  expect([shown(), m.get().thing!.key]).toEqual(['', 'ask:q']);
  m.open();
  expect(shown()).toBe('ask:q');
  server = matter({ ver: 2, asks: [{ ...asks[0]!, id: 'r' }] });
  m.dismiss();
  told('dispute.state', {});
  await vi.waitFor(() => expect(shown()).toBe('ask:r')); // another question is another thing
});

test('nothing shows to somebody who left the session', async () => {
  server = matter();
  m.follow(seen({ dispute: { id: 'd', ver: 1 } }), null);
  await vi.waitFor(() => expect(shown()).toBe('ask:q'));
  m.follow(seen({ dispute: { id: 'd', ver: 1 } }), 's');
  expect(shown()).toBe('');
});

test('a written answer shows once while people talk and once before the rating', () => {
  m.follow(seen({ session: session('打借条') }), null);
  expect(shown()).toBe('answer:打借条');
  m.dismiss();
  expect(shown()).toBe('');
  m.follow(seen({ session: session('打借条，写日期') }), null); // written anew
  expect(shown()).toBe('answer:打借条，写日期');
  m.dismiss();
  m.follow(seen({ session: null, rating: { session_id: 's', mediator: '丁' } }), null);
  expect(shown()).toBe('bye:打借条，写日期');
  m.dismiss();
  expect(shown()).toBe('');
});

test('the answer of one call is not shown over the next one, nor before its rating', () => {
  m.follow(seen({ session: session('打借条') }), null);
  m.follow(seen({ session: null }), null);
  m.follow(seen({ session: { ...session(), id: 's2', state: 'lobby' } }), null);
  expect(shown()).toBe('');
  m.follow(seen({ session: null, rating: { session_id: 's2', mediator: '丁' } }), null);
  expect(shown()).toBe('');
  m.follow(seen({ session: { ...session('打借条'), id: 's3' } }), null);
  expect(shown()).toBe('answer:打借条');
});

test('the next visit sees nothing of the one before', async () => {
  server = matter({ state: 'terminated' });
  m.follow(seen({ session: session('打借条'), dispute: { id: 'd', ver: 1 } }), null);
  await vi.waitFor(() => expect(shown()).toBe('closed'));
  m.follow(seen({ session: null, visit: null, dispute: null }), null);
  expect([shown(), m.c.get().d]).toEqual(['', null]);
  m.follow(seen({ session: null, rating: { session_id: 's2', mediator: '丁' } }), null);
  expect(shown()).toBe('');
});

test('digits belong to the boxes while they are on screen, to help and tiles else', async () => {
  const got: number[] = [];
  m.onDigit((n) => got.push(n));
  expect(m.key({ cmd: 'digit', n: 4 })).toBe(false);
  server = matter();
  m.follow(seen({ dispute: { id: 'd', ver: 1 } }), null);
  await vi.waitFor(() => expect(shown()).toBe('ask:q'));
  expect([m.key({ cmd: 'digit', n: 0 }), m.key({ cmd: 'ok' }), got]).toEqual([true, false, [0]]);
  m.onDigit(null);
  expect(m.key({ cmd: 'digit', n: 1 })).toBe(false);
});
