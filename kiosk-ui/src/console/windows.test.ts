import { describe, expect, test } from 'vitest';
import type { DeviceRow } from '../core/types';
import { EMPTY, filled, heard, liveIds, moved, PAGE, rowAt, used, wanted, type Windows } from './windows';

const row = (id: string, chip = 'online', name = id): DeviceRow => ({
  id, name, serial: id, kind: 'stb', class: 'public', model: 'm', unit_id: 'u', place: ['赤峰市'], life: 'active', presence: 'connected', chip, tier: 'A', use: 'idle',
  app_ver: '', engine: '', key_store: 'soft', since_at: 0, seen_at: 0, cause: '', simulated: false, rtt_ms: null,
});
const page = (n: number, size = PAGE) => Array.from({ length: size }, (_, i) => row(`d${n * PAGE + i}`));
const start = (total = 1000): Windows => filled(EMPTY, 0, page(0), 'c1', total, 1);

describe('windows of a long list', () => {
  test('the first one says how long the list is, the others fill their places', () => {
    const w = filled(start(), 3, page(3), 'c4', 1000, 2);
    expect(w.total).toBe(1000);
    expect([rowAt(w, 0)?.id, rowAt(w, 199)?.id, rowAt(w, 200), rowAt(w, 600)?.id, rowAt(w, 799)?.id]).toEqual(['d0', 'd199', undefined, 'd600', 'd799']);
  });
  test('a last window that comes short ends the list there, one that comes long lengthens it', () => {
    expect(filled(start(), 4, page(4, 150), '', 1000, 2).total).toBe(950);
    expect(filled(start(300), 1, page(1, 120), '', 320, 2).total).toBe(320);
  });
  test('a counter that moves between two windows moves no place', () => {
    const w = filled(start(), 1, page(1), 'c2', 1003, 2);
    expect([w.total, w.now]).toEqual([1000, 1003]);
  });
  test('what is visible is fetched first, then what lies ahead', () => {
    const w = start(100_000);
    expect(wanted(w, 190, 220, true)).toEqual([1, 2, 3]);
    expect(wanted(w, 50_100, 50_130, true)).toEqual([250, 251, 252, 249]);
    expect(wanted(w, 50_100, 50_130, false)).toEqual([250, 249, 248, 251]);
    expect(wanted(w, 99_990, 99_999, true)).toEqual([499, 498]);
    expect(wanted(w, 0, 20, true)).toEqual([1, 2]);
  });
  test('an empty list wants its first window only', () => {
    expect(wanted(EMPTY, 0, 20, true)).toEqual([0]);
    expect(wanted(filled(EMPTY, 0, [], '', 0, 1), 0, 20, true)).toEqual([]);
  });
  test('memory stays flat: the windows looked at longest ago go', () => {
    let w = start(100_000);
    for (let n = 1; n < 60; n++) {
      used(w, 0, 10, n); // the top stays in sight
      w = filled(w, n, page(n), `c${n}`, 100_000, n);
    }
    expect(w.pages.size).toBe(40);
    expect(rowAt(w, 0)?.id).toBe('d0');
    expect(rowAt(w, PAGE * 5)).toBeUndefined();
    expect(w.where.has('d1000')).toBe(false);
  });
});

describe('the live window', () => {
  test('a change is shown at once and in its place', () => {
    const w = heard(start(), [row('d7', 'offline')], [], 1000);
    expect(rowAt(w, 7)?.chip).toBe('offline');
    expect(moved(w)).toBe(1);
    expect(rowAt(start(), 7)?.chip).toBe('online');
  });
  test('a change that keeps the chip moves nothing', () => expect(moved(heard(start(), [row('d7', 'online', '新名字')], [], 1000))).toBe(0));
  test('a row that leaves stays and is marked, and comes back', () => {
    const w = heard(start(), [], ['d7'], 999);
    expect([w.gone.has('d7'), rowAt(w, 7)?.id, moved(w)]).toEqual([true, 'd7', 1]);
    expect(heard(w, [row('d7')], [], 1000).gone.size).toBe(0);
  });
  test('newcomers are counted, not shown', () => {
    const w = heard(start(), [], [], 1012);
    expect([w.total, moved(w)]).toEqual([1000, 12]);
  });
  test('a row that nobody fetched has no place', () => expect(heard(start(), [row('d900', 'offline')], [], 1000).changed.size).toBe(0));
  test('nothing new changes nothing', () => {
    const w = start();
    expect(heard(w, [], [], 1000)).toBe(w);
  });
  test('a thousand changes in one frame copy each window once and keep every place', () => {
    let w = start();
    for (let n = 1; n < 5; n++) w = filled(w, n, page(n), '', 1000, n);
    const after = heard(w, Array.from({ length: 1000 }, (_, i) => row(`d${i}`, 'suspect')), [], 1000);
    for (let i = 0; i < 1000; i++) expect(rowAt(after, i)?.id).toBe(`d${i}`);
    expect(moved(after)).toBe(1000);
  });
  test('it holds what is visible and as much around as fits', () => {
    let w = start();
    w = filled(w, 1, page(1), '', 1000, 2);
    const ids = liveIds(w, 190, 209);
    expect(ids).toHaveLength(200);
    expect([ids[0], ids[199]]).toEqual(['d100', 'd299']);
    expect(liveIds(w, 0, 9)).toHaveLength(105);
    expect(liveIds(w, 700, 720)).toEqual([]);
  });
});
