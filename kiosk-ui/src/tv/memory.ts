// What a tab remembers over a reload: where the person was, nothing about him. A power cut forgets it.
import type { Memory } from './tv';

const KEY = 'heyi.tv';
const EMPTY: Memory = { home: false, left: null, visit: '', layers: [] };

export function load(): Memory {
  try {
    return { ...EMPTY, ...(JSON.parse(sessionStorage.getItem(KEY) || '{}') as Partial<Memory>) };
  } catch {
    return EMPTY;
  }
}

export function save(m: Memory): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(m));
  } catch {
    // a box that refuses storage starts at home after a reload
  }
}
