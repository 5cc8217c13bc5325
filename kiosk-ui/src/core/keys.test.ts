// @vitest-environment happy-dom
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bindKeys, commandOf } from './keys';

let screen = 'home';
let now = 0;
let seen: string[] = [];
let swallow = false;
let target: HTMLElement;
let unbind: () => void;

beforeEach(() => {
  screen = 'home';
  now = 0;
  seen = [];
  swallow = false;
  target = document.createElement('div');
  unbind = bindKeys(target, {
    screen: () => screen,
    now: () => now,
    first: (c) => swallow && c.cmd === 'move',
    move: (d) => seen.push(d),
    ok: () => seen.push('ok'),
    back: () => seen.push('back'),
    digit: (n) => seen.push(String(n)),
  });
});
afterEach(() => unbind());

const key = (type: 'keydown' | 'keyup', keyCode: number, repeat = false): KeyboardEvent => {
  const e = new KeyboardEvent(type, { repeat, cancelable: true, bubbles: true });
  Object.defineProperty(e, 'keyCode', { value: keyCode });
  target.dispatchEvent(e);
  return e;
};

test.each([
  [13, 'ok'], [23, 'ok'], [4, 'back'], [27, 'back'], [8, 'back'], [461, 'back'], [10009, 'back'], [166, 'back'],
  [48, 'digit 0'], [57, 'digit 9'], [96, 'digit 0'], [105, 'digit 9'], [37, 'move l'], [40, 'move d'],
  [415, 'play'], [19, 'pause'], [10252, 'play'], [174, ''], [65, ''],
])('key %i is %s', (code, want) => {
  const c = commandOf(code);
  expect(c ? [c.cmd, c.cmd === 'move' ? c.dir : c.cmd === 'digit' ? c.n : ''].join(' ').trim() : '').toBe(want);
});

test('OK acts when the key comes up', () => {
  key('keydown', 13);
  expect(seen).toEqual([]);
  key('keydown', 13, true);
  key('keyup', 13);
  expect(seen).toEqual(['ok']);
});

test('a press that began on another screen does nothing', () => {
  key('keydown', 13);
  screen = 'ring';
  key('keyup', 13);
  expect(seen).toEqual([]);
  key('keyup', 13); // and a stray key-up neither
  expect(seen).toEqual([]);
});

test('a held arrow moves once in 120 ms, also on remotes that do not mark repeats', () => {
  for (const marked of [true, false]) {
    seen = [];
    key('keydown', 39);
    for (let i = 1; i <= 12; i++) {
      now += 30;
      key('keydown', 39, marked);
    }
    key('keyup', 39);
    expect(seen).toHaveLength(1 + 3); // at 0, 120, 240, 360 ms
    now += 1000;
  }
});

test('quick single presses all count', () => {
  for (let i = 0; i < 5; i++) {
    now += 10;
    key('keydown', 40);
    key('keyup', 40);
  }
  expect(seen).toEqual(['d', 'd', 'd', 'd', 'd']);
});

test('Back and digits act at once and once', () => {
  key('keydown', 27);
  key('keydown', 27, true);
  key('keyup', 27);
  key('keydown', 53);
  key('keydown', 53, true);
  expect(seen).toEqual(['back', '5']);
});

test('a screen may swallow the first press', () => {
  swallow = true;
  key('keydown', 37);
  key('keyup', 37);
  expect(seen).toEqual([]);
  swallow = false;
  key('keydown', 37);
  expect(seen).toEqual(['l']);
});

test('only our keys are taken from the box', () => {
  expect(key('keydown', 39).defaultPrevented).toBe(true);
  expect(key('keydown', 174).defaultPrevented).toBe(false);
});

test('text fields keep their keys', () => {
  const input = document.createElement('input');
  target.appendChild(input);
  const e = new KeyboardEvent('keydown', { bubbles: true, cancelable: true });
  Object.defineProperty(e, 'keyCode', { value: 8 });
  input.dispatchEvent(e);
  expect(seen).toEqual([]);
  expect(e.defaultPrevented).toBe(false);
});

test('losing the window forgets what is held', () => {
  key('keydown', 13);
  target.dispatchEvent(new Event('blur'));
  key('keyup', 13);
  expect(seen).toEqual([]);
});
