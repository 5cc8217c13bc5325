// Remembers in this browser that it holds a grant, and by which link: a reload then asks for the grant at once. The
// grant itself is an HttpOnly cookie that no script sees.
import { type Api, asApiError } from '../core/api';
import type { CaptureGrant } from '../core/types';

/** Token of the link, 'code' when typed, '' when there is none. */
interface Held { get(): string; set(token: string): void }

const held = (key: string): Held => ({
  get() {
    try {
      return localStorage.getItem(key) || '';
    } catch {
      return '';
    }
  },
  set(token) {
    try {
      if (token) localStorage.setItem(key, token);
      else localStorage.removeItem(key);
    } catch {
      // without storage a reload asks for a new scan
    }
  },
});

/** The camera grant of a terminal. */
export const paired = held('heyi.paired');
/** The link of a party. */
export const linked = held('heyi.link');

/**
 * The press that makes this phone a terminal's camera; call it once a press. A press whose answer was lost did reach the
 * server: then this browser holds a grant that it did not hold before the first one. The one it held then is another
 * terminal's.
 */
export function createPress(api: Api, pairing: { token: string } | { code: string }): () => Promise<CaptureGrant> {
  let before: string | null = null;
  const mine = async (): Promise<CaptureGrant | null> => {
    try {
      return await api.get<CaptureGrant>('/captures/mine');
    } catch (e) {
      if (asApiError(e).temporary) throw e;
      return null;
    }
  };
  return async () => {
    if (before === null) {
      const held = await mine();
      before = held ? held.grant_id : '';
    }
    try {
      return await api.post<CaptureGrant>('/captures/redeem', pairing);
    } catch (e) {
      const now = await mine().catch(() => null);
      if (now && now.grant_id !== before) return now;
      throw e;
    }
  };
}
