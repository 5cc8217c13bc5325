// Who this screen is: a P-256 key that never leaves the browser (WebCrypto, not extractable, kept in IndexedDB), and the
// credential that an operator's approval brought. IndexedDB holds only this record and no person's data.
import { type Api, ApiError, asApiError, newKey } from './api';
import { b64url, signedText, unb64url, utf8 } from './bytes';
import type { AppInfo, AuthBody, Challenge, ClaimAnswer, DeviceKind } from './types';

export interface Identity {
  deviceId: string;
  auth: (ch: Challenge) => Promise<AuthBody>;
}

/** What the claim screen shows. */
export type ClaimView =
  | { at: 'asking' }
  | { at: 'code'; code: string; url: string; qrSvg: string; expiresAt: number; serial: string }
  | { at: 'refused' }
  | { at: 'down'; code: string };

interface Kept { key: CryptoKeyPair; pub: string; serial: string; deviceId: string; cred: string; claim: null | ClaimAnswer }

const alg = { name: 'ECDSA', namedCurve: 'P-256' };
const sig = { name: 'ECDSA', hash: 'SHA-256' };
const dbName = 'heyi';
const storeName = 'device';

function db<T>(mode: IDBTransactionMode, use: (s: IDBObjectStore) => IDBRequest): Promise<T> {
  return new Promise((ok, no) => {
    const open = indexedDB.open(dbName, 1);
    open.onupgradeneeded = () => { open.result.createObjectStore(storeName); };
    open.onerror = () => no(open.error);
    open.onsuccess = () => {
      const base = open.result;
      const tx = base.transaction(storeName, mode);
      const req = use(tx.objectStore(storeName));
      tx.oncomplete = () => { base.close(); ok(req.result as T); };
      tx.onerror = tx.onabort = () => { base.close(); no(tx.error); };
    };
  });
}

const load = (kind: DeviceKind) => db<Kept | undefined>('readonly', (s) => s.get(kind));
const save = (kind: DeviceKind, k: Kept) => db<unknown>('readwrite', (s) => s.put(k, kind));

/** Forgets key and credential: the screen was revoked, or is unknown to this server. */
export const forgetIdentity = (kind: DeviceKind): Promise<unknown> => db('readwrite', (s) => s.delete(kind));

/** Can this page hold a key at all? Plain HTTP from another machine has no WebCrypto. */
export const canHoldKey = (): boolean => typeof crypto !== 'undefined' && !!crypto.subtle && typeof indexedDB !== 'undefined';

async function make(kind: DeviceKind): Promise<Kept> {
  const key = (await crypto.subtle.generateKey(alg, false, ['sign', 'verify'])) as CryptoKeyPair;
  const pub = b64url(await crypto.subtle.exportKey('raw', key.publicKey));
  const r = crypto.getRandomValues(new Uint8Array(5));
  const serial = `WEB-${Array.from(r, (x) => (x + 256).toString(16).slice(1)).join('').toUpperCase()}`;
  const kept: Kept = { key, pub, serial, deviceId: '', cred: '', claim: null };
  await save(kind, kept);
  return kept;
}

/** Signs the connect text. The server name is the one the page dialled, so a proof cannot be relayed to another host. */
function identity(k: Kept, dialled: () => { host: string; hostname: string }): Identity {
  return {
    deviceId: k.deviceId,
    async auth(ch) {
      const at = dialled();
      if (ch.server !== at.host && ch.server !== at.hostname) throw new Error('device: the server names another host');
      const cnonce = crypto.getRandomValues(new Uint8Array(16));
      const credHash = new Uint8Array(await crypto.subtle.digest('SHA-256', utf8(k.cred)));
      const text = signedText('heyi.v1 connect', [utf8(ch.server), unb64url(ch.nonce), cnonce, utf8(k.deviceId), credHash, new Uint8Array(0)]);
      const proof = await crypto.subtle.sign(sig, k.key.privateKey, text);
      return { kind: 'device', device_id: k.deviceId, cred: k.cred, alg: 'p256', cnonce: b64url(cnonce), sig: b64url(proof) };
    },
  };
}

export interface ClaimOpts {
  kind: DeviceKind;
  app: AppInfo;
  api: Api;
  onClaim: (view: ClaimView) => void;
  /** Resolves when a person asks to try again after a refusal. */
  again: () => Promise<void>;
  stopped: () => boolean;
  dialled?: () => { host: string; hostname: string };
}

/** Returns this screen's identity; claims one first (docs/protocol.md §2) and waits for the operator's approval. */
export async function ensureIdentity(o: ClaimOpts): Promise<Identity> {
  const dialled = o.dialled || (() => location);
  let k = (await load(o.kind)) || (await make(o.kind));
  let failures = 0;
  while (!k.cred) {
    if (o.stopped()) throw new ApiError(0, 'net.down');
    try {
      k = await claim(k, o);
      failures = 0;
    } catch (e) {
      const err = asApiError(e);
      if (err.code === 'claim.refused') {
        k = { ...k, claim: null };
        await save(o.kind, k);
        o.onClaim({ at: 'refused' });
        await o.again();
      } else if (err.status === 410 || err.status === 404) {
        k = { ...k, claim: null }; // the code ran out: show a new one
        await save(o.kind, k);
      } else {
        if (!k.claim) o.onClaim({ at: 'down', code: err.code });
        const ms = Math.max(err.retryMs, Math.min(15000, 1000 * 2 ** failures++));
        await new Promise((r) => setTimeout(r, ms));
      }
    }
  }
  return identity(k, dialled);
}

async function claim(k: Kept, o: ClaimOpts): Promise<Kept> {
  if (!k.claim) {
    o.onClaim({ at: 'asking' });
    const proof = await crypto.subtle.sign(sig, k.key.privateKey, signedText('heyi.v1 claim', [unb64url(k.pub), utf8(k.serial)]));
    const c = await o.api.post<ClaimAnswer>('/claims', {
      pub: k.pub, alg: 'p256', key_store: 'webcrypto', serial: k.serial, model: o.app.model || 'browser', kind: o.kind, proof: b64url(proof), app: o.app,
    });
    k = { ...k, claim: c };
    await save(o.kind, k); // a reload keeps the code that somebody may just be typing
  }
  const c = k.claim!;
  if (!c.approved) o.onClaim({ at: 'code', code: c.code, url: c.url, qrSvg: c.qr_svg, expiresAt: c.expires_at, serial: k.serial });
  const asked = Date.now();
  const got = await o.api.get<{ state?: string; device_id?: string; cred?: string }>(`/claims/${c.claim_id}`, { headers: { 'X-Claim-Secret': c.secret }, timeoutMs: 40000 });
  if (!got.cred || !got.device_id) { // 202: still waiting
    if (Date.now() - asked < 1000) await new Promise((r) => setTimeout(r, 1000)); // a server that does not hold the line
    return k;
  }
  k = { ...k, deviceId: got.device_id, cred: got.cred, claim: null };
  await save(o.kind, k);
  return k;
}

/** A word kept for all tabs of this browser; '' where storage is refused. */
export function kept(key: string, value = ''): string {
  try {
    if (value) localStorage.setItem(key, value);
    return localStorage.getItem(key) || '';
  } catch {
    return '';
  }
}

/**
 * One id for each start of the browser: its tabs share it, and a page that comes within two minutes of the last one goes
 * on with it. Two that alternate are two machines with one key.
 */
export function bootId(): string {
  const [held = '', at] = kept('heyi.boot').split(' ');
  const id = Date.now() - Number(at) < 120000 ? held : newKey();
  const keep = () => kept('heyi.boot', `${id} ${Date.now()}`);
  keep();
  setInterval(keep, 60000);
  return id;
}
