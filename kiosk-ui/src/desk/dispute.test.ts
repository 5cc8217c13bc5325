// @vitest-environment happy-dom
import { act, createElement } from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError, type Api } from '../core/api';
import type { Staff } from '../staff/gate';
import { useDispute, type Matter } from './dispute';
import { useAgreementBook } from './editor';
import type { Notebook } from './notebook';
import type { AgText } from './clauses';
import type { Dispute } from './types';

// A server that keeps one draft and its revision, as PUT /disputes/{id}/agreement does.
function server() {
  let ver = 1;
  let text: AgText = { facts: '', clauses: [] };
  let revision = 0;
  const puts: number[] = [];
  const keys: string[] = [];
  let away = 0;
  const view = () => ({ id: 'd1', ver, state: 'mediating', parties: [], closing: null, agreement: revision === 0 ? null : { v: 1, state: 'draft', revision, ...text } }) as unknown as Dispute;
  const api = {
    get: async () => view(),
    post: async (_: string, body: { key: string }) => {
      keys.push(body.key);
      if (away-- > 0) throw new ApiError(0, 'net.down');
      ver++;
      return view();
    },
    put: async (_: string, body: AgText, opts: { ifMatch: number }) => {
      if (opts.ifMatch !== revision) throw new ApiError(412, 'agreement.stale_revision');
      puts.push(revision);
      text = { facts: body.facts.trim(), clauses: body.clauses };
      revision++;
      ver++;
      return view();
    },
  } as unknown as Api;
  return { staff: { api } as unknown as Staff, puts, keys, touch: () => { ver++; }, leave: (n: number) => { away = n; }, text: () => text };
}

let m: Matter;
let book: Notebook<AgText>;
const trouble = vi.fn();
function Probe({ staff }: { staff: Staff }) {
  m = useDispute(staff, 'd1', trouble);
  book = useAgreementBook(m);
  return null;
}

const step = (ms: number) => act(async () => { await vi.advanceTimersByTimeAsync(ms); });

async function open() {
  const s = server();
  const root = createRoot(document.createElement('div'));
  await act(async () => { root.render(createElement(Probe, { staff: s.staff })); });
  await step(10);
  return s;
}

beforeEach(() => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  vi.useFakeTimers();
  sessionStorage.clear();
  trouble.mockClear();
});
afterEach(() => { vi.useRealTimers(); });

test('what is being typed lives through every change of the dispute, and is saved once', async () => {
  const s = await open();
  const first = book;
  act(() => book.edit({ facts: '草场租金 ' }));
  await step(500);
  s.touch();
  act(() => m.nudge());
  await step(100);
  expect(book).toBe(first);
  expect(book.get().text.facts).toBe('草场租金 ');
  await step(2000);
  expect([s.puts, s.text().facts]).toEqual([[0], '草场租金']);
  act(() => book.edit({ facts: '草场租金没给' }));
  await step(3000);
  expect([s.puts, s.text().facts, book.get().conflict]).toEqual([[0, 1], '草场租金没给', null]);
});

test('a command goes out again under its key while the server is away', async () => {
  const s = await open();
  s.leave(2);
  let ok: boolean | null = null;
  act(() => void m.run('say', '/statements', { text: 'x' }).then((v) => { ok = v; }));
  await step(5000);
  expect(ok).toBe(true);
  expect(s.keys).toHaveLength(3);
  expect(new Set(s.keys).size).toBe(1);
  expect(trouble).not.toHaveBeenCalled();
});
