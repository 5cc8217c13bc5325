// What a forger can do to a package without the committee's key: the clauses rewritten, every digest that follows from
// them worked out anew, and a good seal of a key of his own on top, under the committee's key id.
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { check } from './lib.mjs';

const sum = (alg, b) => createHash(alg).update(b).digest('hex');
const record = '08-协议数据.json';

/** The members of a ustar by name; the bodies are views into the package. */
export function members(pack) {
  const found = new Map();
  for (let at = 0; at + 512 <= pack.length && pack[at] !== 0;) {
    const text = (from, n) => pack.subarray(at + from, at + from + n).toString('utf8').replace(/\0.*$/s, '');
    const size = parseInt(text(124, 12), 8);
    found.set((text(345, 155) === '' ? '' : `${text(345, 155)}/`) + text(0, 100), pack.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return found;
}

/** One byte of a file inside the package changed, wherever the package holds it. */
export function oneByte(pack, name) {
  const changed = Buffer.from(pack);
  const body = members(changed).get(name);
  check(body !== undefined && body.length > 300, `the package holds ${name}`);
  body[Math.floor(body.length / 2)] ^= 1;
  return changed;
}

/** The package with `from` rewritten as `to` (as many bytes) in the clauses, digests to match, sealed again. */
export function resealed(pack, from, to) {
  check(Buffer.byteLength(from) === Buffer.byteLength(to), 'a forger keeps the length, so that the outer form stays');
  const forged = Buffer.from(pack);
  const files = members(forged);
  const put = (name, text) => {
    const body = Buffer.from(text);
    check(body.length === files.get(name).length, `${name} keeps its length`);
    body.copy(files.get(name));
  };
  const old = files.get(record).toString();
  const r = JSON.parse(old);
  const [, blocks] = old.match(/"blocks":(\[.*\]),"blocks_sha256":/s);
  check(blocks.includes(from), `the clauses say ${from}`);
  const next = blocks.replaceAll(from, to);
  const blocksSum = sum('sha256', next);
  const digested = `{"blocks_sha256":"${blocksSum}","pdf_sha256":"${r.pdf_sha256}","v":${r.v}}`;
  const digest = sum('sha256', digested);
  const code = String(BigInt(`0x${digest.slice(0, 16)}`) % 1_000_000n).padStart(6, '0');
  const redo = (text) => text.replaceAll(r.digest, digest).replaceAll(r.digest_sm3, sum('sm3', digested)).replaceAll(r.blocks_sha256, blocksSum);
  put(record, redo(old.replace(blocks, () => next)).replace(`"code":"${r.code}"`, `"code":"${code}"`));

  const before = Buffer.from(members(pack).get(record));
  const after = files.get(record);
  put('manifest.json', files.get('manifest.json').toString().replace(sum('sha256', before), sum('sha256', after)).replace(sum('sm3', before), sum('sm3', after)));
  const his = generateKeyPairSync('ed25519');
  const signatures = redo(files.get('signatures.json').toString());
  const { seal } = JSON.parse(signatures);
  const good = sign(null, Buffer.concat([Buffer.from('heyi.seal.v1\0'), files.get('manifest.json')]), his.privateKey).toString('base64url');
  put('signatures.json', signatures.replace(seal.pub, his.publicKey.export({ format: 'jwk' }).x).replace(seal.sig, good));
  return forged;
}
