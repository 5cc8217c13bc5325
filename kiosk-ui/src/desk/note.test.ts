// @vitest-environment happy-dom
import { act, createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError, type Api } from '../core/api';
import type { Desk, Note } from '../core/types';
import { useAnswer, useNotebook, type AnswerBook } from './note';
import type { Notebook, Notebooks } from './notebook';
import type { Text } from './text';

// A server that takes the note of a session at any time, also when its wrap-up is over.
function server() {
  let held: Note = { version: 0, matter: '', advice: '', answer: '', materials: '', next_step: '', saved_at: null };
  const line = { down: false };
  const puts: Text[] = [];
  const api = {
    put: async (_: string, body: Text) => {
      await new Promise((r) => setTimeout(r, 100));
      if (line.down) throw new ApiError(0, 'net.down');
      puts.push(body);
      held = { ...held, ...body, version: held.version + 1, saved_at: 1 };
      return held;
    },
  } as unknown as Api;
  return { api, line, puts, note: () => held };
}

type Props = { api: Api; open: { session: string; note: Note } | null; wrapping: boolean };
let answer: AnswerBook;
let book: Notebook<Text>;
let books: Notebooks<Text>;
const refetch = async () => ({ session: null, wrap_up: null }) as unknown as Desk;
function Probe(p: Props) {
  ({ book, books } = useNotebook(p.api, p.open, p.wrapping, refetch));
  answer = useAnswer(book);
  return null;
}

const step = (ms: number) => act(async () => { await vi.advanceTimersByTimeAsync(ms); });
async function begin(wrapping: boolean) {
  const s = server();
  const root = createRoot(document.createElement('div'));
  const show = (p: Omit<Props, 'api'>) => act(async () => { root.render(createElement(Probe, { api: s.api, ...p })); });
  await show({ open: { session: 's1', note: s.note() }, wrapping });
  return { s, gone: () => show({ open: null, wrapping: false }) };
}

beforeEach(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  vi.useFakeTimers();
  sessionStorage.clear();
});
afterEach(() => { vi.useRealTimers(); });

test('an answer that nobody sent goes out when the time is nearly over, and what is typed meanwhile stays', async () => {
  const { s } = await begin(true);
  act(() => answer.edit('带身份证'));
  await step(5000);
  expect(s.puts).toHaveLength(0);
  act(() => answer.handIn());
  await step(50);
  act(() => answer.edit('带身份证去'));
  await step(200);
  expect(s.note().answer).toBe('带身份证');
  expect(answer.text).toBe('带身份证去');
  act(() => answer.handIn());
  await step(200);
  expect(s.note().answer).toBe('带身份证去');
  expect(sessionStorage.length).toBe(0);
});

test('an emptied answer is not taken back by the clock', async () => {
  const { s } = await begin(true);
  act(() => answer.edit('去镇上'));
  act(() => answer.handIn());
  await step(200);
  act(() => answer.edit(''));
  act(() => answer.handIn());
  await step(200);
  expect(s.note().answer).toBe('去镇上');
});

test('a wrap-up that vanishes takes the answer along, and keeps it in sight until it is saved', async () => {
  const { s, gone } = await begin(true);
  s.line.down = true;
  act(() => answer.edit('带身份证去'));
  act(() => book.edit({ matter: '草场' }));
  await gone();
  await step(200);
  expect(books.get()).toHaveLength(1);
  expect(books.get()[0]!.get()).toMatchObject({ failed: 'net.down', text: { answer: '带身份证去', matter: '草场' } });
  s.line.down = false;
  await step(4000);
  expect(s.note()).toMatchObject({ answer: '带身份证去', matter: '草场' });
  expect(books.get()).toHaveLength(0);
});

test('a session that only waits sends no answer by itself', async () => {
  const { s, gone } = await begin(false);
  act(() => answer.edit('还没想好'));
  act(() => book.edit({ matter: '草场' }));
  await gone();
  await step(4000);
  expect(s.note()).toMatchObject({ answer: '', matter: '草场' });
  expect(sessionStorage.getItem('heyi.answer.s1')).toBe('还没想好');
});
