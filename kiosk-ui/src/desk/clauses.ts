// The draft of an agreement as the mediator writes it: clauses, sums, what the server found unclear, and why it may not
// be frozen yet. Pure.
import { isDirty, same, type Draft } from './draft';
import type { Agreement, Clause, ClauseKind, ClauseTag, Instalment, Lint, Party } from './types';

export interface AgText { facts: string; clauses: Clause[] }
export const NO_TEXT: AgText = { facts: '', clauses: [] };

export const KINDS: readonly ClauseKind[] = ['pay', 'return', 'do', 'stop', 'apologise', 'free'];
export const TAGS: readonly ClauseTag[] = ['personal_status', 'utility_stop'];

/** What a clause of a kind says, in the order of the sentence it becomes. */
export type ClauseField = 'who' | 'to' | 'what' | 'amount_fen' | 'instalments' | 'by' | 'how' | 'late' | 'text';
export const FIELDS_OF: Record<ClauseKind, readonly ClauseField[]> = {
  pay: ['who', 'to', 'what', 'amount_fen', 'by', 'instalments', 'how', 'late'],
  return: ['who', 'to', 'what', 'by', 'how', 'late'],
  do: ['who', 'to', 'what', 'by', 'how', 'late'],
  stop: ['who', 'to', 'what', 'by', 'how', 'late'],
  apologise: ['who', 'to', 'what', 'by', 'how', 'late'],
  free: ['text'],
};

/** A new clause: the other side owes it to the applicant, as most do. */
export function newClause(kind: ClauseKind, id: string, parties: readonly Pick<Party, 'id' | 'side'>[]): Clause {
  const of = (side: 'A' | 'B') => parties.find((p) => p.side === side)?.id ?? '';
  const bare = kind === 'free';
  return { id, kind, who: bare ? '' : of('B'), to: bare ? '' : of('A'), what: '', amount_fen: null, by: '', how: '', late: '', text: '', instalments: [], tags: [], tags_confirmed: false };
}

/** "18,600.50" → 1860050; null when it is no sum of money. */
export function fenOf(yuan: string): number | null {
  const s = yuan.replace(/[,，\s¥￥元]/g, '');
  const m = /^(\d{1,10})(?:\.(\d{1,2}))?$/.exec(s);
  return m === null ? null : Number(m[1]) * 100 + Number((m[2] ?? '').padEnd(2, '0'));
}

/** 1860050 → "18,600.50", 1860000 → "18,600". */
export function yuanOf(fen: number | null): string {
  if (fen === null) return '';
  const whole = Math.floor(fen / 100).toLocaleString('en-US');
  const rest = fen % 100;
  return rest === 0 ? whole : `${whole}.${String(rest).padStart(2, '0')}`;
}

/** `n` equal parts of a sum, the last one takes the rest; days stay to be filled in. */
export function split(fen: number, n: number): Instalment[] {
  const part = Math.floor(fen / n / 100) * 100;
  return Array.from({ length: n }, (_, i) => ({ by: '', amount_fen: i === n - 1 ? fen - part * (n - 1) : part }));
}

/** The sum of the parts minus the whole, in fen; 0 when there are none. */
export const splitGap = (c: Pick<Clause, 'amount_fen' | 'instalments'>): number =>
  c.instalments.length === 0 ? 0 : c.instalments.reduce((n, x) => n + x.amount_fen, 0) - (c.amount_fen ?? 0);

export const lintOf = (list: readonly Lint[], clause: string): Lint[] => list.filter((l) => l.clause === clause);

/** Findings about words that still stand as the server saw them; what was rewritten since is judged by the next save. */
export function standing(list: readonly Lint[], saw: AgText, text: AgText): Lint[] {
  const of = (x: AgText, id: string) => x.clauses.find((c) => c.id === id) as Record<string, unknown> | undefined;
  return list.filter((l) => {
    if (l.clause === '') return l.field !== 'facts' || saw.facts === text.facts;
    const [was, is] = [of(saw, l.clause), of(text, l.clause)];
    return is !== undefined && (was === undefined || same(was[l.field], is[l.field]));
  });
}

/** The parts in which two writings of one clause differ, in the order of the sentence; the tags come last. */
export function apart(a: Clause, b: Clause): (ClauseField | 'tags')[] {
  const fields: (ClauseField | 'tags')[] = a.kind === b.kind ? [...FIELDS_OF[a.kind], 'tags'] : [...new Set([...FIELDS_OF[a.kind], ...FIELDS_OF[b.kind]])];
  return fields.filter((f) => !same(a[f], b[f]) || (f === 'tags' && a.tags_confirmed !== b.tags_confirmed));
}

const texts = ['who', 'to', 'what', 'by', 'how', 'late', 'text'] as const;

/** The draft after a proposal was taken: it is the whole new value of the field; null when it has no place to go. */
export function applied(text: AgText, lint: Lint): AgText | null {
  const p = lint.proposal;
  if (p === '') return null;
  if (lint.clause === '') return lint.field === 'facts' ? { ...text, facts: p } : null;
  const of = text.clauses.find((c) => c.id === lint.clause);
  if (of === undefined) return null;
  const put = (change: Partial<Clause>): AgText => ({ ...text, clauses: text.clauses.map((c) => (c === of ? { ...c, ...change } : c)) });
  const field = texts.find((f) => f === lint.field);
  if (field !== undefined) return put({ [field]: p });
  if (lint.field === 'amount_fen' && /^\d+$/.test(p)) return put({ amount_fen: Number(p) });
  const tag = TAGS.find((x) => x === p);
  if (lint.field === 'tags' && tag !== undefined) return put({ tags: [...new Set([...of.tags, tag])], tags_confirmed: true });
  return lint.field === 'tags_confirmed' && p === 'true' ? put({ tags_confirmed: true }) : null;
}

/** A proposal as it is offered: names for parties, yuan for sums; '' when it has no words of its own. */
export function proposalWords(lint: Lint, parties: readonly Pick<Party, 'id' | 'name'>[]): string {
  switch (lint.field) {
    case 'who':
    case 'to':
      return parties.find((x) => x.id === lint.proposal)?.name ?? '';
    case 'amount_fen':
      return `${yuanOf(Number(lint.proposal))} 元`;
    case 'tags':
    case 'tags_confirmed':
      return '';
    default:
      return lint.proposal;
  }
}

/** A clause moved up (-1) or down (+1). */
export function moved(list: readonly Clause[], id: string, by: -1 | 1): Clause[] {
  const i = list.findIndex((c) => c.id === id);
  const k = i + by;
  if (i < 0 || k < 0 || k >= list.length) return list.slice();
  const out = list.slice();
  [out[i], out[k]] = [out[k]!, out[i]!];
  return out;
}

/** Why the draft cannot be frozen now, the first thing to do; null when it can. `n` is how many of it there are. */
export type FreezeStop = { code: 'not_joint' | 'empty' | 'conflict' | 'unsaved' | 'tags' | 'lint'; n: number };

export function freezeStop(a: Agreement, d: Draft<AgText>, joint: boolean): FreezeStop | null {
  if (d.text.clauses.length === 0) return { code: 'empty', n: 0 };
  if (d.conflict !== null) return { code: 'conflict', n: 0 };
  const untagged = d.text.clauses.filter((c) => !c.tags_confirmed).length;
  if (untagged > 0) return { code: 'tags', n: untagged };
  if (isDirty(d) || d.sent !== null) return { code: 'unsaved', n: 0 };
  if (a.lint.length > 0) return { code: 'lint', n: a.lint.length };
  return joint ? null : { code: 'not_joint', n: 0 };
}

const ones = '零一二三四五六七八九';
/** 12 → 十二: the number of an article, at most 60 of them. */
export function ordinal(n: number): string {
  if (n < 10) return ones[n]!;
  return `${n < 20 ? '' : ones[Math.floor(n / 10)]}十${n % 10 === 0 ? '' : ones[n % 10]}`;
}
