// The check of papers, as far as it is not the server's: sending the files, and sorting what came back. The files go to
// POST /verify and are not kept.
import { ApiError, asApiError } from '../core/api';

export interface Finding { file: string; ok: boolean; code: string; text: string }
export interface Answer { ok: boolean; findings: Finding[] | null }
export interface Issuer { kid: string; alg: string; pub: string; unit: string; name?: string; from_at: number; to_at: number | null }

/** The digest behind the QR code of a paper, or '' when the address holds none: 64 hex digits, in any case and spacing. */
export function cleanDigest(s: string): string {
  const hex = s.replace(/\s/g, '').toLowerCase();
  return /^[0-9a-f]{64}$/.test(hex) ? hex : '';
}

/** Hex in groups of four, as people compare it. */
export const groups = (hex: string): string => hex.replace(/(.{4})(?=.)/g, '$1 ');

export interface Said { file: string; ok: boolean; lines: Finding[] }

/** Findings by file, in the order of the answer: what is wrong first, then what concerns the whole; a file is good when all of it is. */
export function byFile(findings: readonly Finding[]): Said[] {
  const out: Said[] = [];
  for (const f of findings) {
    let s = out.filter((x) => x.file === f.file)[0];
    if (!s) {
      s = { file: f.file, ok: true, lines: [] };
      out.push(s);
    }
    s.ok = s.ok && f.ok;
    s.lines.push(f);
  }
  const rank = (s: Said) => (s.ok ? 2 : 0) + (s.file === '' ? 0 : 1);
  return [0, 1, 2, 3].reduce<Said[]>((list, n) => list.concat(out.filter((s) => rank(s) === n)), []); // sort() of old engines is not stable
}

/** Adds files to a choice; the same name and size twice is the same file. */
export function added(have: readonly File[], more: readonly File[]): File[] {
  const key = (f: File) => `${f.name}|${f.size}|${f.lastModified}`;
  const known = have.map(key);
  return have.concat(more.filter((f) => known.indexOf(key(f)) < 0));
}

const patience = 90_000; // a package of scans over a village line

/** Sends the files. Throws ApiError; 0 "net.down" when no answer came. */
export async function check(files: readonly File[], digest: string, send: typeof fetch = (i, o) => fetch(i, o)): Promise<Answer> {
  const form = new FormData();
  for (const f of files) form.append('files', f, f.name);
  if (digest) form.append('digest', digest);
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), patience);
  try {
    const res = await send('/api/v1/verify', { method: 'POST', body: form, credentials: 'same-origin', cache: 'no-store', headers: { Accept: 'application/json' }, signal: abort.signal });
    const text = await res.text();
    if (res.ok) return JSON.parse(text) as Answer;
    throw new ApiError(res.status, codeIn(text) || (res.status === 413 ? 'request.too_large' : `http.${res.status}`));
  } catch (e) {
    throw asApiError(e);
  } finally {
    clearTimeout(timer);
  }
}

function codeIn(text: string): string {
  try {
    const p = JSON.parse(text) as { code?: unknown };
    return typeof p.code === 'string' ? p.code : '';
  } catch {
    return ''; // a proxy answered with a page of its own; the status still counts
  }
}
