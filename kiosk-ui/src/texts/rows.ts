// What the demo phone shows, as pure functions.
export interface Text { at: number; to: string; text: string; link: string }

/** Everybody who was written to, the newest first. */
export function people(rows: readonly Text[]): string[] {
  const out: string[] = [];
  for (const r of rows) if (out.indexOf(r.to) < 0) out.push(r.to);
  return out;
}

export interface Piece { text: string; href: string }

const addresses = /https?:\/\/[^\s，。；、）)]+/g;

/**
 * A text cut at its addresses. Only http and https are made links; `word` stands for the address that is the text's own
 * link, because that one is the button below.
 */
export function pieces(row: Text, word: string): Piece[] {
  const out: Piece[] = [];
  let at = 0;
  addresses.lastIndex = 0;
  for (let m = addresses.exec(row.text); m !== null; m = addresses.exec(row.text)) {
    if (m.index > at) out.push({ text: row.text.slice(at, m.index), href: '' });
    out.push(m[0] === row.link ? { text: word, href: '' } : { text: m[0], href: m[0] });
    at = m.index + m[0].length;
  }
  if (at < row.text.length) out.push({ text: row.text.slice(at), href: '' });
  return out;
}

/** The link of the button, or '' for what a browser must not open. */
export const linkOf = (row: Text): string => (/^(https?:\/\/|\/[^/])/.test(row.link) ? row.link : '');

/** "149****0001" of a number, as the phone's owner knows it. */
export const masked = (to: string): string => to.replace(/^(?:\+86)?(\d{3})\d+(\d{4})$/, '$1****$2');
