// The shapes of a dispute as the staff API gives them (docs/protocol.md). Instants are Unix microseconds in fields ending
// in _at, days are YYYY-MM-DD in fields ending in _on, sums are fen.
import type { Block } from '../agreement/blocks';

export type DisputeState =
  | 'registered' | 'screening' | 'contacting' | 'accepted' | 'mediating' | 'agreed'
  | 'terminated' | 'guided' | 'handed_off' | 'not_accepted' | 'closed';

export interface PartyLink { id: string; state: 'inert' | 'live' | 'spent' | 'revoked' | 'over'; url: string; code: string; qr_svg: string; expires_at: number }

export interface Party {
  id: string; participant: string; side: 'A' | 'B'; role: 'applicant' | 'respondent'; required: boolean;
  name: string; id_no_masked: string; phone_masked: string; sex: string; ethnic: string; birth_year: number; address: string; occupation: string;
  here: boolean; channel: 'device' | 'party'; link: null | PartyLink;
  phone_code: 'none' | 'sent' | 'passed' | 'failed'; identity: null | { methods: string[]; at: number };
  notice_at: number | null; consents: { online: boolean | null; esign: boolean | null; hand_off: boolean | null };
  disclosure_ok: boolean | null; withdrawn_at: number | null;
  read: number[]; unclear: number[]; readback: { ok: boolean; tries: number }; signed_at: number | null;
}

export type ClauseKind = 'pay' | 'return' | 'do' | 'stop' | 'apologise' | 'free';
export type ClauseTag = 'personal_status' | 'utility_stop';
export interface Instalment { by: string; amount_fen: number }
export interface Clause {
  id: string; kind: ClauseKind; who: string; to: string; what: string; amount_fen: number | null; by: string; how: string; late: string; text: string;
  instalments: Instalment[]; tags: ClauseTag[]; tags_confirmed: boolean;
}
export interface Lint { clause: string; field: string; code: string; message: string; proposal: string }

export type AgreementState = 'draft' | 'frozen' | 'signing' | 'mediator_signed' | 'effective' | 'withdrawn' | 'replaced';
export interface Agreement {
  id: string; v: number; revision: number; state: AgreementState; sign_mode: 'electronic' | 'paper'; form: 'written';
  facts: string; clauses: Clause[]; lint: Lint[]; blocks: Block[]; blocks_sha256: string; pdf_sha256: string; digest: string; digest_sm3: string; code: string;
  signed: { party: string; at: number }[]; mediator_signed_at: number | null; effective_at: number | null;
}

export interface Route { code: string; text: string }
export interface Paper { digest: string; name: string; paper: number; size: number }

export interface Dispute {
  id: string; ver: number; session_id: string; number: string; state: DisputeState;
  mediation_kind: string; category: string; facts: string; requests: string[]; accepted_at: number | null; deadline_on: string | null;
  parties: Party[]; disclosure: string;
  statements: { id: string; kind: string; text: string; at: number }[];
  blockers: { code: string; party?: string }[];
  agreement: Agreement | null;
  closing: null | { code: string; reason: string; routes: Route[]; guided_at: number | null };
  handoff: null | { state: 'queued' | 'sending' | 'acked' | 'verified' | 'failed' | 'dead'; receipt_no: string; attempts: number; delivery_id: string };
  confirm_last_on: string | null;
  files: Paper[];
}
