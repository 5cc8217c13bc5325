import { describe, expect, test } from 'vitest';
import type { Note } from '../core/types';
import { bothTexts, draft, fresh, isDirty, maySave, textOf, type Act, type Draft } from './draft';

const note = (version: number, over: Partial<Note> = {}): Note => ({ version, matter: '', advice: '', answer: '', next_step: '', saved_at: version || null, ...over });
const run = (...acts: Act[]): Draft => acts.reduce(draft, fresh);
const open: Act = { do: 'open', session: 's1', note: note(1, { matter: '草场租金' }), kept: null };
const edit = (value: string): Act => ({ do: 'edit', field: 'matter', value });

describe('a note being written', () => {
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
    const d = run(open, edit('a'), { do: 'sending' }, edit('ab'), { do: 'saved', session: 's1', note: note(2, { matter: 'a' }) });
    expect(d.text.matter).toBe('ab');
    expect(maySave(d)).toBe(true);
    expect(d.base.version).toBe(2);
  });
  test('a fetch that shows our own save first is no conflict', () => {
    const d = run(open, edit('a'), { do: 'sending' }, { do: 'server', session: 's1', note: note(2, { matter: 'a' }) });
    expect(d.conflict).toBeNull();
    const after = draft(d, { do: 'saved', session: 's1', note: note(2, { matter: 'a' }) });
    expect(after.base.version).toBe(2);
    expect(isDirty(after)).toBe(false);
  });
  test('a refused save keeps the text and may be tried again', () => {
    const d = run(open, edit('a'), { do: 'sending' }, { do: 'refused', session: 's1', code: 'net' });
    expect(d.text.matter).toBe('a');
    expect(d.failed).toBe('net');
    expect(maySave(d)).toBe(true);
  });
  test('answers for another session change nothing', () => {
    const d = run(open, edit('a'), { do: 'sending' });
    expect(draft(d, { do: 'saved', session: 's0', note: note(9) })).toBe(d);
    expect(draft(d, { do: 'server', session: 's0', note: note(9) })).toBe(d);
    expect(draft(d, { do: 'refused', session: 's0', code: 'x' })).toBe(d);
  });
  test('text kept over a reload comes back dirty', () => {
    const d = run({ do: 'open', session: 's1', note: note(1), kept: { ...textOf(note(1)), advice: '先协商' } });
    expect(d.text.advice).toBe('先协商');
    expect(maySave(d)).toBe(true);
  });
});

describe('two writers', () => {
  test('an untouched note follows the server', () => {
    const d = run(open, { do: 'server', session: 's1', note: note(2, { matter: '他们写的' }) });
    expect(d.text.matter).toBe('他们写的');
    expect(d.conflict).toBeNull();
  });
  test('an older version never comes back', () => {
    const d = run(open, { do: 'server', session: 's1', note: note(0, { matter: '旧的' }) });
    expect(d.text.matter).toBe('草场租金');
  });
  test('both changed: both stay, and saving waits for the choice', () => {
    const d = run(open, edit('我写的'), { do: 'server', session: 's1', note: note(2, { matter: '他们写的' }) });
    expect(d.text.matter).toBe('我写的');
    expect(d.conflict?.matter).toBe('他们写的');
    expect(maySave(d)).toBe(false);
  });
  test('choosing mine saves over their version', () => {
    const c = run(open, edit('我写的'), { do: 'server', session: 's1', note: note(2, { matter: '他们写的' }) });
    const d = draft(c, { do: 'choose', text: c.text });
    expect(d.base.version).toBe(2);
    expect(maySave(d)).toBe(true);
  });
  test('choosing theirs leaves nothing to save', () => {
    const c = run(open, edit('我写的'), { do: 'server', session: 's1', note: note(2, { matter: '他们写的' }) });
    const d = draft(c, { do: 'choose', text: textOf(c.conflict!) });
    expect(d.text.matter).toBe('他们写的');
    expect(maySave(d)).toBe(false);
  });
  test('the same words from both sides are no conflict', () => {
    const d = run(open, edit('一样'), { do: 'server', session: 's1', note: note(2, { matter: '一样' }) });
    expect(d.conflict).toBeNull();
    expect(isDirty(d)).toBe(false);
  });
  test.each([['a', 'b', 'a\nb'], ['ab', 'a', 'ab'], ['a', 'ab', 'ab'], ['', 'b', 'b'], ['x', 'x', 'x']])('both of "%s" and "%s"', (a, b, want) => expect(bothTexts(a, b)).toBe(want));
});
