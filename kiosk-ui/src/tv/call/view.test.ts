import { expect, test } from 'vitest';
import type { RoomView, Tile } from '../../core/rtc/room';
import type { RoomPerson } from '../../core/types';
import { caption, hearers, ownCard, phoneUp, remotes, silenced } from './view';

const person = (participant: string, name: string, role: string, more: Partial<RoomPerson> = {}): RoomPerson => ({ participant, name, role, attach: ['full'], present: true, mic_muted: false, ...more });
const tile = (participant: string, kind: 'mic' | 'cam', more: Partial<Tile> = {}): Tile => ({ participant, name: participant, kind, track: {} as MediaStreamTrack, live: true, muted: false, ...more });
const room = (more: Partial<RoomView>): RoomView => ({
  state: 'live', code: '', words: '', net: 'good', phase: null, members: [], tiles: [], streams: {}, muted: { mic: false, cam: false }, publishing: false,
  audioOnly: false, levels: {}, captions: [], self: 'me', profile: null, ...more,
});
const phase = (can_hear: string[]) => ({ epoch: 1, phase: 'joint', zone: 'joint', can_hear, can_see: [], recording: false });
const people = [person('b', '对方乙', 'party'), person('me', '您', 'party'), person('z', '调解员丙', 'mediator')];

test('the mediator comes first, oneself never', () => {
  expect(remotes(room({ members: people })).map((r) => r.name)).toEqual(['调解员丙', '对方乙']);
});

test('somebody who is gone leaves no tile, somebody with tracks has one before the list says so', () => {
  expect(remotes(room({ members: [person('z', '调解员丙', 'mediator', { present: false })] }))).toEqual([]);
  expect(remotes(room({ tiles: [tile('z', 'cam')] })).map((r) => r.participant)).toEqual(['z']);
});

test.each<[string, Partial<Tile>, boolean]>([
  ['a live camera', {}, true],
  ['a camera that is off', { muted: true }, false],
  ['a closed gate', { live: false }, false],
  ['a track that has not come yet', { track: null }, false],
])('picture: %s', (_name, more, want) => {
  expect(remotes(room({ members: people, tiles: [tile('z', 'cam', more)] }))[0]!.picture).toBe(want);
});

test('who hears me is what the gates say, whoever else is in the room', () => {
  expect(hearers(room({ members: people, phase: phase(['调解员丙', '对方乙']) }))).toEqual(['调解员丙', '对方乙']);
  expect(hearers(room({ members: people, phase: phase(['调解员丙']) }))).toEqual(['调解员丙']);
  expect(hearers(room({ members: people, phase: phase([]) }))).toEqual([]);
  expect(hearers(room({ members: people }))).toEqual([]);
});

test('the room knows first whether the phone is on air', () => {
  const me = (attach: ('view' | 'capture')[]) => room({ members: [person('me', '您', 'party', { attach })] });
  expect(phoneUp(me(['view', 'capture']), false)).toBe(true);
  expect(phoneUp(me(['view']), true)).toBe(false);
  expect(phoneUp(room({}), true)).toBe(true);
  expect(phoneUp({ ...me(['view']), state: 'broken' }, true)).toBe(true);
});

test('silenced by oneself or by the phone', () => {
  expect(silenced(room({ members: people }))).toBe(false);
  expect(silenced(room({ muted: { mic: true, cam: false } }))).toBe(true);
  expect(silenced(room({ members: [person('me', '您', 'party', { mic_muted: true })] }))).toBe(true);
});

test('a caption stands for 20 s or until the next', () => {
  const v = room({ captions: [{ participant: 'z', name: '丙', text: '一', at: 1000 }, { participant: 'z', name: '丙', text: '二', at: 5000 }] });
  expect(caption(v, 6000)).toEqual({ name: '丙', text: '二' });
  expect(caption(v, 24_999)).not.toBeNull();
  expect(caption(v, 25_000)).toBeNull();
  expect(caption(room({}), 0)).toBeNull();
});

const own = { attach: 'full' as const, paired: false, live: false, seenLive: false, waitedMs: 0, stream: true, picture: true, problem: false };
test.each<[string, Partial<typeof own> | { attach: 'view' }, string]>([
  ['the box has a camera', {}, 'camera'],
  ['the camera is opening', { stream: false, picture: false }, 'camera-opening'],
  ['only the microphone works', { picture: false }, 'sound-only'],
  ['the phone films', { attach: 'view', paired: true, live: true }, 'phone'],
  ['the phone is paired but not up yet', { attach: 'view', paired: true }, 'phone-wait'],
  ['the phone was there and is gone', { attach: 'view', paired: true, seenLive: true }, 'phone-lost'],
  ['the phone never came up (the page was loaded anew)', { attach: 'view', paired: true, waitedMs: 20_000 }, 'phone-lost'],
  ['the phone gave its place up', { attach: 'view', seenLive: true }, 'phone-lost'],
  ['no camera, no phone', { attach: 'view', stream: false }, 'none'],
  ['the camera refused', { attach: 'view', stream: false, problem: true }, 'broken'],
])('own card: %s', (_name, more, want) => {
  expect(ownCard({ ...own, ...more })).toBe(want);
});
