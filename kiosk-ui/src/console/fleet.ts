import type { Overview, UnitRow } from '../core/types';
import { count } from '../staff/format';

/** A unit with its children, as the server's subtree lists them. Pure. */
export type Node = UnitRow & { depth: number; kids: Node[]; up: Node | null };

export function treeOf(units: readonly UnitRow[]): Node[] {
  const nodes = new Map<string, Node>(units.map((u) => [u.id, { ...u, depth: 0, kids: [], up: null }]));
  const roots: Node[] = [];
  for (const u of units) {
    const n = nodes.get(u.id);
    if (n === undefined) continue;
    const parent = nodes.get(u.parent_id);
    if (parent === undefined) roots.push(n);
    else {
      parent.kids.push(n);
      n.up = parent;
    }
  }
  const settle = (list: Node[], depth: number) => {
    list.sort((a, b) => a.code.localeCompare(b.code));
    for (const n of list) {
      n.depth = depth;
      settle(n.kids, depth + 1);
    }
  };
  settle(roots, 0);
  return roots;
}

export function findNode(roots: readonly Node[], id: string): Node | null {
  for (const n of roots) {
    const hit = n.id === id ? n : findNode(n.kids, id);
    if (hit !== null) return hit;
  }
  return null;
}

/** From the top down to and with `n`. */
export function pathOf(n: Node): Node[] {
  return n.up === null ? [n] : [...pathOf(n.up), n];
}

/** Nodes whose name or code contains `q`, with every unit above them; all of them for an empty `q`. */
export function matching(roots: readonly Node[], q: string): ReadonlySet<string> | null {
  if (q === '') return null;
  const hit = new Set<string>();
  const walk = (n: Node) => {
    if (n.name.includes(q) || n.code.startsWith(q)) for (const a of pathOf(n)) hit.add(a.id);
    n.kids.forEach(walk);
  };
  roots.forEach(walk);
  return hit;
}

export type Shade = 'g3' | 'g2' | 'y' | 'r' | 'none';

/** Colour class of an online rate: 98, 95 and 85 per cent are the steps. */
export function shade(online: number, devices: number): Shade {
  if (devices === 0) return 'none';
  const r = online / devices;
  if (r >= 0.98) return 'g3';
  if (r >= 0.95) return 'g2';
  return r >= 0.85 ? 'y' : 'r';
}

/** Places with devices that are off, the most first. */
export function worst(kids: readonly UnitRow[], n: number): UnitRow[] {
  const off = (u: UnitRow) => u.devices - u.online;
  return kids
    .filter((u) => off(u) > 0)
    .sort((a, b) => off(b) - off(a) || a.code.localeCompare(b.code))
    .slice(0, n);
}

export type Tone = 'bad' | 'warn' | 'good';
export type Saying = {
  tone: Tone; key: 'say.none' | 'say.fine' | 'say.some' | 'say.one' | 'say.waiting' | 'say.moving' | 'say.lost' | 'say.restarted' | 'say.focus'; vars: Record<string, string | number>;
};

/** The one sentence above everything: people who wait for nobody come first, then a lost gateway, then devices. */
export function saying(o: Overview, here: Pick<UnitRow, 'name' | 'devices' | 'online'>, kids: readonly (UnitRow & { kids?: readonly UnitRow[] })[]): Saying {
  const place = here.name;
  const off = here.devices - here.online;
  if (o.tickets.waiting > 0 && o.seats.ready === 0 && o.seats.busy === 0) return { tone: 'bad', key: 'say.waiting', vars: { n: o.tickets.waiting } };
  const loss = o.losses.find((l) => l.settled_at === 0 && l.links > 0);
  if (loss !== undefined) {
    const back = Math.floor((100 * loss.back) / loss.links);
    return { tone: 'warn', key: loss.why === 'restarted' ? 'say.restarted' : 'say.lost', vars: { node: loss.node, links: count(loss.links), back } };
  }
  if (here.devices === 0) return { tone: 'warn', key: 'say.none', vars: {} };
  if (off <= 0) return { tone: 'good', key: 'say.fine', vars: { place, total: count(here.devices), online: count(here.online) } };
  if (o.devices.suspect >= off && o.devices.suspect > 0) return { tone: 'warn', key: 'say.moving', vars: { n: o.devices.suspect } };
  const tone: Tone = off / here.devices > 0.15 ? 'bad' : 'warn';
  const w = worstRate(kids);
  if (w === undefined) return { tone, key: 'say.one', vars: { place, off: count(off), total: count(here.devices) } };
  const vars = { place, off: count(off), total: count(here.devices), worst: w.name, n: count(w.devices - w.online) };
  // Where inside it: a child that has most of what is off there, and is itself dark.
  const focus = worstRate(kids.find((u) => u.id === w.id)?.kids ?? []);
  if (focus !== undefined && focus.devices - focus.online >= (w.devices - w.online) / 3 && shade(focus.online, focus.devices) === 'r' && shade(w.online, w.devices) !== shade(here.online, here.devices)) {
    return { tone, key: 'say.focus', vars: { ...vars, focus: focus.name, m: count(focus.devices - focus.online) } };
  }
  return { tone, key: 'say.some', vars };
}

/** The place that has lost most beyond what is usual around it: a village of ten that is dark, not the largest county. */
export function worstRate(kids: readonly UnitRow[]): UnitRow | undefined {
  const all = kids.reduce((sum, u) => ({ devices: sum.devices + u.devices, online: sum.online + u.online }), { devices: 0, online: 0 });
  const usual = all.devices === 0 ? 0 : (all.devices - all.online) / all.devices;
  const beyond = (u: UnitRow) => u.devices - u.online - usual * u.devices;
  return kids.filter((u) => u.devices > u.online).sort((a, b) => beyond(b) - beyond(a) || a.code.localeCompare(b.code))[0];
}

/** "C 66" of "Mozilla/5.0 … Chrome/66.0"; tiers of ui.md §2.3; an engine nobody knows is "–". */
export function engineTier(engine: string): string {
  const m = /Chrom(?:e|ium)\/?\s*(\d+)/i.exec(engine) ?? /^(\d+)/.exec(engine);
  if (m === null) return engine === '' ? '–' : engine;
  const v = Number(m[1]);
  const tier = v >= 83 ? 'A' : v >= 72 ? 'B' : v >= 66 ? 'C' : 'D';
  return `${tier} ${v}`;
}

export type LaneRow = { category: string; n: number; longest: number };

/** Waiting people by what they ask, the most first. */
export function lanes(rows: readonly { category: string; waited_s: number; state: string }[]): LaneRow[] {
  const by = new Map<string, LaneRow>();
  for (const r of rows) {
    if (r.state !== 'waiting' && r.state !== 'offered' && r.state !== 'parked') continue;
    const lane = by.get(r.category) ?? { category: r.category, n: 0, longest: 0 };
    by.set(r.category, { ...lane, n: lane.n + 1, longest: Math.max(lane.longest, r.waited_s) });
  }
  return [...by.values()].sort((a, b) => b.n - a.n || b.longest - a.longest);
}

/** Does a place (names from the city down) lie in `here`? By names, because tickets carry no unit id. */
export function within(place: readonly string[], here: Node): boolean {
  if (here.up === null) return true;
  const under = pathOf(here).map((n) => n.name).join('/');
  return `/${place.join('/')}/`.includes(`/${under}/`);
}
