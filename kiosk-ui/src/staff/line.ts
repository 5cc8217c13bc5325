import { useEffect, useRef, useState } from 'react';
import { newKey } from '../core/api';
import { openLink, type Link } from '../core/link';
import type { LinkToken, Welcome } from '../core/types';
import type { Staff } from './gate';

export type Line = { link: Link | null; up: boolean; downSince: number; elsewhere: boolean; newer: string; resume: () => void };
export type LineEvents = { frame: (t: string, b: unknown) => void; up: (w: Welcome) => void };

/** This build, as the server's `desired_ver` would name it. */
const BUILD = import.meta.env.VITE_VERSION ?? '';

/**
 * The link of a staff page. `elsewhere` means that the same person opened the page in a newer window: this one is silent
 * until `resume`. A sign-in that is over goes back to the sign-in page.
 */
export function useLine(staff: Staff, screen: 'desk' | 'console', events: LineEvents): Line {
  const [link, setLink] = useState<Link | null>(null);
  const [state, setState] = useState({ up: false, downSince: 0, elsewhere: false, newer: '' });
  const on = useRef(events);
  on.current = events;

  useEffect(() => {
    // A seat is one window: every desk of a person has one instance, so a newer one supersedes it. Consoles may be many.
    const instance = screen === 'desk' ? 'seat' : newKey();
    const l = openLink({
      path: '/ws/v1',
      auth: async () => {
        const { token } = await staff.api.post<LinkToken>('/staff/link-tokens', { screen, instance });
        return async () => ({ kind: 'session', token, screen, instance });
      },
      profile: () => 'attended',
      app: { name: screen, ver: BUILD || '0' },
      onFrame: (t, b) => on.current.frame(t, b),
      onUp: (w) => {
        const newer = BUILD !== '' && w.desired_ver && w.desired_ver !== BUILD ? w.desired_ver : '';
        setState({ up: true, downSince: 0, elsewhere: false, newer });
        on.current.up(w);
      },
      onDown: () => setState((s) => ({ ...s, up: false, downSince: s.downSince || Date.now() })),
      onFatal: (code) => {
        if (code === 4507) staff.lost();
        setState((s) => ({ ...s, up: false, downSince: s.downSince || Date.now(), elsewhere: code === 4003 }));
      },
    });
    setLink(l);
    return () => l.close();
  }, [staff, screen]);

  return { link, ...state, resume: () => link?.resume() };
}
