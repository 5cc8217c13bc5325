// How loud this page is, 0..100: what it says, its tones, the voices of a call. Kept in this browser; the operator's command and the
// person's own keys set the same.
import { kept } from './device';
import { createStore, type Readable } from './store';

const key = 'heyi.volume';
const level = createStore(Number(kept(key) || 75));

export const loudness: Readable<number> = level;

export function setLoudness(n: number): void {
  level.set(Math.max(0, Math.min(100, n)));
  kept(key, `${level.get()}`);
}
