type Key = [kind: string, key: number | string];
type Range = { from: Key; to: Key };

/** Numbers lie before texts, as in IndexedDB. */
function order(a: number | string, b: number | string): number {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

export const keyRange = {
  bound: (from: Key, to: Key): Range => {
    if (order(from[1], to[1]) > 0) throw new Error('the lower key is greater than the upper key');
    return { from, to };
  },
};

/** One object store of IndexedDB, as much of it as a journal uses. Keys are [kind, seq], or [kind, id] of a command. */
export class Disk {
  rows = new Map<string, { key: Key; value: unknown }>();
  broken = false;
  open() {
    const req: Record<string, unknown> & { result?: unknown } = {};
    queueMicrotask(() => {
      if (this.broken) {
        (req.onerror as () => void)();
        return;
      }
      req.result = { createObjectStore: () => undefined, transaction: () => this.transaction(), close: () => undefined };
      (req.onsuccess as () => void)();
    });
    return req;
  }
  private transaction() {
    const tx: { oncomplete?: () => void; objectStore: () => unknown } = { objectStore: () => store };
    let waiting = 0;
    const ask = <T>(f: () => T) => {
      const req: { result?: T; onsuccess?: () => void } = {};
      waiting++;
      queueMicrotask(() => {
        req.result = f();
        req.onsuccess?.();
        if (--waiting === 0) queueMicrotask(() => { if (waiting === 0) tx.oncomplete?.(); });
      });
      return req;
    };
    const inside = (r: Range, [kind, k]: Key) => kind === r.from[0] && order(k, r.from[1]) >= 0 && order(k, r.to[1]) <= 0;
    const store = {
      get: (key: Key) => ask(() => structuredClone(this.rows.get(String(key))?.value)),
      put: (value: unknown, key: Key) => ask(() => { this.rows.set(String(key), { key, value: structuredClone(value) }); }),
      delete: (r: Range | Key) => ask(() => { if (Array.isArray(r)) this.rows.delete(String(r)); else for (const [k, row] of this.rows) if (inside(r, row.key)) this.rows.delete(k); }),
      getAll: (r: Range) => ask(() => [...this.rows.values()].filter((row) => inside(r, row.key)).sort((a, b) => order(a.key[1], b.key[1])).map((row) => structuredClone(row.value))),
    };
    return tx;
  }
  left(kind = 'stb') {
    return [...this.rows.values()].map((r) => r.key).filter(([k, seq]) => k === kind && Number(seq) > 0).map(([, seq]) => seq as number).sort((a, b) => a - b);
  }
}
