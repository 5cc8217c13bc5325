import { expect, test } from 'vitest';
import type { Block } from '../agreement/blocks';
import { dayWords, firstUnread, isRead, pagesOf, pagesRead, spokenPage } from './pages';

const blocks: Block[] = [
  { n: 1, t: 'title', lines: ['人民调解协议书'] },
  { n: 2, t: 'number', lines: ['（2026）赤红西人调字第000123号'] },
  { n: 3, t: 'party', lines: ['申请人：甲'] },
  { n: 4, t: 'clause', lines: ['第一条', '乙在2026年12月20日以前付租金。'] },
];

test('title and number share a page, every other block has its own', () => {
  expect(pagesOf(blocks).map((p) => p.ns)).toEqual([[1, 2], [3], [4]]);
  expect(pagesOf(null)).toEqual([]);
});

test('a page is read when every block of it is', () => {
  const list = pagesOf(blocks);
  expect(isRead(list[0]!, [1])).toBe(false);
  expect(isRead(list[0]!, [2, 1])).toBe(true);
  expect(pagesRead(list, [1, 2, 4])).toBe(2);
});

test('reading goes on at the first page that is not read, and at the start when all are', () => {
  const list = pagesOf(blocks);
  expect(firstUnread(list, [])).toBe(0);
  expect(firstUnread(list, [1, 2])).toBe(1);
  expect(firstUnread(list, [1, 2, 4])).toBe(1);
  expect(firstUnread(list, [1, 2, 3, 4])).toBe(0);
});

test('a page is read out as its lines, with no doubled stops', () => expect(spokenPage(pagesOf(blocks)[2]!)).toBe('第一条。乙在2026年12月20日以前付租金。'));

test('days in words', () => {
  expect(dayWords('2026-01-04')).toBe('2026年1月4日');
  expect(dayWords(null)).toBe('');
});
