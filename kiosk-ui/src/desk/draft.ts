import type { Note } from '../core/types';

/**
 * The note of a session while it is being written: what the server holds, what stands on the screen, and what to do
 * when both changed. Pure; note.tsx feeds it and carries the saving out.
 *
 * A save sends `text` under If-Match `base.version`. When the server holds a newer version with another text, nothing
 * is thrown away: `conflict` keeps theirs beside ours until the mediator chooses.
 */
export type Field = 'matter' | 'advice' | 'answer' | 'next_step';
export const FIELDS: readonly Field[] = ['matter', 'advice', 'answer', 'next_step'];
export type Text = Record<Field, string>;

export type Draft = {
  session: string;
  base: Note;
  text: Text;
  sent: Text | null; // the text of the save that is under way
  conflict: Note | null;
  failed: string; // fault code of the last save, '' when it went well
};

export type Act =
  | { do: 'open'; session: string; note: Note; kept: Text | null }
  | { do: 'edit'; field: Field; value: string }
  | { do: 'sending' }
  | { do: 'saved'; session: string; note: Note }
  | { do: 'refused'; session: string; code: string }
  | { do: 'server'; session: string; note: Note }
  | { do: 'choose'; text: Text };

export const textOf = (n: Note): Text => ({ matter: n.matter, advice: n.advice, answer: n.answer, next_step: n.next_step });
export const sameText = (a: Text, b: Text): boolean => FIELDS.every((f) => a[f] === b[f]);
export const isDirty = (d: Draft): boolean => !sameText(d.text, textOf(d.base));
/** A save may start: something changed, none is under way, and no choice is pending. */
export const maySave = (d: Draft): boolean => isDirty(d) && d.sent === null && d.conflict === null;

export const EMPTY: Note = { version: 0, matter: '', advice: '', answer: '', next_step: '', saved_at: null };
export const fresh: Draft = { session: '', base: EMPTY, text: textOf(EMPTY), sent: null, conflict: null, failed: '' };

/** Both texts of one field under each other; a text that contains the other stands alone. */
export function bothTexts(mine: string, theirs: string): string {
  if (mine.includes(theirs)) return mine;
  if (theirs.includes(mine)) return theirs;
  return `${mine}\n${theirs}`;
}

function meet(d: Draft, note: Note): Draft {
  if (note.version <= d.base.version) return d;
  const theirs = textOf(note);
  // Our own save, seen by a fetch before its answer came; or somebody wrote exactly what we did.
  if (sameText(theirs, d.text) || (d.sent !== null && sameText(theirs, d.sent))) return { ...d, base: note, conflict: null };
  if (!isDirty(d) && d.sent === null) return { ...d, base: note, text: theirs, conflict: null };
  return { ...d, conflict: note };
}

export function draft(d: Draft, a: Act): Draft {
  switch (a.do) {
    case 'open': {
      if (a.session === d.session) return meet(d, a.note);
      const text = a.kept ?? textOf(a.note);
      return { session: a.session, base: a.note, text, sent: null, conflict: null, failed: '' };
    }
    case 'edit':
      return { ...d, text: { ...d.text, [a.field]: a.value } };
    case 'sending':
      return { ...d, sent: d.text };
    case 'saved':
      if (a.session !== d.session) return d;
      return { ...d, base: a.note.version >= d.base.version ? a.note : d.base, sent: null, conflict: null, failed: '' };
    case 'refused':
      if (a.session !== d.session) return d;
      return { ...d, sent: null, failed: a.code };
    case 'server':
      return a.session === d.session ? meet(d, a.note) : d;
    case 'choose':
      if (d.conflict === null) return d;
      return { ...d, base: d.conflict, text: a.text, conflict: null, failed: '' };
  }
}
