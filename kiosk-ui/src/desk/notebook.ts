import { asApiError } from '../core/api';
import { createStore, type Readable } from '../core/store';
import type { Note } from '../core/types';
import { draft, EMPTY, fresh, isDirty, maySave, type Act, type Draft, type Field, type Text } from './draft';

export type NotebookDeps = {
  /** PUT under If-Match `version`; an ApiError with status 412 means that the server holds a newer one. */
  put: (session: string, text: Text, version: number) => Promise<Note>;
  /** What the server holds now; null when the session is not this desk's any more. */
  look: (session: string) => Promise<Note | null>;
  /** Survives a reload of the tab; holds unsaved text only. */
  shelf: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;
  saveEveryMs: number;
};

/** Carries a draft out: saves two seconds after a change, tries again after a failure, shows a conflict after a 412. */
export interface Notebook extends Readable<Draft> {
  open(session: string, note: Note): void;
  shut(): void;
  edit(field: Field, value: string): void;
  choose(text: Text): void;
  /** Saves now what is not saved; true when nothing is left. */
  flush(): Promise<boolean>;
}

const place = (session: string) => `heyi.note.${session}`;

export function createNotebook(deps: NotebookDeps): Notebook {
  const store = createStore<Draft>(fresh);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> | null = null;

  function act(a: Act): void {
    store.set(draft(store.get(), a));
    const d = store.get();
    if (d.session !== '') {
      if (isDirty(d)) deps.shelf.setItem(place(d.session), JSON.stringify(d.text));
      else deps.shelf.removeItem(place(d.session));
    }
    if (maySave(d)) timer ??= setTimeout(() => void save(), deps.saveEveryMs);
  }

  function left(session: string): Text | null {
    const raw = deps.shelf.getItem(place(session));
    return raw === null ? null : (JSON.parse(raw) as Text);
  }

  async function put(): Promise<void> {
    const { session, text, base } = store.get();
    act({ do: 'sending' });
    try {
      act({ do: 'saved', session, note: await deps.put(session, text, base.version) });
    } catch (e) {
      const err = asApiError(e);
      if (err.status === 412) {
        const theirs = await deps.look(session).catch(() => null);
        if (theirs !== null) act({ do: 'server', session, note: theirs });
      }
      act({ do: 'refused', session, code: err.code });
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
    open: (session, note) => act({ do: 'open', session, note, kept: store.get().session === session ? null : left(session) }),
    shut() {
      clearTimeout(timer);
      timer = undefined;
      if (store.get().session !== '') act({ do: 'open', session: '', note: EMPTY, kept: null });
    },
    edit: (field, value) => act({ do: 'edit', field, value }),
    choose: (text) => act({ do: 'choose', text }),
    async flush() {
      if (running !== null) await running;
      await save();
      return !isDirty(store.get());
    },
  };
}
