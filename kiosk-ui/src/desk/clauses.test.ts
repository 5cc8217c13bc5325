import { describe, expect, test } from 'vitest';
import { apart, applied, fenOf, freezeStop, moved, newClause, NO_TEXT, ordinal, proposalWords, split, splitGap, standing, yuanOf, type AgText } from './clauses';
import { fresh, type Draft } from './draft';
import type { Agreement, Clause, Lint } from './types';

const people = [{ id: 'a', side: 'A' as const, name: '申请人甲' }, { id: 'b', side: 'B' as const, name: '被申请人乙' }];
const clause = (id: string, over: Partial<Clause> = {}): Clause => ({ ...newClause('pay', id, people), tags_confirmed: true, ...over });
const lint = (over: Partial<Lint>): Lint => ({ clause: 'c1', field: 'how', code: 'x', message: 'm', proposal: 'p', ...over });

describe('money', () => {
  test.each([['18,600', 1860000], ['18600.5', 1860050], ['0.07', 7], [' ￥1，000 元', 100000], ['18600.505', null], ['-3', null], ['', null], ['一千', null]])('%s is %s fen', (raw, fen) => expect(fenOf(raw)).toBe(fen));
  test('goes both ways', () => {
    for (const fen of [0, 7, 100, 1860000, 1860050, 99999999]) expect(fenOf(yuanOf(fen))).toBe(fen);
    expect([yuanOf(1860000), yuanOf(1860050), yuanOf(null)]).toEqual(['18,600', '18,600.50', '']);
  });
  test.each([[1860000, 2], [100001, 3], [1000, 24], [200, 2]])('%i fen in %i parts lose nothing', (fen, n) => {
    const parts = split(fen, n);
    expect(parts).toHaveLength(n);
    expect(splitGap({ amount_fen: fen, instalments: parts })).toBe(0);
    expect(parts.every((p) => p.amount_fen >= 0)).toBe(true);
  });
  test('a gap between the parts and the whole is seen', () => expect(splitGap({ amount_fen: 1000, instalments: [{ by: '', amount_fen: 1100 }] })).toBe(100));
});

describe('what changed', () => {
  const saw: AgText = { facts: 'f', clauses: [clause('c1', { how: '尽快', late: '' })] };
  const found = [lint({}), lint({ field: 'late' }), lint({ clause: '', field: 'facts' }), lint({ clause: '', field: 'parties' }), lint({ clause: 'gone' })];
  test('a finding stands while its words do', () => {
    expect(standing(found, saw, saw).map((l) => l.field)).toEqual(['how', 'late', 'facts', 'parties']);
    expect(standing(found, saw, { facts: 'g', clauses: [clause('c1', { how: '现金', late: '' })] }).map((l) => l.field)).toEqual(['late', 'parties']);
  });
  test('two writings of a clause differ part by part', () => {
    const a = clause('c1');
    expect(apart(a, { ...a, late: '晚', by: '2026-01-01' })).toEqual(['by', 'late']);
    expect(apart(a, { ...a, tags_confirmed: false })).toEqual(['tags']);
    expect(apart(a, clause('c1', { kind: 'free', text: 'x' }))).toEqual(['text']);
  });
});

describe('clauses', () => {
  test('a new one is owed by the other side, a free one by nobody', () => {
    expect(newClause('pay', 'x', people)).toMatchObject({ who: 'b', to: 'a', tags_confirmed: false });
    expect(newClause('free', 'x', people)).toMatchObject({ who: '', to: '' });
  });
  test('move by one place and stay inside the list', () => {
    const ids = (l: Clause[]) => l.map((c) => c.id).join('');
    const list = [clause('1'), clause('2'), clause('3')];
    expect([ids(moved(list, '2', -1)), ids(moved(list, '2', 1)), ids(moved(list, '1', -1)), ids(moved(list, '3', 1)), ids(moved(list, 'z', 1))]).toEqual(['213', '132', '123', '123', '123']);
  });
  test.each([[1, '一'], [10, '十'], [11, '十一'], [20, '二十'], [42, '四十二'], [60, '六十']])('article %i is 第%s条', (n, w) => expect(ordinal(n)).toBe(w));
});

describe('a proposal is taken by a press', () => {
  const text: AgText = { facts: 'f', clauses: [clause('c1'), clause('c2', { how: 'keep' })] };
  const of = (l: Partial<Lint>) => applied(text, lint(l))?.clauses[0];
  test('it is the whole new value of its field, of its clause alone', () => {
    expect(applied(text, lint({}))).toEqual({ facts: 'f', clauses: [{ ...text.clauses[0], how: 'p' }, text.clauses[1]] });
    expect(of({ field: 'to', proposal: 'b' })?.to).toBe('b');
    expect(of({ field: 'by', proposal: '2026-12-20' })?.by).toBe('2026-12-20');
    expect(of({ field: 'amount_fen', proposal: '1860000' })?.amount_fen).toBe(1860000);
    expect(of({ field: 'tags', proposal: 'personal_status' })).toMatchObject({ tags: ['personal_status'], tags_confirmed: true });
    expect(of({ field: 'tags_confirmed', proposal: 'true' })?.tags_confirmed).toBe(true);
    expect(applied(text, lint({ clause: '', field: 'facts', proposal: '事实' }))?.facts).toBe('事实');
  });
  test.each([{ proposal: '' }, { clause: 'gone' }, { field: 'amount_fen', proposal: '很多' }, { field: 'tags', proposal: 'x' }, { clause: '', field: 'parties' }, { field: 'kind' }])('%j has no place to go', (l) => expect(applied(text, lint(l))).toBeNull());
  test('it is offered in words', () => {
    expect(proposalWords(lint({ field: 'who', proposal: 'a' }), people)).toBe('申请人甲');
    expect(proposalWords(lint({ field: 'amount_fen', proposal: '1860050' }), people)).toBe('18,600.50 元');
    expect(proposalWords(lint({ field: 'tags', proposal: 'personal_status' }), people)).toBe('');
    expect(proposalWords(lint({ field: 'how', proposal: '现金' }), people)).toBe('现金');
  });
});

describe('定稿 waits, and says for what', () => {
  const ag = (l: Lint[] = []) => ({ lint: l }) as unknown as Agreement;
  const draft = (clauses: Clause[], over: Partial<Draft<AgText>> = {}): Draft<AgText> => {
    const value = { facts: 'f', clauses };
    return { ...fresh(NO_TEXT), id: 'd', base: { version: 1, value, savedAt: 1 }, text: value, ...over };
  };
  const one = [clause('c1')];
  test.each<[string, Draft<AgText>, Lint[], boolean, string | undefined, number | undefined]>([
    ['no clause', draft([]), [], true, 'empty', 0],
    ['two texts', draft(one, { conflict: { version: 2, value: NO_TEXT, savedAt: null } }), [], true, 'conflict', 0],
    ['a clause without its tag question', draft([clause('c1', { tags_confirmed: false })]), [lint({})], true, 'tags', 1],
    ['a change not saved', draft(one, { text: { facts: 'g', clauses: one } }), [], true, 'unsaved', 0],
    ['a save under way', draft(one, { sent: { facts: 'f', clauses: one } }), [], true, 'unsaved', 0],
    ['unclear places', draft(one), [lint({}), lint({ field: 'by' })], true, 'lint', 2],
    ['nobody talks together', draft(one), [], false, 'not_joint', 0],
    ['nothing', draft(one), [], true, undefined, undefined],
  ])('%s', (_, d, l, joint, code, n) => {
    const stop = freezeStop(ag(l), d, joint);
    expect([stop?.code, stop?.n]).toEqual([code, n]);
  });
});
