import { useSyncExternalStore } from 'react';

/** What the console shows, all of it in the address: a reload or a sent link shows the same. */
export type Place = { view: 'overview' | 'devices' | 'queue' | 'enrol'; unit: string; chip: string; kind: string; q: string; device: string; code: string };

const VIEWS = ['overview', 'devices', 'queue', 'enrol'] as const;
const KEYS = { unit: 'unit', chip: 'chip', kind: 'kind', q: 'q', device: 'device', code: 'c' } as const;

export function parsePlace(pathname: string, search: string): Place {
  const s = new URLSearchParams(search);
  const get = (k: string) => s.get(k) ?? '';
  const view = VIEWS.find((v) => v === get('view')) ?? 'overview';
  return {
    view: pathname.startsWith('/claim') ? 'enrol' : view,
    unit: get(KEYS.unit),
    chip: get(KEYS.chip),
    kind: get(KEYS.kind),
    q: get(KEYS.q),
    device: get(KEYS.device),
    code: get(KEYS.code),
  };
}

/** The address of a place; what is empty or the default is left out. */
export function hrefOf(p: Partial<Place>): string {
  const s = new URLSearchParams();
  if (p.view && p.view !== 'overview') s.set('view', p.view);
  for (const [name, key] of Object.entries(KEYS)) {
    const v = p[name as keyof typeof KEYS];
    if (v) s.set(key, v);
  }
  const q = s.toString();
  return q === '' ? '/console' : `/console?${q}`;
}

const EVENT = 'heyi:place';

export function go(p: Partial<Place>, replace = false): void {
  const href = hrefOf(p);
  if (replace) history.replaceState(null, '', href);
  else history.pushState(null, '', href);
  window.dispatchEvent(new Event(EVENT));
}

function subscribe(cb: () => void): () => void {
  window.addEventListener('popstate', cb);
  window.addEventListener(EVENT, cb);
  return () => {
    window.removeEventListener('popstate', cb);
    window.removeEventListener(EVENT, cb);
  };
}

export function usePlace(): Place {
  const href = useSyncExternalStore(subscribe, () => location.pathname + location.search);
  const [path = '', search = ''] = href.split('?');
  return parsePlace(path, search);
}
