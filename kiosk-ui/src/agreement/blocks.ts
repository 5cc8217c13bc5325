// The blocks of an agreement: what every screen draws and what its digest is taken over (docs/protocol.md). Pure and
// without a framework; TV, kiosk, phone, desk and the check of papers share it.

export type BlockType = 'title' | 'number' | 'party' | 'facts' | 'clause' | 'close';
export interface Block { n: number; t: BlockType; lines: string[] }

/** Blocks that no canonical text exists for: a control character, a line separator, or text that is not NFC. */
export class BadBlocks extends Error {}

// C0, DEL, C1, the line separators that Go and JavaScript write differently, and halves of a surrogate pair.
const forbidden = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]|[\ud800-\udbff](?![\udc00-\udfff])|(?:[^\ud800-\udbff]|^)[\udc00-\udfff]/;

/**
 * The canonical bytes as text: `[{"n":1,"t":"title","lines":["..."]},...]`, keys in this order, no spaces. Throws
 * BadBlocks, never mends: a screen must not draw something else than what was signed.
 */
export function canonical(blocks: readonly Block[]): string {
  for (const b of blocks) {
    for (const s of [b.t, ...b.lines]) {
      if (forbidden.test(s) || s.normalize('NFC') !== s) throw new BadBlocks(`block ${b.n}`);
    }
  }
  return JSON.stringify(blocks.map((b) => ({ n: b.n, t: b.t, lines: b.lines })));
}

export interface Piece { text: string; strong: boolean }

const weighty =
  /\d{4}\s?年\s?\d{1,2}\s?月\s?\d{1,2}\s?日|\d{4}-\d{2}-\d{2}|(?:人民币\s?)?(?:[¥￥]\s?)?\d[\d,，]*(?:\.\d+)?\s?(?:万元|元|角|分)(?:整)?(?:（大写[^）]*）)?|大写[：:]?\s?[零壹贰叁肆伍陆柒捌玖拾佰仟万亿元圆角分整正]+/g;

/** A line cut into pieces; dates and sums of money are strong and are drawn underlined. The pieces joined are the line. */
export function pieces(line: string): Piece[] {
  const out: Piece[] = [];
  let at = 0;
  weighty.lastIndex = 0;
  for (let m = weighty.exec(line); m !== null; m = weighty.exec(line)) {
    if (m.index > at) out.push({ text: line.slice(at, m.index), strong: false });
    out.push({ text: m[0], strong: true });
    at = m.index + m[0].length;
  }
  if (at < line.length || out.length === 0) out.push({ text: line.slice(at), strong: false });
  return out;
}

/** What stands alone on a screen while reading: every block, a title together with the number that follows it. */
export function pages(blocks: readonly Block[]): Block[][] {
  const out: Block[][] = [];
  for (const b of blocks) {
    const last = out[out.length - 1];
    if (b.t === 'number' && last && last[0] && last[0].t === 'title') last.push(b);
    else out.push([b]);
  }
  return out;
}
