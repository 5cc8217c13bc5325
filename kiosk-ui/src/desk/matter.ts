// What the desk says about a dispute, as pure functions of GET /disputes/{id}.
import type { Agreement, Dispute, Party } from './types';

export type Tone = 'g' | 'y' | 'r' | '';
export type Fact = { tone: Tone; key: string; vars?: Record<string, string | number> };

/** A party's way to the joint talk, one fact a step, in the order in which they are done. */
export function steps(p: Party): Fact[] {
  if (p.withdrawn_at !== null) return [{ tone: 'r', key: 'withdrawn' }];
  const yes = (v: boolean | null, name: string): Fact => ({ tone: v === null ? '' : v ? 'g' : 'r', key: `${name}.${v === null ? 'none' : v ? 'yes' : 'no'}` });
  return [
    p.here ? { tone: 'g', key: 'here' } : p.channel === 'party' && p.link !== null ? linkFact(p) : { tone: 'y', key: 'away' },
    p.identity !== null ? { tone: 'g', key: 'identity.yes' } : { tone: '', key: 'identity.none' },
    p.notice_at !== null ? { tone: 'g', key: 'notice.yes' } : { tone: '', key: 'notice.none' },
    yes(p.consents.online, 'online'),
    yes(p.consents.esign, 'esign'),
    yes(p.consents.hand_off, 'hand_off'),
    yes(p.disclosure_ok, 'disclosure'),
  ];
}

function linkFact(p: Party): Fact {
  switch (p.link?.state) {
    case 'inert':
      return { tone: 'y', key: 'link.inert' };
    case 'live':
      return { tone: 'y', key: 'link.live' };
    case 'spent':
      return { tone: 'y', key: 'link.spent' };
    default:
      return { tone: 'r', key: 'link.over' };
  }
}

/** The zone of the room now: whom the mediator checks, '' when nobody. */
export function checkedIn(zone: string): string {
  return zone.startsWith('check:') ? zone.slice('check:'.length) : '';
}

/** Whole days to a day YYYY-MM-DD of the country's one time, negative when it has passed. */
export function daysLeft(on: string, nowUs: number): number {
  const today = Math.floor((nowUs / 1000 + 8 * 3600_000) / 86_400_000);
  return Math.floor(Date.parse(`${on}T00:00:00Z`) / 86_400_000) - today;
}

/** "2026-12-20" → "2026年12月20日". */
export const dayWords = (on: string): string => on.replace(/^(\d{4})-0?(\d+)-0?(\d+)$/, '$1年$2月$3日');

/** Ended, in whatever way: nothing of it is mediated any more. */
export const isOver = (d: Dispute): boolean => ['agreed', 'terminated', 'guided', 'handed_off', 'not_accepted', 'closed'].includes(d.state);

/** What the server's guard of the session's end will ask for (domain.md 7.3); '' when it may end. */
export function endStop(d: Dispute | null): '' | 'open' | 'guide' | 'seal' {
  if (d === null || d.state === 'not_accepted') return '';
  if (d.state === 'terminated') return 'guide';
  if (isOver(d)) return '';
  const a = d.agreement;
  if (a !== null && a.state === 'mediator_signed') return 'seal';
  const handedOut = a !== null && a.sign_mode === 'paper' && a.digest !== '' && a.state !== 'replaced' && a.state !== 'withdrawn';
  return handedOut ? '' : 'open';
}

export type Tab = 'note' | 'matter' | 'agreement' | 'signing' | 'dossier';

/** The tab that a dispute in this state needs first. */
export function firstTab(d: Dispute): Tab {
  if (d.closing !== null) return 'dossier';
  const a = d.agreement;
  if (a !== null && a.state === 'effective') return 'dossier';
  if (a !== null && a.state !== 'draft' && a.state !== 'withdrawn' && a.state !== 'replaced') return 'signing';
  return d.state === 'mediating' ? 'agreement' : 'matter';
}

/** How far a party is with a frozen agreement: blocks read of all, code keyed, signed. */
export interface Progress { read: number; all: number; unclear: number[]; keyed: boolean; tries: number; signedAt: number | null }

export function progress(p: Party, d: Dispute): Progress {
  const all = d.agreement?.blocks.length ?? 0;
  return { read: Math.min(all, new Set(p.read).size), all, unclear: p.unclear, keyed: p.readback.ok, tries: p.readback.tries, signedAt: p.signed_at };
}

/** Parties who must sign. */
export const signers = (d: Dispute): Party[] => d.parties.filter((p) => p.required && p.withdrawn_at === null);

/** What the mediator's own signature waits for; '' = now. */
export function signStop(d: Dispute): '' | 'frozen' | 'parties' | 'done' {
  const a = d.agreement;
  if (a === null || a.state === 'draft') return 'frozen';
  if (a.mediator_signed_at !== null) return 'done';
  return signers(d).every((p) => p.signed_at !== null) ? '' : 'parties';
}

/** The file of a kind of paper by its name's end; the frozen agreement is known by its digest. */
export const frozenPdf = (d: Dispute): string => d.agreement?.pdf_sha256 ?? '';

/** Everything a party needs for a phone code or an invitation: 11 digits of a mobile number. */
export const isMobile = (s: string): boolean => /^1[3-9]\d{9}$/.test(s.replace(/[\s-]/g, ''));

/** The 18 characters of an identity number with a right check character (GB 11643-1999). */
export function isIdNo(raw: string): boolean {
  const s = raw.trim().toUpperCase();
  if (!/^\d{17}[\dX]$/.test(s)) return false;
  const w = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
  return '10X98765432'[w.reduce((n, x, i) => n + x * Number(s[i]), 0) % 11] === s[17];
}

/** What an identity number says of its holder. */
export const birthYearOf = (idNo: string): number => Number(idNo.slice(6, 10));
export const sexOf = (idNo: string): string => (Number(idNo[16]) % 2 === 1 ? '男' : '女');

/** Where on the pane the mediator does what a blocker wants; '' when it waits for somebody else. */
export function goalOf(b: { code: string; party?: string }): string {
  switch (b.code) {
    case 'dispute.respondent_missing':
      return 'invite';
    case 'dispute.disclosure_missing':
      return 'disclosure';
    case 'session.identity_missing':
      return b.party ?? '';
    default:
      return '';
  }
}

/** Kind of mediation that a category suggests; the mediator may choose another. */
export function kindOf(category: string): string {
  if (category === 'labour') return 'labour';
  return category === 'medical' || category === 'traffic' || category === 'property' ? 'trade' : 'people';
}

/** Lists that a server may leave out are empty lists here. */
export function tidy(d: Dispute): Dispute {
  const list = <T,>(x: T[] | null | undefined): T[] => x ?? [];
  const a: Agreement | null = d.agreement;
  return {
    ...d,
    requests: list(d.requests),
    statements: list(d.statements),
    blockers: list(d.blockers),
    files: list(d.files),
    parties: list(d.parties).map((p) => ({ ...p, read: list(p.read), unclear: list(p.unclear) })),
    closing: d.closing === null ? null : { ...d.closing, routes: list(d.closing.routes) },
    agreement: a === null ? null : {
      ...a,
      lint: list(a.lint),
      signed: list(a.signed),
      blocks: list(a.blocks).map((b) => ({ ...b, lines: list(b.lines) })),
      clauses: list(a.clauses).map((c) => ({ ...c, instalments: list(c.instalments), tags: list(c.tags) })),
    },
  };
}
