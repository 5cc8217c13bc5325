// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { reloadOld, reloadWhenAnswered } from './reload';

let up: boolean;
let loads: number;
beforeEach(() => {
  vi.useFakeTimers();
  [up, loads] = [false, 0];
  vi.stubGlobal('fetch', () => (up ? Promise.resolve({ ok: true }) : Promise.reject(new TypeError('net'))));
  vi.stubGlobal('location', { href: 'http://h/tv', reload: () => { loads++; } });
});
afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});
const after = (ms: number) => vi.advanceTimersByTimeAsync(ms);

test('a page is not given up before a server answers', async () => {
  reloadWhenAnswered();
  await after(12_000);
  expect(loads).toBe(0);
  up = true;
  await after(5000);
  expect(loads).toBe(1);
  await after(60_000);
  expect(loads).toBe(1);
});

test('an old page reloads once, and not in its first minute', async () => {
  up = true;
  await after(50_000 - performance.now());
  const ask = setInterval(reloadOld, 1000);
  await after(9000);
  expect(loads).toBe(0);
  await after(30_000);
  expect(loads).toBe(1);
  clearInterval(ask);
});
