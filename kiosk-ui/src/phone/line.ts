// The link of a phone that holds a grant: one-time tokens by cookie, the clock, and "look again" for every push.
import { newKey, type Api } from '../core/api';
import type { Clock } from '../core/clock';
import { openLink } from '../core/link';
import { engineName } from '../core/probe';
import { createStore, type Readable } from '../core/store';
import type { LinkToken } from '../core/types';

/** 'moved' = another tab of this phone has the place. */
export type LineState = 'up' | 'down' | 'moved';
export interface Line { state: Readable<LineState>; resume(): void; close(): void }

const instanceKey = 'heyi.instance';

function instance(): string {
  const fresh = newKey();
  try {
    const held = sessionStorage.getItem(instanceKey);
    if (held) return held;
    sessionStorage.setItem(instanceKey, fresh);
  } catch {
    // every load is then a page of its own
  }
  return fresh;
}

/** look is called for every frame with its topic and why, and with '' when the line came up or went for good. */
export function openLine(o: { api: Api; clock: Clock; tokens: string; screen: string; look: (topic: string, why?: string) => void }): Line {
  const state = createStore<LineState>('down');
  const me = instance();
  const link = openLink({
    path: '/ws/v1',
    profile: () => 'attended', // somebody holds this phone
    app: { name: 'phone', ver: '1', engine: engineName() },
    async auth() {
      const { token } = await o.api.post<LinkToken>(o.tokens, { instance: me });
      return () => Promise.resolve({ kind: 'session', token, screen: o.screen, instance: me });
    },
    serving: () => true,
    onFrame: (t, b) => o.look(t, ((b || {}) as { why?: string }).why),
    onUp(w) {
      o.clock.sync(w.now_at);
      state.set('up');
      o.look('');
    },
    onDown: () => state.set('down'),
    onFatal(code) {
      state.set(code === 4003 ? 'moved' : 'down');
      o.look(''); // 401 there says why
    },
  });
  return { state, resume: () => link.resume(), close: () => link.close() };
}
