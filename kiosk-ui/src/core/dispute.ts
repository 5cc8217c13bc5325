// A party's own view of his dispute (docs/protocol.md, "the parties' side"): the one fact that TV, kiosk and phone draw,
// the proof that the agreement on this screen is the frozen one, and the commands of a party.
import type { Block } from '../agreement/blocks';
import { verify } from '../agreement/digest';
import type { Mark } from '../agreement/mark';
import { asApiError, newKey, type Api, type ApiError } from './api';
import { createFact } from './facts';
import { createStore, type Readable } from './store';

export type AskKind = 'convert' | 'invite' | 'notice' | 'consents' | 'disclosure';
/** Something a party is asked, with the lines that are spoken and shown. */
export interface Ask { id: string; kind: AskKind; version: string; title: string; lines: string[] | null; items: { id: string; text: string }[] | null }

export type AgreementState = 'draft' | 'frozen' | 'signing' | 'mediator_signed' | 'effective' | 'withdrawn' | 'replaced';

export interface PartyAgreement {
  v: number; state: AgreementState; sign_mode: 'electronic' | 'paper'; blocks: Block[] | null; blocks_sha256: string; pdf_sha256: string;
  digest: string; code: string; read: number[] | null; unclear: number[] | null; readback_ok: boolean; tries: number; mediator_called: boolean;
  may_sign: boolean; effective_at: number | null; mediator_signed_at?: number | null;
}

export interface Other { name: string; side: string; here: boolean; read?: number; readback_ok?: boolean; signed_at?: number | null }

export interface MyDispute {
  id: string; ver: number; session_id: string; number: string; state: string; category: string; mediator: string; unit: string;
  me: { party: string; name: string; side: string; signed_at: number | null; withdrawn_at: number | null };
  others: Other[] | null;
  asks: Ask[] | null;
  phone_code_wanted: boolean;
  agreement: PartyAgreement | null;
  closing: null | { code: string; routes: { code: string; text: string }[] | null };
  receipt_no: string; confirm_last_on: string | null; files: { digest: string; name: string }[] | null;
}

/** The one-time address by which the person of a TV or kiosk signs on a phone. */
export interface Handover { url: string; code: string; qr_svg: string; expires_at: number }

/** 'good' = what stands here is what was frozen; 'bad' = it is not: neither code nor signature is offered. */
export type Proof = 'none' | 'checking' | 'good' | 'bad';

export interface DisputeView { d: MyDispute | null; proof: Proof; error: ApiError | null }

export type Answer = { yes: boolean; items?: Record<string, boolean>; spoken?: boolean };

export interface PartyDispute extends Readable<DisputeView> {
  /** What the situation says: fetches when the version is newer, forgets when there is none. */
  follow(ref: { id: string; ver: number } | null | undefined): void;
  nudge(): void;
  refetch(): Promise<MyDispute | null>;
  answer(ask: string, a: Answer): Promise<void>;
  phoneCode(code: string): Promise<void>;
  withdraw(): Promise<void>;
  read(clauses: number[]): Promise<void>;
  unclear(clause: number, on: boolean): Promise<void>;
  readback(code: string): Promise<void>;
  handover(): Promise<Handover>;
  sign(mark: Mark): Promise<void>;
  refuse(reason: string): Promise<void>;
  close(): void;
}

const pollMs = 5000;

/** openDispute holds the fact of `GET /dispute`. `always` fetches without a situation: a party that came by a link. */
export function openDispute(o: { api: Api; always?: boolean }): PartyDispute {
  const view = createStore<DisputeView>({ d: null, proof: 'none', error: null });
  let wanted = o.always === true;
  let checked = ''; // what the proof in view belongs to
  let closed = false;

  const fact = createFact<MyDispute | null>({
    fetch: async () => {
      if (!wanted) return null;
      try {
        return await o.api.get<MyDispute>('/dispute');
      } catch (e) {
        if (asApiError(e).code === 'dispute.none') return null;
        throw e;
      }
    },
    ver: (d) => (d ? d.ver : 0),
    pollMs: () => (wanted ? pollMs : 0),
  });

  function draw(): void {
    const f = fact.get();
    const a = f.value && f.value.agreement;
    const shown = a && a.digest && a.blocks && a.blocks.length > 0 ? a : null;
    const id = shown ? JSON.stringify([shown.blocks, shown.blocks_sha256, shown.pdf_sha256, shown.v, shown.digest, shown.code]) : '';
    const same = id === checked;
    view.set({ d: f.value, proof: !shown ? 'none' : same ? view.get().proof : 'checking', error: f.error });
    if (same || !shown) {
      checked = id;
      return;
    }
    checked = id;
    const say = (proof: Proof) => { if (!closed && id === checked) view.set({ ...view.get(), proof }); };
    verify({ ...shown, blocks: shown.blocks || [] }).then((v) => say(v === 'same' ? 'good' : 'bad'), () => say('bad'));
  }
  const off = fact.subscribe(draw);
  if (wanted) fact.nudge();

  async function run(path: string, body: object): Promise<void> {
    try {
      const d = await o.api.post<MyDispute>(path, { key: newKey(), ...body });
      if (d && d.id) fact.set(d);
      else fact.nudge();
    } catch (e) {
      fact.nudge();
      throw e;
    }
  }
  const digest = (): string => {
    const d = fact.get().value;
    return d && d.agreement ? d.agreement.digest : '';
  };

  return {
    get: view.get,
    subscribe: view.subscribe,
    follow(ref) {
      if (!ref) {
        if (!wanted || o.always) return;
        wanted = false;
        fact.clear();
        return;
      }
      const held = fact.get().value;
      const fresh = wanted && held !== null && held.id === ref.id && held.ver >= ref.ver;
      wanted = true;
      if (!fresh) fact.nudge();
    },
    nudge() { if (wanted) fact.nudge(); },
    refetch: fact.refetch,
    answer: (ask, a) => run('/dispute/answers', { ask_id: ask, ...a }),
    phoneCode: (code) => run('/dispute/phone-code', { code }),
    withdraw: () => run('/dispute/withdraw', {}),
    async read(clauses) {
      for (const clause of clauses) await run('/dispute/agreement/read', { digest: digest(), clause });
    },
    unclear: (clause, on) => run('/dispute/agreement/unclear', { digest: digest(), clause, on }),
    readback: (code) => run('/dispute/agreement/readback', { digest: digest(), code }),
    handover: () => o.api.post<Handover>('/dispute/agreement/handover', { key: newKey() }),
    sign: (mark) => run('/dispute/agreement/sign', { digest: digest(), mark }),
    refuse: (reason) => run('/dispute/agreement/refuse', { reason }),
    close() {
      closed = true;
      off();
      fact.close();
    },
  };
}

/** What a party's screen asks of him now; null = nothing, people talk. */
export type Step =
  | { at: 'ask'; ask: Ask }
  | { at: 'phone-code' }
  | { at: 'checking-proof' | 'mismatch' }
  | { at: 'read' | 'code' | 'sign' | 'signed' | 'paper' | 'held' }
  | { at: 'done' }
  | { at: 'closed' };

const OVER = ['terminated', 'guided', 'not_accepted', 'closed'];

/** readAll tells whether every block was read to its end. */
export const readAll = (a: PartyAgreement): boolean => (a.blocks || []).every((b) => (a.read || []).indexOf(b.n) >= 0);

/** stepOf is the order of domain.md 7.5: answers first, then read → code → signature → seal. */
export function stepOf(v: DisputeView): Step | null {
  const d = v.d;
  if (!d) return null;
  if (d.me.withdrawn_at !== null || d.closing || OVER.indexOf(d.state) >= 0) return { at: 'closed' };
  const a = d.agreement;
  if (a && (a.effective_at !== null || a.state === 'effective')) return { at: 'done' };
  const ask = (d.asks || [])[0];
  if (ask) return { at: 'ask', ask };
  if (d.phone_code_wanted) return { at: 'phone-code' };
  if (!a || ['frozen', 'signing', 'mediator_signed'].indexOf(a.state) < 0) return null;
  if (v.proof === 'bad') return { at: 'mismatch' };
  if (v.proof !== 'good') return { at: 'checking-proof' };
  if (d.me.signed_at !== null) return { at: 'signed' };
  if (!readAll(a)) return { at: 'read' };
  if (!a.readback_ok) return { at: 'code' };
  if (a.sign_mode === 'paper') return { at: 'paper' };
  return { at: a.may_sign ? 'sign' : 'held' };
}

/** A name for a step that changes when the screen should start anew. */
export const stepKey = (s: Step | null): string => (!s ? '' : s.at === 'ask' ? `ask:${s.ask.id}` : s.at);

/** The mediation can still be left: People's Mediation Law art. 23. */
export const mayWithdraw = (d: MyDispute | null): boolean => {
  const s = stepOf({ d, proof: 'none', error: null });
  return d !== null && (!s || (s.at !== 'closed' && s.at !== 'done'));
};
