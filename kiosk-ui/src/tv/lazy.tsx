// The second script is fetched as soon as the first situation is known (it knows the cameras, the room and the person's matter). If it does not come (the server was updated in
// between), the page starts anew: the situation brings it back to the same screen.
import type { VNode } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { reloadWhenAnswered } from '../core/reload';

export type Parts = typeof import('./parts');

export interface Loader { load(): Promise<Parts>; ready(): Parts | null }

const AGAIN_MS = 5000;

/** createLoader fetches the script once; onLoad has it before any of its screens is drawn. */
export function createLoader(onLoad: (m: Parts) => void): Loader {
  let asked: Promise<Parts> | null = null;
  let parts: Parts | null = null;
  return {
    ready: () => parts,
    load() {
      if (!asked) {
        asked = import('./parts');
        asked.then((m) => {
          parts = m;
          onLoad(m);
        }, () => { asked = null; });
      }
      return asked;
    },
  };
}

/** Lazy draws with the second script, and `meanwhile` until it is there. */
export function Lazy(p: { loader: Loader; meanwhile: VNode | null; draw: (parts: Parts) => VNode }) {
  const [, redraw] = useState(0);
  const parts = p.loader.ready();
  useEffect(() => {
    if (parts) return undefined;
    let over = false;
    p.loader.load().then(
      () => { if (!over) redraw((n) => n + 1); },
      () => { setTimeout(() => reloadWhenAnswered(() => { if (!over) location.reload(); }), AGAIN_MS); },
    );
    return () => { over = true; };
  }, []);
  return parts ? p.draw(parts) : p.meanwhile;
}
