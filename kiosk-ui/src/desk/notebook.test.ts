import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiError } from '../core/api';
import type { Base } from './draft';
import { createNotebook, createNotebooks } from './notebook';
import { EMPTY, type Text } from './text';

/** A server that keeps one note and its version, as PUT /sessions/{id}/note does. */
function server() {
  let held: Base<Text> = { version: 1, value: EMPTY, savedAt: null };
  const down = { on: false, deaf: false }; // deaf: it is saved, the answer is lost
  const puts: Text[] = [];
  return {
    down,
    puts,
    base: () => held,
    note: () => held.value,
    write: (over: Partial<Text>) => { held = { ...held, value: { ...held.value, ...over }, version: held.version + 1 }; },
    put: async (_s: string, text: Text, version: number): Promise<Base<Text>> => {
      if (down.on) throw new ApiError(0, 'net.down');
      if (version !== held.version) throw new ApiError(412, 'session.stale_note', '', String(held.version));
      puts.push(text);
      held = { value: text, version: version + 1, savedAt: 5 };
      if (down.deaf) throw new ApiError(0, 'net.down');
      return held;
    },
    look: async () => held,
  };
}

function shelf() {
  const m = new Map<string, string>();
  return { getItem: (k: string) => m.get(k) ?? null, setItem: (k: string, v: string) => { m.set(k, v); }, removeItem: (k: string) => { m.delete(k); }, size: () => m.size };
}

const setup = () => {
  const s = server();
  const box = shelf();
  const book = createNotebook<Text>({ name: 'note', empty: EMPTY, put: s.put, look: s.look, shelf: box, saveEveryMs: 2000 });
  book.open('s1', s.base());
  return { s, box, book };
};

beforeEach(() => { vi.useFakeTimers(); });
afterEach(() => { vi.useRealTimers(); });

describe('saving', () => {
  test('two seconds after the first change, once for many keys', async () => {
    const { s, book, box } = setup();
    book.edit({ matter: '草' });
    await vi.advanceTimersByTimeAsync(1000);
    book.edit({ matter: '草场' });
    expect(box.size()).toBe(1);
    await vi.advanceTimersByTimeAsync(999);
    expect(s.puts).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(s.puts.map((p) => p.matter)).toEqual(['草场']);
    expect(box.size()).toBe(0);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(s.puts).toHaveLength(1);
  });
  test('a dead line is tried again until it holds, and nothing is lost', async () => {
    const { s, book, box } = setup();
    s.down.on = true;
    book.edit({ advice: '先协商' });
    await vi.advanceTimersByTimeAsync(9000);
    expect(book.get().failed).toBe('net.down');
    expect(box.size()).toBe(1);
    s.down.on = false;
    await vi.advanceTimersByTimeAsync(2000);
    expect(s.note().advice).toBe('先协商');
    expect(book.get().failed).toBe('');
  });
  test('flush saves at once and says whether all is safe', async () => {
    const { s, book } = setup();
    book.edit({ answer: '带身份证去' });
    await expect(book.flush()).resolves.toBe(true);
    expect(s.note().answer).toBe('带身份证去');
    s.down.on = true;
    book.edit({ answer: '带两样' });
    await expect(book.flush()).resolves.toBe(false);
  });
  test('unsaved text comes back after a reload', async () => {
    const { s, book, box } = setup();
    s.down.on = true;
    book.edit({ matter: '没存上的' });
    s.down.on = false;
    const again = createNotebook<Text>({ name: 'note', empty: EMPTY, put: s.put, look: s.look, shelf: box, saveEveryMs: 2000 });
    again.open('s1', s.base());
    expect(again.get().text.matter).toBe('没存上的');
    await vi.advanceTimersByTimeAsync(2000);
    expect(s.note().matter).toBe('没存上的');
  });
  test('a shut notebook saves what it has, then nothing more', async () => {
    const { s, book, box } = setup();
    book.edit({ matter: 'x' });
    book.shut();
    await vi.advanceTimersByTimeAsync(0);
    expect(s.note().matter).toBe('x');
    expect(book.get().id).toBe('');
    expect(box.size()).toBe(0);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(s.puts).toHaveLength(1);
  });
  test('what a shut notebook could not save stays on the shelf', async () => {
    const { s, book, box } = setup();
    s.down.on = true;
    book.edit({ matter: 'x' });
    book.shut();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(book.get().id).toBe('');
    expect(box.size()).toBe(1);
  });
});

describe('a record whose time is over', () => {
  const over = () => {
    const s = server();
    const box = shelf();
    const books = createNotebooks<Text>({ name: 'note', empty: EMPTY, put: s.put, look: async () => null, shelf: box, saveEveryMs: 2000 });
    books.enter('s1', s.base());
    return { s, box, books, book: books.of('s1') };
  };
  test('is saved at once, the last two seconds too', async () => {
    const { s, box, books, book } = over();
    book.edit({ answer: '带身份证去' });
    books.leave('s1');
    await vi.advanceTimersByTimeAsync(0);
    expect(s.note().answer).toBe('带身份证去');
    expect(books.get()).toHaveLength(0);
    expect(box.size()).toBe(0);
  });
  test('goes on trying beside the next one, keeps its words, and goes when it is saved', async () => {
    const { s, books, book } = over();
    s.down.on = true;
    book.edit({ answer: '带身份证去' });
    books.leave('s1');
    books.enter('s2', { version: 0, value: EMPTY, savedAt: null });
    await vi.advanceTimersByTimeAsync(9000);
    expect(books.get()).toEqual([book]);
    expect(book.get().text.answer).toBe('带身份证去');
    expect(books.of('s2').get().text.answer).toBe('');
    s.down.on = false;
    await vi.advanceTimersByTimeAsync(2000);
    expect(s.note().answer).toBe('带身份证去');
    expect(books.get()).toHaveLength(0);
  });
  test('knows its own save again whose answer was lost', async () => {
    const { s, books, book } = over();
    s.down.deaf = true;
    book.edit({ matter: '草场' });
    await vi.advanceTimersByTimeAsync(2000);
    book.edit({ matter: '草场边界' });
    books.leave('s1');
    s.down.deaf = false;
    await vi.advanceTimersByTimeAsync(4000);
    expect(s.note().matter).toBe('草场边界');
    expect(books.get()).toHaveLength(0);
  });
  test('a session that comes back takes up its text', async () => {
    const { s, books, book } = over();
    s.down.on = true;
    book.edit({ matter: 'x' });
    books.leave('s1');
    await vi.advanceTimersByTimeAsync(0);
    books.enter('s1', s.base());
    expect(books.get()).toHaveLength(0);
    expect(books.of('s1').get().text.matter).toBe('x');
  });
  test('is put away by hand', async () => {
    const { s, books, book } = over();
    s.down.on = true;
    book.edit({ matter: 'x' });
    books.leave('s1');
    books.putAway(book);
    await vi.advanceTimersByTimeAsync(0);
    expect(books.get()).toHaveLength(0);
    expect(book.get().id).toBe('');
  });
});

describe('a 412', () => {
  test('shows both texts and saves only after the choice', async () => {
    const { s, book } = setup();
    s.write({ matter: '他们写的' });
    book.edit({ matter: '我写的' });
    await vi.advanceTimersByTimeAsync(2000);
    expect(book.get().conflict?.value.matter).toBe('他们写的');
    expect(book.get().text.matter).toBe('我写的');
    await vi.advanceTimersByTimeAsync(20_000);
    expect(s.note().matter).toBe('他们写的');
    book.choose({ ...book.get().text, matter: '两段' });
    await vi.advanceTimersByTimeAsync(2000);
    expect(s.note().matter).toBe('两段');
    expect(book.get().conflict).toBeNull();
  });
});
