/**
 * A text while it is being written at this desk: what the server holds, what stands on the screen, and what to do when
 * both changed. Pure; notebook.ts carries the saving out, for the note of a session and for the draft of an agreement.
 *
 * A save sends `text` under If-Match `base.version`. When the server holds a newer version with another text, nothing
 * is thrown away: `conflict` keeps theirs beside ours until the mediator chooses.
 */
export type Base<T> = { version: number; value: T; savedAt: number | null };

export type Draft<T> = {
  id: string; // what is written on: a session, a dispute; '' = nothing
  base: Base<T>;
  text: T;
  sent: T | null; // the text of the save that is under way
  tried: T[]; // texts of saves that got no answer: any of them may be what the server holds
  conflict: Base<T> | null;
  failed: string; // fault code of the last save, '' when it went well
};

export type Act<T> =
  | { do: 'open'; id: string; base: Base<T>; kept: T | null }
  | { do: 'edit'; change: Partial<T> }
  | { do: 'sending' }
  | { do: 'saved'; id: string; base: Base<T> }
  | { do: 'refused'; id: string; code: string; lost: boolean } // lost: no answer came, it may have been saved
  | { do: 'server'; id: string; base: Base<T> }
  | { do: 'choose'; text: T };

/** Equal values, whatever the order of their keys; loose: whatever the space around their texts, which a server tidies. */
export function same(a: unknown, b: unknown, loose = false): boolean {
  if (a === b) return true;
  if (loose && typeof a === 'string' && typeof b === 'string') return a.trim() === b.trim();
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null || Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((k) => k in b && same((a as Record<string, unknown>)[k], (b as Record<string, unknown>)[k], loose));
}

export const isDirty = <T,>(d: Draft<T>): boolean => !same(d.text, d.base.value);
/** A save may start: something changed, none is under way, and no choice is pending. */
export const maySave = <T,>(d: Draft<T>): boolean => isDirty(d) && d.sent === null && d.conflict === null;

export const fresh = <T,>(empty: T): Draft<T> => ({ id: '', base: { version: 0, value: empty, savedAt: null }, text: empty, sent: null, tried: [], conflict: null, failed: '' });

function meet<T>(d: Draft<T>, base: Base<T>): Draft<T> {
  // While a save is under way only its answer tells: what a fetch shows meanwhile may be this very save, tidied.
  if (base.version <= d.base.version || d.sent !== null) return d;
  if (same(base.value, d.text)) return { ...d, base, conflict: null, tried: [] }; // somebody wrote exactly what we did
  if (d.tried.some((x) => same(base.value, x, true))) return { ...d, base, conflict: null, tried: [] }; // that was us
  if (!isDirty(d)) return { ...d, base, text: base.value, conflict: null };
  return { ...d, conflict: base };
}

export function draft<T>(d: Draft<T>, a: Act<T>): Draft<T> {
  switch (a.do) {
    case 'open':
      if (a.id === d.id) return meet(d, a.base);
      return { id: a.id, base: a.base, text: a.kept ?? a.base.value, sent: null, tried: [], conflict: null, failed: '' };
    case 'edit':
      return { ...d, text: { ...d.text, ...a.change } };
    case 'sending':
      return { ...d, sent: d.text };
    case 'saved':
      if (a.id !== d.id) return d;
      // What was sent is what is held, also where the server tidies it: else the tidied text would look like a change.
      return { ...d, base: a.base.version >= d.base.version ? { ...a.base, value: d.sent ?? a.base.value } : d.base, sent: null, tried: [], conflict: null, failed: '' };
    case 'refused':
      if (a.id !== d.id) return d;
      return { ...d, sent: null, tried: a.lost && d.sent !== null && !same(d.tried.at(-1), d.sent) ? [...d.tried, d.sent] : d.tried, failed: a.code };
    case 'server':
      return a.id === d.id ? meet(d, a.base) : d;
    case 'choose':
      if (d.conflict === null) return d;
      return { ...d, base: d.conflict, text: a.text, conflict: null, failed: '' };
  }
}
