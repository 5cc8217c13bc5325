import { expect, test } from 'vitest';
import { codeOf, emptyBoxes, erased, isEmpty, moved, turned, typed, type Boxes } from './digits';

const keyed = (s: string, from = emptyBoxes()): Boxes => s.split('').reduce((b, c) => typed(b, Number(c)), from);
const shown = (b: Boxes): string => b.d.map((x) => (x === null ? '_' : x)).join('');

test('six keys make the code; five make none', () => {
  expect(codeOf(keyed('48291'))).toBe('');
  expect(codeOf(keyed('482916'))).toBe('482916');
  expect(codeOf(keyed('000000'))).toBe('000000');
});

test('a seventh key writes over the last box', () => expect(codeOf(keyed('4829167'))).toBe('482917'));

test('▲ and ▼ go round in a circle and begin at 0 and at 9', () => {
  let b = turned(emptyBoxes(), 2, 1);
  expect(shown(b)).toBe('__0___');
  b = turned(turned(b, 2, -1), 2, -1);
  expect(shown(b)).toBe('__8___');
  expect(shown(turned(emptyBoxes(), 5, -1))).toBe('_____9');
  expect(turned(b, 4, 1).at).toBe(4);
});

test('taking back takes the last digit and the cursor with it', () => {
  const b = erased(keyed('4829'));
  expect([shown(b), b.at]).toEqual(['482___', 3]);
  expect(shown(typed(b, 1))).toBe('4821__');
  expect(erased(emptyBoxes())).toEqual(emptyBoxes());
  expect(isEmpty(erased(keyed('4')))).toBe(true);
});

test('the cursor moves to any box and a digit writes over it', () => {
  const b = typed(moved(keyed('482916'), 1), 0);
  expect([shown(b), b.at]).toEqual(['402916', 2]);
});
