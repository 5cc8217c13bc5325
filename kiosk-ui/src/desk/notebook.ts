import { asApiError } from '../core/api';
import { createStore, type Readable } from '../core/store';
import { draft, fresh, isDirty, maySave, type Act, type Base, type Draft } from './draft';

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

  function act(a: Act<T>): void {
    store.set(draft(store.get(), a));
    const d = store.get();
    if (d.id !== '') {
      if (isDirty(d)) deps.shelf.setItem(place(d.id), JSON.stringify(d.text));
      else deps.shelf.removeItem(place(d.id));
    }
    if (maySave(d)) timer ??= setTimeout(() => void save(), deps.saveEveryMs);
  }

  function left(id: string): T | null {
    const raw = deps.shelf.getItem(place(id));
    return raw === null ? null : (JSON.parse(raw) as T);
  }

  async function put(): Promise<void> {
    const { id, text, base } = store.get();
    act({ do: 'sending' });
    try {
      act({ do: 'saved', id, base: await deps.put(id, text, base.version) });
    } catch (e) {
      const err = asApiError(e);
      const theirs = err.status === 412 ? await deps.look(id).catch(() => null) : null;
      act({ do: 'refused', id, code: err.code, lost: err.temporary });
      if (theirs !== null) act({ do: 'server', id, base: theirs });
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

  return {
    get: store.get,
    subscribe: store.subscribe,
    open: (id, base) => act({ do: 'open', id, base, kept: store.get().id === id ? null : left(id) }),
    shut() {
      clearTimeout(timer);
      timer = undefined;
      if (store.get().id !== '') act({ do: 'open', id: '', base: fresh(deps.empty).base, kept: null });
    },
    edit: (change) => act({ do: 'edit', change }),
    choose: (text) => act({ do: 'choose', text }),
    async flush() {
      if (running !== null) await running;
      await save();
      return !isDirty(store.get());
    },
  };
}
