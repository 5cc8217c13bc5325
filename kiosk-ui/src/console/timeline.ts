// What a device's page says of its own words: the inventory in facts, and one time line of what the service did to it and
// what it reported itself. Pure; instants are Unix microseconds.

export type Event = { type: string; at: number; actor: string; cause?: string; since?: number };
export type Span = { epoch: number; node: string; from: number; to: number; cause: string; bytes: number };
export type ClaimLine = { id: string; state: string; at: number };
export type Report = { id: number; kind: string; data: Record<string, unknown>; device_at: number; at: number };
export type Inventory = { hash: string; at: number; document: Record<string, unknown> };

/** One line: `word` is the key of its name, `late` the device's own time when it could tell only later, 0 otherwise. */
export type Line = { key: string; at: number; word: [group: 'ev' | 'rep' | 'lk', code: string]; actor: string; detail: string; late: number; span?: Span };

const LATE = 120e6;

/** Newest first. At the same instant the device's word comes after what was done to it. */
export function timeline(events: readonly Event[], reports: readonly Report[], links: readonly Span[] = [], claims: readonly ClaimLine[] = []): Line[] {
  const lines: Line[] = [
    ...reports.map((r): Line => ({
      key: `r${r.id}`, at: r.at, word: ['rep', r.kind], actor: r.kind.startsWith('journal_') ? 'system' : 'device', detail: detailOf(r.data),
      late: r.device_at > 0 && r.at - r.device_at > LATE ? r.device_at : 0,
    })),
    ...events.map((e, i): Line => ({ key: `e${i}${e.at}`, at: e.at, word: ['ev', e.type], actor: e.actor.split('/')[0] ?? '', detail: e.cause ?? '', late: 0 })),
    ...links.map((l): Line => ({ key: `l${l.epoch}`, at: l.to, word: ['lk', 'ended'], actor: 'system', detail: '', late: 0, span: l })),
    ...claims.map((c): Line => ({ key: `c${c.id}`, at: c.at, word: ['lk', `claim_${c.state}`], actor: 'device', detail: '', late: 0 })),
  ];
  return lines.sort((a, b) => b.at - a.at);
}

const dull = new Set(['boot_id', 'app', 'engine']); // stand in the facts already

/** "TypeError /assets/tv.js:3:7": the values of a report that are texts or numbers. */
function detailOf(data: Record<string, unknown>): string {
  return Object.entries(data).filter(([k, v]) => !dull.has(k) && (typeof v === 'string' || typeof v === 'number') && v !== '').map(([, v]) => String(v)).join(' ').slice(0, 120);
}

const order = ['model', 'os', 'name', 'ver', 'engine', 'tier', 'screen', 'camera', 'microphone', 'storage_free_mb'];

/** What a device consists of as pairs of a key and a value in words; what nobody knows comes last under its own name. */
export function facts(document: Record<string, unknown>, yes: string, no: string): [string, string][] {
  const rank = (k: string) => (order.includes(k) ? order.indexOf(k) : order.length);
  return Object.entries(document)
    .filter(([k, v]) => k !== 'kind' && k !== 'serial' && v !== '' && v !== null)
    .sort(([a], [b]) => rank(a) - rank(b) || a.localeCompare(b))
    .slice(0, 30)
    .map(([k, v]) => [k, valueText(k, v, yes, no)]);
}

function valueText(key: string, v: unknown, yes: string, no: string): string {
  if (typeof v === 'boolean') return v ? yes : no;
  if (key === 'screen' && Array.isArray(v)) return v.join(' × ');
  if (key === 'storage_free_mb' && typeof v === 'number') return `${(v / 1024).toFixed(1)} GB`;
  return (typeof v === 'object' ? JSON.stringify(v) : String(v)).slice(0, 80);
}
