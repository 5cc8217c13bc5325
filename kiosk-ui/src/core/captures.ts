// The one-use link by which a phone becomes this terminal's camera. It is minted when a screen shows it, again when it is
// about to run out, and forgotten once a phone has used it.
import { asApiError, newKey, type Api } from './api';
import { createStore, type Readable } from './store';
import type { CaptureLink } from './types';

export interface CaptureView { link: CaptureLink | null; error: string }

export interface Captures extends Readable<CaptureView> {
  /** A screen shows the code now: makes sure there is one that lasts. Cheap to call often. */
  need(): void;
  /** A new code, because the old one was not readable or somebody else has seen it. */
  renew(): void;
  /** The code was used or the visit is over. */
  drop(): void;
}

const FRESH_US = 30e6; // a code that ends within 30 s is not worth scanning
const RETRY_MS = 6000; // ten a minute are allowed

/** createCaptures mints through `api`; `visit` opens one first, because the phone belongs to the visit. */
export function createCaptures(o: { api: Api; visit: () => Promise<void>; nowUs: () => number; now: () => number }): Captures {
  const view = createStore<CaptureView>({ link: null, error: '' });
  let busy = false;
  let failedAt = -RETRY_MS;
  let round = 0;

  async function mint(): Promise<void> {
    if (busy) return;
    busy = true;
    const mine = ++round;
    try {
      await o.visit();
      const link = await o.api.post<CaptureLink>('/captures', { key: newKey() });
      if (mine === round) view.set({ link, error: '' });
    } catch (e) {
      failedAt = o.now();
      if (mine === round) view.set({ link: null, error: asApiError(e).code });
    } finally {
      busy = false;
    }
  }

  return {
    get: view.get,
    subscribe: view.subscribe,
    need() {
      const held = view.get().link;
      if (held && held.expires_at - o.nowUs() > FRESH_US) return;
      if (o.now() - failedAt >= RETRY_MS) void mint();
    },
    renew() {
      view.set({ link: null, error: '' });
      void mint();
    },
    drop() {
      round++;
      if (view.get().link || view.get().error) view.set({ link: null, error: '' });
    },
  };
}
