import { asApiError } from '../core/api';
import { createStore, type Readable } from '../core/store';
import { draft, fresh, isDirty, maySave, same, type Act, type Base, type Draft } from './draft';

export type NotebookDeps<T> = {
  /** Name of the shelf's entries; one a kind of text. */
  name: string;
  empty: T;
  /** PUT under If-Match `version`; an ApiError with status 412 means that the server holds a newer one. */
  put: (id: string, text: T, version: number) => Promise<Base<T>>;
  /** What the server holds now; null when the text is not this desk's any more. */
  look: (id: string) => Promise<Base<T> | null>;
  /** Survives a reload of the tab; holds unsaved text only. */
  shelf: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
  saveEveryMs: number;
};

/** Carries a draft out: saves two seconds after a change, tries again after a failure, shows a conflict after a 412. */
export interface Notebook<T> extends Readable<Draft<T>> {
  open(id: string, base: Base<T>): void;
  /** Saves once more what is not saved, then lets go of it; what could not be saved stays on the shelf. */
  shut(): void;
  edit(change: Partial<T>): void;
  choose(text: T): void;
  /** Saves now what is not saved; true when nothing is left. */
  flush(): Promise<boolean>;
}

export function createNotebook<T>(deps: NotebookDeps<T>): Notebook<T> {
  const store = createStore<Draft<T>>(fresh(deps.empty));
  const place = (id: string) => `heyi.${deps.name}.${id}`;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> | null = null;
  let leaving = false; // shut() waits for its last save

  function act(a: Act<T>): void {
    const d = draft(store.get(), a);
    if (d.id !== '') {
      if (isDirty(d)) deps.shelf.setItem(place(d.id), JSON.stringify(d.text));
      else deps.shelf.removeItem(place(d.id));
    }
    store.set(d); // who hears of it may shut the book
    if (maySave(store.get())) timer ??= setTimeout(() => void save(), deps.saveEveryMs);
  }

  function left(id: string): T | null {
    const raw = deps.shelf.getItem(place(id));
    return raw === null ? null : (JSON.parse(raw) as T);
  }

  /**
   * Nobody shows us any more what the server holds, but it is one save further than we know, and of one of ours no
   * answer came: it was that one. Of several tried texts one that differs is taken, so that the present one goes out.
   */
  function ours(version: number): Base<T> | null {
    const { tried, base, text } = store.get();
    const value = tried.find((x) => !same(x, text)) ?? tried[0];
    return value !== undefined && version === base.version + 1 ? { version, value, savedAt: null } : null;
  }

  async function put(): Promise<void> {
    const { id, text, base } = store.get();
    act({ do: 'sending' });
    try {
      act({ do: 'saved', id, base: await deps.put(id, text, base.version) });
    } catch (e) {
      const err = asApiError(e);
      const theirs = err.status === 412 ? await deps.look(id).catch(() => undefined) : undefined;
      act({ do: 'refused', id, code: err.code, lost: err.temporary });
      const held = theirs === null && store.get().id === id ? ours(Number(err.ref)) : theirs;
      if (held) act({ do: 'server', id, base: held });
    }
  }

  function save(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    if (running !== null) return running;
    if (!maySave(store.get())) return Promise.resolve();
    running = put().finally(() => {
      running = null;
    });
    return running;
  }

  async function flush(): Promise<boolean> {
    if (running !== null) await running;
    await save();
    return !isDirty(store.get());
  }

  function drop(): void {
    clearTimeout(timer);
    timer = undefined;
    leaving = false;
    act({ do: 'open', id: '', base: fresh(deps.empty).base, kept: null });
  }

  return {
    get: store.get,
    subscribe: store.subscribe,
    open(id, base) {
      leaving = false;
      act({ do: 'open', id, base, kept: store.get().id === id ? null : left(id) });
    },
    shut() {
      if (store.get().id === '' || leaving) return;
      if (!isDirty(store.get())) {
        drop();
        return;
      }
      leaving = true;
      void flush().then(() => { if (leaving) drop(); });
    },
    edit: (change) => act({ do: 'edit', change }),
    choose: (text) => act({ do: 'choose', text }),
    flush,
  };
}

/**
 * One notebook an id: of what is open now, and (the value) of what was left before all of it was saved. Those go on
 * trying, and stand here until they are saved or put away.
 */
export interface Notebooks<T> extends Readable<readonly Notebook<T>[]> {
  of(id: string): Notebook<T>;
  enter(id: string, base: Base<T>): void;
  leave(id: string): void;
  putAway(book: Notebook<T>): void;
}

export function createNotebooks<T>(deps: NotebookDeps<T>): Notebooks<T> {
  const all = new Map<string, Notebook<T>>();
  const left = createStore<readonly Notebook<T>[]>([]);
  const isLeft = (b: Notebook<T>) => left.get().includes(b);
  const without = (b: Notebook<T>) => left.set(left.get().filter((x) => x !== b));

  function of(id: string): Notebook<T> {
    const held = all.get(id);
    if (held !== undefined) return held;
    const book = createNotebook(deps);
    all.set(id, book);
    book.subscribe(() => { if (isLeft(book) && !isDirty(book.get())) putAway(book); });
    return book;
  }

  function putAway(book: Notebook<T>): void {
    without(book);
    book.shut();
  }

  return {
    get: left.get,
    subscribe: left.subscribe,
    of,
    enter(id, base) {
      const book = of(id);
      if (isLeft(book)) without(book);
      book.open(id, base);
    },
    leave(id) {
      const book = all.get(id);
      if (book === undefined || isLeft(book)) return;
      if (!isDirty(book.get())) {
        book.shut();
        return;
      }
      left.set([...left.get(), book]);
      void book.flush();
    },
    putAway,
  };
}
