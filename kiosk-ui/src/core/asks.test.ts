import { expect, test } from 'vitest';
import { askLine, askPages } from './asks';
import type { Ask } from './dispute';

const ask = (more: Partial<Ask>): Ask => ({ id: 'a', kind: 'convert', version: 'v', title: '现在就调解吗？', lines: ['不收钱。', '自愿的。'], items: [], ...more });
const long = '零一二三四五六七八九零一二三四五六七八九零一二三四五六七八九零一二三四五六七八九。';

test('a plain question is one screen', () => expect(askPages(ask({}))).toEqual([{ lines: ['不收钱。', '自愿的。'], item: '' }]));

test('consents stand alone, one a screen', () => {
  const q = ask({ kind: 'consents', items: [{ id: 'online', text: '同意网上谈' }, { id: 'esign', text: '同意电子签名' }] });
  expect(askPages(q)).toEqual([{ lines: ['同意网上谈'], item: 'online' }, { lines: ['同意电子签名'], item: 'esign' }]);
});

test('the notice loses no line, keeps their order, and a line that announces stays with the next', () => {
  const lines = ['您有这些权利：', long, long, '也有这些义务：', long, '一', '二'];
  const pages = askPages(ask({ kind: 'notice', lines }));
  expect(pages.reduce<string[]>((all, p) => all.concat(p.lines), [])).toEqual(lines);
  for (const p of pages) expect(/：$/.test(p.lines[p.lines.length - 1]!)).toBe(false);
  expect(pages.length).toBe(3);
  expect(pages[0]!.lines[0]).toBe('您有这些权利：');
});

test('what is spoken is what is shown; the title only once', () => {
  const q = ask({ kind: 'notice', title: '您的权利', lines: [long, long, long] });
  expect(askLine(q, 0)).toBe(`您的权利。${long}${long}`);
  expect(askLine(q, 1)).toBe(long);
  expect(askLine(ask({}), 0)).toBe('现在就调解吗？不收钱。自愿的。');
});

test('a question without lines is still a screen', () => expect(askPages(ask({ kind: 'notice', lines: null }))).toEqual([{ lines: [], item: '' }]));

test('the voice stops between two lines of a person', () => {
  expect(askLine(ask({ title: '您同意由丙来调解吗？', lines: ['我和双方没有亲属关系', '您同意吗？'] }), 0)).toBe('您同意由丙来调解吗？我和双方没有亲属关系。您同意吗？');
});
