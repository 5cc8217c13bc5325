// The screens of a question: a few sentences of the notice each, one consent each, anything else whole. Pure.
import type { Ask } from './dispute';

export interface AskPage { lines: string[]; /** The consent this page asks for, '' for none. */ item: string }

const FULL = 84; // hanzi that a TV shows at once at reading size

/** Sentences in order, as many as fit on a screen; a line that only announces stays with what it announces. */
function grouped(lines: readonly string[]): string[][] {
  const out: string[][] = [];
  let held: string[] = [];
  let size = 0;
  let open = false; // the last line announces the next
  for (const line of lines) {
    const announces = /：$/.test(line);
    if (held.length > 0 && !open && (announces || size + line.length > FULL)) {
      out.push(held);
      held = [];
      size = 0;
    }
    held.push(line);
    size += line.length;
    open = announces;
  }
  return held.length > 0 ? out.concat([held]) : out;
}

export function askPages(q: Ask): AskPage[] {
  const lines = q.lines || [];
  if (q.kind === 'notice' && lines.length > 0) return grouped(lines).map((l) => ({ lines: l, item: '' }));
  if (q.kind === 'consents' && q.items && q.items.length > 0) return q.items.map((i) => ({ lines: [i.text], item: i.id }));
  return [{ lines, item: '' }];
}

/** A line that a person wrote may lack its full stop; the voice needs one between two lines. */
const stopped = (line: string, i: number, all: string[]): string => (i < all.length - 1 && !/[。？！；：，、]$/.test(line) ? `${line}。` : line);

/** Spoken and shown: the same words. The title is spoken on the first page only. */
export const askLine = (q: Ask, at: number): string => {
  const pages = askPages(q);
  const page = pages[Math.min(at, pages.length - 1)]!;
  return `${at === 0 && q.title ? `${q.title.replace(/[。？]$/, '')}${/？$/.test(q.title) ? '？' : '。'}` : ''}${page.lines.map(stopped).join('')}`;
};
