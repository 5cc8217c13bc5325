import { describe, expect, test } from 'vitest';
import { draft, fresh, isDirty, maySave, same, type Act, type Base, type Draft } from './draft';
import { bothTexts, EMPTY, type Text } from './text';

const base = (version: number, over: Partial<Text> = {}): Base<Text> => ({ version, value: { ...EMPTY, ...over }, savedAt: version || null });
const run = (...acts: Act<Text>[]): Draft<Text> => acts.reduce<Draft<Text>>(draft, fresh(EMPTY));
const open: Act<Text> = { do: 'open', id: 's1', base: base(1, { matter: '草场租金' }), kept: null };
const edit = (value: string): Act<Text> => ({ do: 'edit', change: { matter: value } });

describe('a text being written', () => {
  test('opens clean and needs no save', () => {
    const d = run(open);
    expect(isDirty(d)).toBe(false);
    expect(maySave(d)).toBe(false);
  });
  test('an edit may be saved once at a time', () => {
    const d = run(open, edit('草场租金没给'));
    expect(maySave(d)).toBe(true);
    expect(maySave(draft(d, { do: 'sending' }))).toBe(false);
  });
  test('typing during a save stays dirty after it', () => {
    const d = run(open, edit('a'), { do: 'sending' }, edit('ab'), { do: 'saved', id: 's1', base: base(2, { matter: 'a' }) });
    expect(d.text.matter).toBe('ab');
    expect(maySave(d)).toBe(true);
    expect(d.base.version).toBe(2);
  });
  test('a fetch that shows our own save first is no conflict', () => {
    const d = run(open, edit('a'), { do: 'sending' }, { do: 'server', id: 's1', base: base(2, { matter: 'a' }) });
    expect(d.conflict).toBeNull();
    const after = draft(d, { do: 'saved', id: 's1', base: base(2, { matter: 'a' }) });
    expect(after.base.version).toBe(2);
    expect(isDirty(after)).toBe(false);
  });
  test('a fetch that shows our own save first, tidied, is no conflict either', () => {
    const d = run(open, edit('a '), { do: 'sending' }, { do: 'server', id: 's1', base: base(2, { matter: 'a' }) });
    expect(d.conflict).toBeNull();
    expect(isDirty(draft(d, { do: 'saved', id: 's1', base: base(2, { matter: 'a' }) }))).toBe(false);
  });
  test('what the server tidied is not saved again', () => {
    const d = run(open, edit('a '), { do: 'sending' }, { do: 'saved', id: 's1', base: base(2, { matter: 'a' }) });
    expect(isDirty(d)).toBe(false);
    expect(draft(d, { do: 'server', id: 's1', base: base(2, { matter: 'a' }) }).conflict).toBeNull();
  });
  test('a refused save keeps the text and may be tried again', () => {
    const d = run(open, edit('a'), { do: 'sending' }, { do: 'refused', id: 's1', code: 'net', lost: true });
    expect(d.text.matter).toBe('a');
    expect(d.failed).toBe('net');
    expect(maySave(d)).toBe(true);
  });
  test('answers for another session change nothing', () => {
    const d = run(open, edit('a'), { do: 'sending' });
    expect(draft(d, { do: 'saved', id: 's0', base: base(9) })).toBe(d);
    expect(draft(d, { do: 'server', id: 's0', base: base(9) })).toBe(d);
    expect(draft(d, { do: 'refused', id: 's0', code: 'x', lost: false })).toBe(d);
  });
  test('text kept over a reload comes back dirty', () => {
    const d = run({ do: 'open', id: 's1', base: base(1), kept: { ...EMPTY, advice: '先协商' } });
    expect(d.text.advice).toBe('先协商');
    expect(maySave(d)).toBe(true);
  });
});

describe('two writers', () => {
  test('an untouched text follows the server', () => {
    const d = run(open, { do: 'server', id: 's1', base: base(2, { matter: '他们写的' }) });
    expect(d.text.matter).toBe('他们写的');
    expect(d.conflict).toBeNull();
  });
  test('an older version never comes back', () => {
    const d = run(open, { do: 'server', id: 's1', base: base(0, { matter: '旧的' }) });
    expect(d.text.matter).toBe('草场租金');
  });
  test('both changed: both stay, and saving waits for the choice', () => {
    const d = run(open, edit('我写的'), { do: 'server', id: 's1', base: base(2, { matter: '他们写的' }) });
    expect(d.text.matter).toBe('我写的');
    expect(d.conflict?.value.matter).toBe('他们写的');
    expect(maySave(d)).toBe(false);
  });
  test('a save whose answer was lost is no second writer', () => {
    const lost = (value: string): Act<Text>[] => [edit(value), { do: 'sending' }, { do: 'refused', id: 's1', code: 'net.down', lost: true }];
    const late: Act<Text>[] = [edit('a b'), { do: 'sending' }, { do: 'refused', id: 's1', code: 'session.stale_note', lost: false }];
    const d = run(open, ...lost('a '), ...lost('a x'), ...late, { do: 'server', id: 's1', base: base(2, { matter: 'a' }) });
    expect([d.conflict, d.base.version, d.text.matter, maySave(d)]).toEqual([null, 2, 'a b', true]);
    const other = run(open, ...lost('a '), ...late, { do: 'server', id: 's1', base: base(2, { matter: '他们写的' }) });
    expect(other.conflict?.value.matter).toBe('他们写的');
  });
  test('choosing mine saves over their version', () => {
    const c = run(open, edit('我写的'), { do: 'server', id: 's1', base: base(2, { matter: '他们写的' }) });
    const d = draft(c, { do: 'choose', text: c.text });
    expect(d.base.version).toBe(2);
    expect(maySave(d)).toBe(true);
  });
  test('choosing theirs leaves nothing to save', () => {
    const c = run(open, edit('我写的'), { do: 'server', id: 's1', base: base(2, { matter: '他们写的' }) });
    const d = draft(c, { do: 'choose', text: c.conflict!.value });
    expect(d.text.matter).toBe('他们写的');
    expect(maySave(d)).toBe(false);
  });
  test('the same words from both sides are no conflict', () => {
    const d = run(open, edit('一样'), { do: 'server', id: 's1', base: base(2, { matter: '一样' }) });
    expect(d.conflict).toBeNull();
    expect(isDirty(d)).toBe(false);
  });
  test.each([['a', 'b', 'a\nb'], ['ab', 'a', 'ab'], ['a', 'ab', 'ab'], ['', 'b', 'b'], ['x', 'x', 'x']])('both of "%s" and "%s"', (a, b, want) => expect(bothTexts(a, b)).toBe(want));
});

test('values are the same whatever the order of their keys', () => {
  expect(same({ a: 1, b: [{ c: null }] }, { b: [{ c: null }], a: 1 })).toBe(true);
  for (const [a, b] of [[{ a: 1 }, { a: 2 }], [{ a: 1 }, { b: 1 }], [[1], { 0: 1 }], [[1, 2], [2, 1]], [null, {}], ['', 0], [{ a: 1 }, { a: 1, b: 1 }]]) expect(same(a, b)).toBe(false);
});
