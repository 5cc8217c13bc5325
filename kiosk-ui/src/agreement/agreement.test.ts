import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BadBlocks, canonical, pages, pieces, type Block } from './blocks';
import { blocksDigest, codeOf, hex, recordDigest, showCode, verify, type Frozen } from './digest';
import { createHand, MAX_POINTS, MAX_STROKES } from './mark';
import { sha256js } from './sha256';

const blocks: Block[] = [
  { n: 1, t: 'title', lines: ['人民调解协议书'] },
  { n: 2, t: 'clause', lines: ['第一条 被申请人乙在 2026 年 12 月 20 日以前，把租金 18,600 元（大写：壹万捌仟陆佰元整）付给申请人甲。', '<转账> & "现金"\\'] },
];
const node = (s: string | Uint8Array) => createHash('sha256').update(s).digest('hex');
const pdf = node('pdf');

async function frozen(over: Partial<Frozen> = {}): Promise<Frozen> {
  const blocks_sha256 = await blocksDigest(blocks);
  const digest = await recordDigest({ blocks_sha256, pdf_sha256: pdf, v: 1 });
  return { v: 1, blocks, blocks_sha256, pdf_sha256: pdf, digest, code: codeOf(digest), ...over };
}

describe('canonical blocks', () => {
  it('are JSON without spaces, keys in order, nothing escaped for HTML', () => {
    const strange = [{ lines: ['a<b>&"\\/é蒙'], extra: 1, t: 'facts', n: 7 } as unknown as Block];
    expect(canonical(strange)).toBe('[{"n":7,"t":"facts","lines":["a<b>&\\"\\\\/é蒙"]}]');
    expect(canonical([{ n: 1, t: 'facts', lines: ['😀'] }])).toBe('[{"n":1,"t":"facts","lines":["😀"]}]');
  });
  it.each(['a\nb', 'a\tb', '\u007f', '\u0085', 'a\u2028b', '\u2029', 'e\u0301', '\ud800', 'x\udc00', '\ud800\ud800\udc00'])('refuse %j instead of mending it', (line) => {
    expect(() => canonical([{ n: 1, t: 'facts', lines: [line] }])).toThrow(BadBlocks);
  });
});

describe('digest', () => {
  it('our own SHA-256 is SHA-256 at every length over two blocks', () => {
    for (let n = 0; n <= 150; n++) {
      const b = Uint8Array.from({ length: n }, (_, i) => (i * 37 + n) & 255);
      expect(hex(sha256js(b))).toBe(node(b));
    }
  });
  it('is over the blocks, then over the record', async () => {
    expect(await blocksDigest(blocks)).toBe(node(canonical(blocks)));
    expect(await recordDigest({ blocks_sha256: 'aa', pdf_sha256: 'bb', v: 3 })).toBe(node('{"blocks_sha256":"aa","pdf_sha256":"bb","v":3}'));
  });
  it('the code is the first 8 bytes, big-endian, mod a million', () => {
    for (const d of [node('a'), node('b'), 'f'.repeat(64), '0'.repeat(64)]) {
      expect(codeOf(d)).toBe(String(BigInt(`0x${d.slice(0, 16)}`) % 1_000_000n).padStart(6, '0'));
    }
    expect(showCode('482916')).toBe('482 916');
  });
  it('one changed character anywhere is refused', async () => {
    const good = await frozen();
    expect(await verify(good)).toBe('same');
    const text = canonical(blocks);
    const swap = (b: Block[]) => frozen().then((f) => verify({ ...f, blocks: b }));
    expect(await swap(JSON.parse(text.replace('18,600', '18,601')) as Block[])).toBe('blocks');
    expect(await swap(blocks.slice(0, 1))).toBe('blocks');
    expect(await swap([{ n: 1, t: 'title', lines: ['a\nb'] }])).toBe('blocks');
    const flip = (s: string) => s.replace(/.$/, (c) => (c === '0' ? '1' : '0'));
    expect(await verify({ ...good, blocks_sha256: flip(good.blocks_sha256) })).toBe('blocks');
    expect(await verify({ ...good, pdf_sha256: flip(good.pdf_sha256) })).toBe('digest');
    expect(await verify({ ...good, pdf_sha256: '","v":9}' })).toBe('digest');
    expect(await verify({ ...good, v: 2 })).toBe('digest');
    expect(await verify({ ...good, digest: flip(good.digest) })).toBe('digest');
    expect(await verify({ ...good, code: flip(good.code) })).toBe('code');
  });
});

describe('vectors shared with Go', () => {
  type Vector = { blocks: Block[]; v: number; pdf_sha256: string; blocks_sha256: string; digest: string; code: string };
  const list = JSON.parse(readFileSync('../mediation/agreement/testdata/vectors.json', 'utf8')) as Vector[];
  it('are there', () => expect(list.length).toBeGreaterThan(0));
  it.each(list.map((v, i) => [i, v] as const))('vector %i', async (_, v) => {
    expect(await blocksDigest(v.blocks)).toBe(v.blocks_sha256);
    expect(await recordDigest(v)).toBe(v.digest);
    expect(codeOf(v.digest)).toBe(v.code);
    expect(await verify(v)).toBe('same');
  });
});

describe('what is drawn', () => {
  const strong = (line: string) => pieces(line).filter((p) => p.strong).map((p) => p.text);
  it('underlines dates and sums and loses no character', () => {
    for (const line of [...blocks.flatMap((b) => b.lines), '', '没有数字', '3,000.50元', '2026-12-20']) {
      expect(pieces(line).map((p) => p.text).join('')).toBe(line);
    }
    expect(strong(blocks[1]!.lines[0]!)).toEqual(['2026 年 12 月 20 日', '18,600 元（大写：壹万捌仟陆佰元整）']);
    expect(strong('2026年4月1日还草场 120 亩')).toEqual(['2026年4月1日']);
    expect(strong('没有数字')).toEqual([]);
  });
  it('shows one block a page, the number with its title', () => {
    const list: Block[] = [{ n: 1, t: 'title', lines: ['a'] }, { n: 2, t: 'number', lines: ['b'] }, { n: 3, t: 'party', lines: ['c'] }, { n: 4, t: 'clause', lines: ['d'] }];
    expect(pages(list).map((p) => p.map((b) => b.n))).toEqual([[1, 2], [3], [4]]);
  });
});

describe('a mark by hand', () => {
  it('keeps whole numbers inside the field and the time since the first point', () => {
    const hand = createHand(600, 200);
    expect(hand.empty).toBe(true);
    hand.down(10.4, 20.6, 1000);
    expect(hand.move(11, 21, 1010)).toBe(false);
    expect(hand.move(700, -5, 1020)).toBe(true);
    hand.up();
    expect(hand.move(5, 5, 1030)).toBe(false);
    expect(hand.mark()).toEqual({ w: 600, h: 200, strokes: [[10, 21, 0, 600, 0, 20]] });
    hand.clear();
    expect([hand.empty, hand.mark().strokes]).toEqual([true, []]);
  });
  it('is a name only with some ink, and never larger than the server takes', () => {
    const hand = createHand(600, 200);
    hand.down(1, 1, 0);
    expect(hand.enough).toBe(false);
    for (let i = 0; i < 5000; i++) hand.move((i % 2) * 100, i % 200, i);
    expect(hand.enough).toBe(true);
    expect(hand.mark().strokes.reduce((n, s) => n + s.length / 3, 0)).toBe(MAX_POINTS);
    const many = createHand(600, 200);
    let took = 0;
    for (let i = 0; i < 30; i++) if (many.down(i, i, i)) took++;
    expect(took).toBe(MAX_STROKES);
  });
});
