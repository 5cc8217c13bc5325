// Byte helpers of the signed texts (docs/protocol.md §4).

export const utf8 = (s: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(s) as Uint8Array<ArrayBuffer>;

/** base64url without padding, RFC 4648 §5. */
export function b64url(bytes: ArrayBuffer | Uint8Array): string {
  const b = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  let s = '';
  for (let i = 0; i < b.length; i++) s += String.fromCharCode(b[i]!);
  return btoa(s).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}

export function unb64url(s: string): Uint8Array<ArrayBuffer> {
  const raw = atob(s.replace(/-/g, '+').replace(/_/g, '/'));
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

/** `label` 0x00, then each part with a 16-bit big-endian length before it. */
export function signedText(label: string, parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const head = utf8(label);
  const out = new Uint8Array(parts.reduce((n, p) => n + 2 + p.length, head.length + 1));
  out.set(head);
  let at = head.length + 1;
  for (const p of parts) {
    out[at] = p.length >> 8;
    out[at + 1] = p.length & 255;
    out.set(p, at + 2);
    at += 2 + p.length;
  }
  return out;
}
