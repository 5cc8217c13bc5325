import { describe, expect, test } from 'vitest';
import { claimCode, count, lasted, leaseShare, pastTime, placeLine, rate, stopwatch } from './format';

const at = (y: number, mo: number, d: number, h = 0, mi = 0, s = 0) => Date.UTC(y, mo - 1, d, h - 8, mi, s) * 1000; // UTC+8

describe('lengths', () => {
  test.each([
    [0, '0:00'], [9.9, '0:09'], [492, '8:12'], [728, '12:08'], [3600, '1:00:00'], [3909, '1:05:09'], [-5, '0:00'],
  ])('stopwatch(%s) is %s', (s, want) => expect(stopwatch(s)).toBe(want));
  test('a lease runs from one to nought and stays inside', () => {
    expect(leaseShare(20e6, 15_000, 5e6)).toBe(1);
    expect(leaseShare(20e6, 15_000, 12.5e6)).toBeCloseTo(0.5);
    expect(leaseShare(20e6, 15_000, 20e6)).toBe(0);
    expect(leaseShare(20e6, 15_000, 1e6)).toBe(1);
    expect(leaseShare(20e6, 15_000, 30e6)).toBe(0);
    expect(leaseShare(20e6, 0, 5e6)).toBe(0);
  });
  test.each([[5, '5 秒'], [61, '1 分钟'], [7300, '2 小时'], [9 * 86_400, '9 天']])('lasted(%s) is %s', (s, want) => expect(lasted(s)).toBe(want));
});

describe('instants', () => {
  const now = at(2026, 11, 21, 14, 35, 6);
  test.each([
    [now - 10e6, '刚才'],
    [at(2026, 11, 21, 14, 20), '14:20'],
    [at(2026, 11, 20, 23, 5), '昨天 23:05'],
    [at(2026, 11, 3, 8), '11月3日'],
    [at(2025, 11, 3, 8), '2025年11月3日'],
    [0, '从来没有'],
  ])('pastTime(%s) is %s', (t, want) => expect(pastTime(t, now)).toBe(want));
});

describe('places and numbers', () => {
  test('the nearest two levels name a place', () => expect(placeLine(['赤峰市', '敖汉旗', '萨力巴乡', '示例村'])).toBe('萨力巴乡 · 示例村'));
  test.each([[0, 0, '–'], [0, 5, '0.0 %'], [796, 1000, '79.6 %'], [9999, 10_000, '99.9 %'], [10_000, 10_000, '100 %']])('rate(%s of %s) is %s', (p, w, want) => expect(rate(p, w)).toBe(want));
  test('thousands are grouped', () => expect(count(18_412)).toBe('18,412'));
});

describe('claim codes', () => {
  test.each([
    ['k7qm2f4t', 'K7QM-2F4T'], ['K7QM-2F4T', 'K7QM-2F4T'], [' k7qm 2f4t99', 'K7QM-2F4T'], ['oil0', '0110'], ['k7q', 'K7Q'], ['u!中', ''],
  ])('%s becomes %s', (typed, want) => expect(claimCode(typed)).toBe(want));
});
