// How a party goes through an agreement page by page: a page is read when it was left forwards with its end in sight.
import { pages, type Block } from '../agreement/blocks';

export interface Page { blocks: Block[]; ns: number[] }

export const pagesOf = (blocks: readonly Block[] | null): Page[] => pages(blocks || []).map((b) => ({ blocks: b, ns: b.map((x) => x.n) }));

export const isRead = (p: Page, read: readonly number[] | null): boolean => p.ns.every((n) => (read || []).indexOf(n) >= 0);

/** Where reading goes on after a reload: the first page that is not read, else the first. */
export function firstUnread(list: readonly Page[], read: readonly number[] | null): number {
  for (let i = 0; i < list.length; i++) if (!isRead(list[i]!, read)) return i;
  return 0;
}

export const pagesRead = (list: readonly Page[], read: readonly number[] | null): number => list.filter((p) => isRead(p, read)).length;

/** The text of a page as it is read out. */
export const spokenPage = (p: Page): string => p.blocks.map((b) => b.lines.join('。')).join('。').replace(/。+/g, '。').replace(/([，。：；、？！])。/g, '$1');

/** "2026-12-20" → "2026年12月20日"; '' stays ''. */
export function dayWords(on: string | null): string {
  const m = /^(\d{4})-(\d{2})-(\d{2})/.exec(on || '');
  return m ? `${m[1]}年${Number(m[2])}月${Number(m[3])}日` : '';
}
