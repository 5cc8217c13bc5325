import { describe, expect, test } from 'vitest';
import type { DeviceRow } from '../core/types';
import { applyDeltas, EMPTY_VIEW, fromSnapshot, moved, rejoin, type Delta } from './rows';

const row = (id: string, chip = 'online', name = id): DeviceRow => ({
  id, name, serial: id, kind: 'stb', class: 'public', model: 'm', unit_id: 'u', place: ['赤峰市'], life: 'active', presence: 'connected', chip, use: 'idle',
  app_ver: '', engine: '', key_store: 'soft', since_at: 0, seen_at: 0, cause: '', simulated: false, rtt_ms: null,
});
const delta = (vseq: number, up: DeviceRow[], gone: string[] = [], total = 3): Delta => ({ vseq, up, gone, total });
const start = fromSnapshot({ rows: [row('a'), row('b'), row('c')], total: 3, vseq: 1 }, 100);
const ids = (v: { rows: DeviceRow[] }) => v.rows.map((r) => r.id).join('');

describe('the live list', () => {
  test('a change is shown at once and in place', () => {
    const v = applyDeltas(start, [delta(2, [row('b', 'offline')])], 200);
    expect(ids(v)).toBe('abc');
    expect(v.rows[1]?.chip).toBe('offline');
    expect(v.at).toBe(200);
    expect(moved(v)).toBe(1);
  });
  test('a change that keeps the chip moves nothing', () => {
    expect(moved(applyDeltas(start, [delta(2, [row('b', 'online', '新名字')])], 200))).toBe(0);
  });
  test('a new row waits below, a leaving row stays and is marked', () => {
    const v = applyDeltas(start, [delta(2, [row('d', 'suspect')], ['a'], 3)], 200);
    expect(ids(v)).toBe('abcd');
    expect(v.gone.has('a')).toBe(true);
    expect(moved(v)).toBe(2);
  });
  test('a row that returns is no longer marked', () => {
    const v = applyDeltas(start, [delta(2, [], ['a'], 2), delta(3, [row('a')], [], 3)], 200);
    expect(v.gone.size).toBe(0);
  });
  test('several deltas in one frame equal the same one after another', () => {
    const ds = [delta(2, [row('a', 'offline')]), delta(3, [row('b', 'suspect')]), delta(4, [row('a')], ['c'])];
    const once = applyDeltas(start, ds, 200);
    const each = ds.reduce((v, d) => applyDeltas(v, [d], 200), start);
    expect(once).toEqual(each);
  });
  test('a gap stops and asks for a new snapshot', () => {
    const v = applyDeltas(start, [delta(2, [row('a', 'offline')]), delta(4, [row('b', 'offline')])], 200);
    expect(v.broken).toBe(true);
    expect(v.rows[0]?.chip).toBe('offline');
    expect(v.rows[1]?.chip).toBe('online');
    expect(applyDeltas(v, [delta(5, [row('c', 'offline')])], 300)).toBe(v);
  });
  test('a repeated or late delta changes nothing', () => {
    expect(applyDeltas(start, [delta(1, [row('a', 'offline')])], 200)).toBe(start);
  });
  test('after a lost line the rows keep their places', () => {
    const v = rejoin(start, { rows: [row('c'), row('b', 'offline'), row('e')], total: 3, vseq: 40 }, 300);
    expect(ids(v)).toBe('abce');
    expect([...v.gone]).toEqual(['a']);
    expect(v.vseq).toBe(40);
    expect(v.broken).toBe(false);
  });
  test('an empty view starts from nothing', () => {
    expect(rejoin(EMPTY_VIEW, { rows: [row('a')], total: 1, vseq: 7 }, 5).rows).toHaveLength(1);
  });
});
