// What the TV keeps of a person's matter: his dispute, the short answer of a consult, and which of them he has looked at.
// It comes with the second script; tv.ts asks it only whether it wants the screen.
import type { Api } from '../../core/api';
import { openDispute, stepKey, stepOf, type PartyDispute } from '../../core/dispute';
import type { Command } from '../../core/keys';
import { createStore, type Readable } from '../../core/store';
import type { Situation } from '../../core/types';

/** What could stand on the screen now: a step of the dispute, or the written answer. */
export interface Thing { kind: 'step' | 'answer'; key: string; answer: string }

export interface MatterView {
  thing: Thing | null;
  /** The thing stands on the screen; false while the person talks instead. */
  shows: boolean;
  /** He goes through the paper once more although he has read it. */
  reread: boolean;
}

export interface Matter extends Readable<MatterView> {
  c: PartyDispute;
  follow(s: Situation | null, left: string | null): void;
  /** Back to the talk, or done with it: it stays reachable by a key of the call. */
  dismiss(): void;
  open(): void;
  reread(on: boolean): void;
  /** Digits typed on this screen go here; null gives them back. */
  onDigit(f: ((n: number) => void) | null): void;
  /** True swallows the key. */
  key(c: Command): boolean;
  close(): void;
}

const LIVE = ['lobby', 'checking', 'joint', 'suspended'];

export function createMatter(o: { api: Api; onFrame: (cb: (t: string, b: unknown) => void) => () => void }): Matter {
  const c = openDispute({ api: o.api });
  const deaf = o.onFrame((t) => { if (/^(dispute|agreement)\./.test(t)) c.nudge(); });
  const view = createStore<MatterView>({ thing: null, shows: false, reread: false });
  let last: { s: Situation | null; left: string | null } = { s: null, left: null };
  let away = ''; // the thing that he went away from
  let answer: { session: string; text: string } | null = null; // of this visit; the situation forgets it with the session
  let digits: ((n: number) => void) | null = null;

  function thingNow(): Thing | null {
    const { s, left } = last;
    if (!s || (s.session && s.session.id === left)) return null;
    const step = stepOf(c.get());
    if (step) return { kind: 'step', key: stepKey(step), answer: '' };
    const live = s.session !== null && LIVE.indexOf(s.session.state) >= 0;
    // shown in the talk when it comes, and once more before the rating
    if (answer && (live || (s.rating && s.rating.session_id === answer.session))) return { kind: 'answer', key: `${live ? 'answer' : 'bye'}:${answer.text}`, answer: answer.text };
    return null;
  }

  function settle(): void {
    const thing = thingNow();
    const v = view.get();
    const shows = thing !== null && thing.key !== away;
    const same = v.thing === thing || (v.thing !== null && thing !== null && v.thing.key === thing.key);
    if (same && v.shows === shows) return;
    view.set({ thing: same ? v.thing : thing, shows, reread: same ? v.reread : false });
  }
  const off = c.subscribe(settle);

  return {
    get: view.get,
    subscribe: view.subscribe,
    c,
    follow(s, left) {
      last = { s, left };
      const call = s && s.session;
      if (s && (call ? answer && call.id !== answer.session : !s.visit)) { // another call, or nobody
        answer = null;
        away = '';
      }
      if (call && call.answer) answer = { session: call.id, text: call.answer };
      c.follow(s ? s.dispute : null);
      settle();
    },
    dismiss() {
      const { thing } = view.get();
      away = thing ? thing.key : '';
      settle();
    },
    open() {
      away = '';
      settle();
    },
    reread(on) { view.set({ ...view.get(), reread: on }); },
    onDigit(f) { digits = f; },
    key(k) {
      if (k.cmd !== 'digit' || !digits || !view.get().shows) return false;
      digits(k.n);
      return true;
    },
    close() {
      off();
      deaf();
      c.close();
    },
  };
}
