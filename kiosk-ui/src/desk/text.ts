import type { Note } from '../core/types';
import type { Base } from './draft';

/** What is written about one session; `answer` is what the other side has been shown, the rest is for the staff. */
export type Field = 'matter' | 'advice' | 'answer' | 'materials' | 'next_step';
export type Text = Record<Field, string>;

export const FIELDS: readonly Field[] = ['matter', 'advice', 'answer', 'materials', 'next_step'];
export const EMPTY: Text = { matter: '', advice: '', answer: '', materials: '', next_step: '' };

export const textOf = (n: Note): Text => ({ matter: n.matter, advice: n.advice, answer: n.answer, materials: n.materials ?? '', next_step: n.next_step });
export const baseOf = (n: Note): Base<Text> => ({ version: n.version, value: textOf(n), savedAt: n.saved_at });

/** Both texts of one field under each other; a text that contains the other stands alone. */
export function bothTexts(mine: string, theirs: string): string {
  if (mine.includes(theirs)) return mine;
  if (theirs.includes(mine)) return theirs;
  return `${mine}\n${theirs}`;
}
