// The digest of a frozen agreement and its read-back code, worked out again on every screen that draws it.
//
// digest = SHA-256 of `{"blocks_sha256":"..","pdf_sha256":"..","v":1}`; code = its first 8 bytes as a big-endian number
// mod 10^6. Vectors shared with Go: mediation/agreement/testdata/vectors.json.
import { BadBlocks, canonical, type Block } from './blocks';
import { sha256js } from './sha256';

const utf8 = (s: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(s) as Uint8Array<ArrayBuffer>;
export const hex = (b: Uint8Array): string => Array.from(b, (x) => (x + 256).toString(16).slice(1)).join('');

/** SHA-256 by the browser, or by our own lines where the page's origin is not secure (a TV on plain HTTP). */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const subtle = typeof crypto === 'undefined' ? undefined : (crypto.subtle as SubtleCrypto | undefined);
  if (subtle === undefined) return sha256js(bytes);
  return new Uint8Array(await subtle.digest('SHA-256', bytes));
}

/** Hex SHA-256 of the canonical blocks. Throws BadBlocks. */
export const blocksDigest = async (blocks: readonly Block[]): Promise<string> => hex(await sha256(utf8(canonical(blocks))));

/** Hex SHA-256 of the canonical record. */
export const recordDigest = async (r: { blocks_sha256: string; pdf_sha256: string; v: number }): Promise<string> =>
  hex(await sha256(utf8(`{"blocks_sha256":"${r.blocks_sha256}","pdf_sha256":"${r.pdf_sha256}","v":${r.v}}`)));

/** The six digits that belong to a digest, with leading zeros. */
export function codeOf(digest: string): string {
  let rest = 0;
  for (let i = 0; i < 16; i += 2) rest = (rest * 256 + parseInt(digest.slice(i, i + 2), 16)) % 1_000_000;
  return `00000${rest}`.slice(-6);
}

/** "482916" as it is shown and read out: "482 916". */
export const showCode = (code: string): string => code.replace(/^(\d{3})(?=\d)/, '$1 ');

/** What every answer with a frozen agreement carries. */
export interface Frozen { v: number; blocks: Block[]; blocks_sha256: string; pdf_sha256: string; digest: string; code: string }

/** 'same' = what stands on this screen is what was frozen; anything else says where the difference is. */
export type Verdict = 'same' | 'blocks' | 'digest' | 'code';

/**
 * Works blocks_sha256, digest and code out again over what this screen draws. A screen that does not get 'same' shows
 * "这份和定稿不一样，先别签" and offers neither code nor signature.
 */
export async function verify(a: Frozen): Promise<Verdict> {
  let blocks = '';
  try {
    blocks = await blocksDigest(a.blocks);
  } catch (e) {
    if (!(e instanceof BadBlocks)) throw e;
  }
  if (blocks === '' || blocks !== a.blocks_sha256) return 'blocks';
  if (!/^[0-9a-f]{64}$/.test(a.pdf_sha256) || !(a.v > 0 && Math.floor(a.v) === a.v)) return 'digest';
  if ((await recordDigest({ blocks_sha256: blocks, pdf_sha256: a.pdf_sha256, v: a.v })) !== a.digest) return 'digest';
  return codeOf(a.digest) === a.code ? 'same' : 'code';
}
