import { useSyncExternalStore } from 'react';

/** What the console shows, all of it in the address: a reload or a sent link shows the same. */
export type Place = {
  view: View; unit: string; chip: string; kind: string; class: string; tier: string; model: string; state: string; q: string; sort: string; cols: string; row: string;
  device: string; case: string; code: string;
};
export type View = (typeof VIEWS)[number];

const VIEWS = ['overview', 'devices', 'device', 'queue', 'cases', 'handoffs', 'enrol'] as const;
const KEYS = {
  unit: 'unit', chip: 'chip', kind: 'kind', class: 'class', tier: 'tier', model: 'model', state: 'state', q: 'q', sort: 'sort', cols: 'cols', row: 'row',
  device: 'device', case: 'case', code: 'c',
} as const;

/** `kept` is what history holds beside the address. */
export function parsePlace(pathname: string, search: string, kept = ''): Place {
  const s = new URLSearchParams(search);
  const get = (k: string) => s.get(k) ?? '';
  const view = VIEWS.find((v) => v === get('view')) ?? 'overview';
  return {
    view: pathname.startsWith('/claim') ? 'enrol' : view,
    unit: get(KEYS.unit),
    chip: get(KEYS.chip),
    kind: get(KEYS.kind),
    class: get(KEYS.class),
    tier: get(KEYS.tier),
    model: get(KEYS.model),
    state: get(KEYS.state),
    q: get(KEYS.q) || kept,
    sort: get(KEYS.sort),
    cols: get(KEYS.cols),
    row: get(KEYS.row),
    device: get(KEYS.device),
    case: get(KEYS.case),
    code: get(KEYS.code),
  };
}

/**
 * Whether a search must not stand in an address: cases are looked for by names and id numbers, and addresses end in
 * histories, logs and messages. Case numbers and receipt numbers say nothing about a person.
 */
export const isPrivate = (p: Partial<Place>): boolean => p.view === 'cases' && !!p.q && !/^R-|字第/.test(p.q.trim());

/** The address of a place; what is empty, the default or private is left out. */
export function hrefOf(p: Partial<Place>): string {
  const s = new URLSearchParams();
  if (p.view && p.view !== 'overview') s.set('view', p.view);
  for (const [name, key] of Object.entries(KEYS)) {
    const v = p[name as keyof typeof KEYS];
    if (v && !(name === 'q' && isPrivate(p))) s.set(key, v);
  }
  const q = s.toString();
  return q === '' ? '/console' : `/console?${q}`;
}

const EVENT = 'heyi:place';

export function go(p: Partial<Place>, replace = false): void {
  const href = hrefOf(p);
  const kept = isPrivate(p) ? { q: p.q } : null; // survives a reload and the back key, and is in no address
  if (replace) history.replaceState(kept, '', href);
  else history.pushState(kept, '', href);
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

function keptNow(): string {
  const state: unknown = history.state;
  return typeof state === 'object' && state !== null && 'q' in state && typeof state.q === 'string' ? state.q : '';
}

export function usePlace(): Place {
  const here = useSyncExternalStore(subscribe, () => `${location.pathname}\n${location.search}\n${keptNow()}`);
  const [path = '', search = '', kept = ''] = here.split('\n');
  return parsePlace(path, search, kept);
}
