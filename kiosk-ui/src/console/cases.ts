// What the pages of cases and hand-offs show, as pure functions. The shapes are docs/protocol.md §7; days are
// "YYYY-MM-DD" by the country's one time, as the server counts them.
import type { Place } from './url';

export type CaseRow = {
  id: string; subject: string; kind: 'dossier' | 'consult'; number: string; receipt_no: string; category: string; unit: string; state: string;
  parties: string[]; received_at: number; effective_at: number | null; confirm_last_on: string | null; followup_on: string | null; closing_code: string; rating: number | null;
};
export type Version = { version: number; delivery_id: string; receipt_no: string; received_at: number; seal: { kid: string; alg: string; ok: boolean } };
export type Paper = { paper: number; name: string; digest: string; size: number; media_type: string; version: number };
export type Check = { paper: number; title: string; must: boolean; present: boolean };
export type Case = CaseRow & { versions: Version[] | null; papers: Paper[] | null; checklist: Check[] | null };
export type HandoffRow = {
  id: string; subject: string; kind: string; version: number; delivery_id: string; target: string; state: string; attempts: number; next_at: number | null; receipt_no: string; last_error: string; at: number;
};

export const CASE_STATES = ['received', 'verified', 'closed'] as const;
export const HANDOFF_STATES = ['queued', 'sending', 'verified', 'failed', 'dead'] as const;
const LIMIT = 50;

const query = (path: string, fields: Record<string, string>): string => {
  const s = new URLSearchParams();
  for (const [k, v] of Object.entries(fields)) if (v !== '') s.set(k, v);
  const q = s.toString();
  return q === '' ? path : `${path}?${q}`;
};

export const casesPath = (p: Pick<Place, 'unit' | 'q' | 'kind' | 'state'>): string =>
  query('/cases', { unit: p.unit, q: p.q.trim(), kind: p.kind, state: p.state, limit: String(LIMIT) });

export const handoffsPath = (p: Pick<Place, 'unit' | 'state'>): string => query('/handoffs', { unit: p.unit, state: p.state });

export const fileHref = (id: string, digest: string): string => `/api/v1/cases/${encodeURIComponent(id)}/files/${encodeURIComponent(digest)}`;
export const packageHref = (id: string, version: number): string => `/api/v1/cases/${encodeURIComponent(id)}/package?version=${version}`;

const EAST = 8 * 3600_000;
const DAY = 86_400_000;
const dayNumber = (on: string): number => Date.UTC(Number(on.slice(0, 4)), Number(on.slice(5, 7)) - 1, Number(on.slice(8, 10))) / DAY;
const today = (nowAt: number): number => Math.floor((nowAt / 1000 + EAST) / DAY);
const isDay = (on: string | null): on is string => on !== null && /^\d{4}-\d{2}-\d{2}$/.test(on);

/** Whole days from now until a day; 0 is today, negative is past; null without a day. */
export const daysLeft = (on: string | null, nowAt: number): number | null => (isDay(on) ? dayNumber(on) - today(nowAt) : null);

/** "12月22日", with the year when it is another one than now's. */
export function dayWord(on: string | null, nowAt: number): string {
  if (!isDay(on)) return '–';
  const year = Number(on.slice(0, 4));
  const date = `${Number(on.slice(5, 7))}月${Number(on.slice(8, 10))}日`;
  return year === new Date(nowAt / 1000 + EAST).getUTCFullYear() ? date : `${year}年${date}`;
}

/** The day of an instant, as dayWord shows it. */
export const dayOf = (at: number, nowAt: number): string => dayWord(new Date(at / 1000 + EAST).toISOString().slice(0, 10), nowAt);

/** How a day that runs out looks: long gone or far away is calm, ten days and fewer are not. */
export function urgency(on: string | null, nowAt: number): 'none' | 'calm' | 'soon' | 'over' {
  const n = daysLeft(on, nowAt);
  if (n === null) return 'none';
  return n < 0 ? 'over' : n <= 10 ? 'soon' : 'calm';
}

export type Saying = { tone: 'good' | 'warn' | 'bad'; keys: SayKey[]; vars: Record<string, string | number> };
export type SayKey = 'ca.say.consult' | 'ca.say.failed' | 'ca.say.effective' | 'ca.say.waiting' | 'ca.say.confirm' | 'ca.say.confirm.today' | 'ca.say.confirm.over' | 'ca.say.confirm.none' | 'ca.say.seal';

/** The case in one or two sentences: what it is, and which day runs. A seal that nobody knows comes before all else. */
export function sayingOfCase(c: Case, closing: string, nowAt: number): Saying {
  const vars = { day: c.effective_at === null ? '' : dayOf(c.effective_at, nowAt), came: dayOf(c.received_at, nowAt), last: dayWord(c.confirm_last_on, nowAt), n: daysLeft(c.confirm_last_on, nowAt) ?? 0, closing };
  const broken = (c.versions ?? []).some((v) => !v.seal.ok);
  if (broken) return { tone: 'bad', keys: ['ca.say.seal'], vars };
  if (c.kind === 'consult') return { tone: 'good', keys: ['ca.say.consult'], vars };
  if (c.effective_at === null) return { tone: 'warn', keys: [c.closing_code === '' || c.closing_code === '1' ? 'ca.say.waiting' : 'ca.say.failed'], vars };
  const look = urgency(c.confirm_last_on, nowAt);
  const second: SayKey = look === 'none' ? 'ca.say.confirm.none' : look === 'over' ? 'ca.say.confirm.over' : vars.n === 0 ? 'ca.say.confirm.today' : 'ca.say.confirm';
  return { tone: look === 'soon' ? 'warn' : 'good', keys: ['ca.say.effective', second], vars };
}

export type Shelf = Check & { files: Paper[] };

/**
 * The papers in the order of the dossier, each with its files as they stand in the package, newest version first; files
 * that are no paper (the event log, a record as data) come last, under paper 0.
 */
export function shelves(c: Pick<Case, 'checklist' | 'papers'>): Shelf[] {
  const papers = [...(c.papers ?? [])].sort((a, b) => b.version - a.version);
  const list = [...(c.checklist ?? [])].sort((a, b) => a.paper - b.paper);
  const listed = new Set(list.map((x) => x.paper));
  const out = list.map((x) => ({ ...x, files: papers.filter((p) => p.paper === x.paper) }));
  const rest = papers.filter((p) => !listed.has(p.paper));
  return rest.length === 0 ? out : [...out, { paper: 0, title: '', must: false, present: true, files: rest }];
}

const LAST_AT_HANDOFF = 8; // papers 1-8 are checked at the hand-off, 9-13 at archiving (domain.md §5.6)

/** Whether a paper must be there by now and is not. */
export const lacking = (x: Check, state: string): boolean => x.must && !x.present && (x.paper <= LAST_AT_HANDOFF || state === 'archived');

/** How many papers of the checklist are there, and which are missing. */
export function tally(list: readonly Check[], state: string): { there: number; all: number; missing: string[] } {
  return { there: list.filter((x) => x.present).length, all: list.length, missing: list.filter((x) => lacking(x, state)).map((x) => x.title) };
}

/** "96 KB", "1.2 MB". */
export function sizeText(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  const kb = bytes / 1024;
  return kb < 1000 ? `${Math.round(kb)} KB` : `${(kb / 1024).toFixed(1)} MB`;
}

/** Where a package goes: the name of the host, or nothing for the case store of this very program. */
export function targetHost(target: string): string {
  try {
    return new URL(target).host;
  } catch {
    return '';
  }
}

/** The stable code at the head of an error, for its sentence; the rest is for the log. */
export const errorCode = (text: string): string => /^[a-z_]+\.[a-z_]+/.exec(text.trim())?.[0] ?? '';

/** A package that did not arrive may be sent again by hand. */
export const mayRetry = (state: string): boolean => state === 'failed' || state === 'dead';
