// Filters that this person keeps in this browser: a name and an address. Pure but for the two ends that touch storage.

export type Saved = { name: string; href: string };
const KEY = 'heyi.console.saved';
const MOST = 12;

/** What storage holds, without what is not ours. */
export function parseSaved(text: string | null): Saved[] {
  try {
    const list: unknown = JSON.parse(text ?? '[]');
    if (!Array.isArray(list)) return [];
    return list.filter((s: unknown): s is Saved => {
      const x = s as Partial<Saved> | null;
      return x !== null && typeof x === 'object' && typeof x.name === 'string' && x.name !== '' && typeof x.href === 'string' && x.href.startsWith('/console?');
    }).slice(0, MOST);
  } catch {
    return [];
  }
}

/** The newest first; a name stands once. */
export function withSaved(list: readonly Saved[], one: Saved): Saved[] {
  return [one, ...list.filter((s) => s.name !== one.name)].slice(0, MOST);
}

export function readSaved(): Saved[] {
  try {
    return parseSaved(localStorage.getItem(KEY));
  } catch {
    return []; // a browser that keeps nothing
  }
}

export function writeSaved(list: readonly Saved[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(list));
  } catch {
    // they last as long as the page
  }
}
