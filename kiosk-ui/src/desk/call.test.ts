// @vitest-environment happy-dom
import { act, createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Room, RoomView } from '../core/rtc/room';
import { createStore } from '../core/store';
import { calm, useView, useZone } from './call';

const quiet = { state: 'live', levels: {}, phase: { zone: 'check:a' }, captions: [] } as unknown as RoomView;

beforeEach(() => void vi.stubGlobal('IS_REACT_ACT_ENVIRONMENT', true));
afterEach(() => void vi.unstubAllGlobals());

test('only levels are calm', () => {
  expect(calm(quiet, { ...quiet, levels: { a: 9 } })).toBe(true);
  expect(calm(quiet, { ...quiet, net: 'poor' })).toBe(false);
});

test('who reads the view is redrawn by what happens, not by every sound', async () => {
  const room = createStore<RoomView>(quiet);
  let views = 0;
  let zones = 0;
  const Views = () => { views++; return createElement('i', null, useView(room as unknown as Room)?.net); };
  const Zones = () => { zones++; return createElement('b', null, useZone(room as unknown as Room)); };
  const host = document.createElement('div');
  const root = createRoot(host);
  await act(async () => root.render(createElement('div', null, createElement(Views), createElement(Zones))));
  for (let n = 1; n <= 50; n++) await act(async () => room.set({ ...room.get(), levels: { a: n } }));
  expect([views, zones]).toEqual([1, 1]);
  await act(async () => room.set({ ...room.get(), net: 'poor' }));
  expect([views, zones, host.textContent]).toEqual([2, 1, 'poorcheck:a']);
  await act(async () => room.set({ ...room.get(), phase: { zone: 'all' } as RoomView['phase'] }));
  expect([views, zones, host.textContent]).toEqual([3, 2, 'poorall']);
  await act(async () => root.unmount());
});
