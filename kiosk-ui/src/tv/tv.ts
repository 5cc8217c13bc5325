// The TV's one controller: what the person's keys do, what the page remembers, what it asks of the server. Screens only
// draw; screenOf decides which; everything shown can be rebuilt from /situation.
import { asApiError, newKey } from '../core/api';
import type { Dpad } from '../core/dpad';
import type { Command } from '../core/keys';
import { shell } from '../core/shell';
import { createScreens, type HistoryLike } from '../core/screens';
import type { Speaker } from '../core/speak';
import { createStore, type Readable } from '../core/store';
import type { Terminal } from '../core/terminal';
import { loudness, setLoudness } from '../core/volume';
import type { Lang, Situation, Ticket, TicketKind, Visit } from '../core/types';
import type { CallLine } from './call/line';
import { roomOf } from './call/room-of';
import type { Captures } from './captures';
import type { Parts } from './lazy';
import type { Matter } from './dispute/matter';
import { screenOf, type Base, type Fatal, type Layer, type Line, type Local, type Screen, type Strip } from './screen-of';

export interface Tv {
  term: Terminal;
  voice: Speaker;
  pad: Dpad;
  local: Readable<Local>;
  /** These three come with the second script, before any screen of it is drawn. */
  readonly line: CallLine;
  readonly captures: Captures;
  /** The person's dispute and answer. */
  readonly matter: Matter;
  /** A command is on its way. */
  busy: Readable<boolean>;
  /** The call's bar is shown; it fades by itself. */
  bar: Readable<boolean>;
  /** Loudness 0..8. */
  volume: Readable<number>;
  /** Takes the second script, as soon as it is there. */
  late(m: Parts): void;
  screen(): Screen;
  idleMs(): number;
  say(text: string): void;
  /** Changes the say-bar without speaking. */
  caption(text: string): void;
  /** Is told of every key first; true swallows it. */
  key(c: Command): boolean;
  back(): void;
  help(): void;
  /** The browser's or the shell's own Back. */
  popped(): void;
  close(): void;
  choose(kind: TicketKind): void;
  pickCategory(kind: TicketKind, category: string): void;
  pickLang(kind: TicketKind, category: string, lang: Lang): void;
  openPhone(): void;
  comeBack(strip: Strip): void;
  goHome(): void;
  askCancel(): void;
  cancel(): void;
  answer(take: boolean): void;
  leave(): void;
  rate(score: number): void;
  endBye(): void;
  retry(): void;
  /** Runs what somebody waits for; a refusal is told in three parts. False when it was refused or another one runs. */
  command(f: () => Promise<unknown>): Promise<boolean>;
  ask(l: Layer): void;
  setVolume(v: number): void;
}

type Late = Pick<Tv, 'line' | 'captures' | 'matter'>;

export interface Memory { home: boolean; left: string | null; visit: string; layers: readonly Layer[] }

export interface TvDeps {
  term: Terminal;
  voice: Speaker;
  pad: Dpad;
  history: HistoryLike;
  /** What this tab remembers over a reload: where the person was, nothing about him. */
  memory: Memory;
  remember: (m: Memory) => void;
  /** Fetches the second script; what it brings comes to late(). */
  load: () => Promise<unknown>;
  /** Leaves to the operator's portal. */
  exit: () => void;
  online: () => boolean;
}

const WAVERS_MS = 3000;
const CUT_MS = 10_000;
const IDLE_MS = 5 * 60_000;
const BAR_MS = 6000;
const BYE_MS = 20_000;

export function createTv(d: TvDeps): Tv {
  const { term, voice } = d;
  const screens = createScreens<Layer>({
    history: d.history,
    start: d.memory.layers,
    onChange: () => patch({ layers: screens.layers() }),
    onBack: () => tv.back(),
  });
  const local = createStore<Local>({ fatal: null, line: 'up', home: d.memory.home, left: d.memory.left, bye: null, matter: false, layers: screens.layers() });
  const busy = createStore(false);
  const bar = createStore(true);
  const steps = () => Math.round(loudness.get() / 12.5);
  const volume = createStore(steps());
  let visitSeen = d.memory.visit;
  let lastKey = Date.now();
  let barTimer: ReturnType<typeof setTimeout> | undefined;
  let byeTimer: ReturnType<typeof setTimeout> | undefined;
  let base: Base | null = null;
  let booted = false;
  let paired = false;
  let returning = 0; // ticket version for which the return from `parked` was asked

  const situation = (): Situation | null => term.situation.get().value;
  const screen = (): Screen => screenOf(situation(), local.get());
  let late: Late | null = null;

  function patch(p: Partial<Local>): void {
    const next = { ...local.get(), ...p };
    local.set(next);
    d.remember({ home: next.home, left: next.left, visit: visitSeen, layers: next.layers });
    settle();
  }

  /** settle follows every change: the room, the ring tone, the trap of the Back key. */
  function settle(): void {
    const s = situation();
    if (late) {
      late.line.follow(s, local.get().left);
      late.matter.follow(s, local.get().left);
    } else if (s) d.load().catch(() => undefined); // asked again with the next situation
    const now = screen().base;
    if (now === base) return;
    const before = base;
    base = now;
    if (before !== null && ['waiting', 'ring', 'call', 'suspended', 'matter', 'rating', 'bye'].indexOf(now) >= 0) screens.clear();
    screens.guard(now !== 'home' && ALONE.indexOf(now) < 0);
    voice.quiet(now === 'call');
    voice.ring(now === 'ring');
    const box = shell();
    if (box && box.keepOn) box.keepOn(['waiting', 'ring', 'call', 'suspended', 'matter'].indexOf(now) >= 0);
    if (now === 'call') showBar();
    if (now === 'ring' && local.get().home) patch({ home: false });
  }

  /** learn takes in a new situation: what this page remembered may be over. */
  function learn(): void {
    const s = situation();
    if (!s) {
      settle();
      return;
    }
    const p: Partial<Local> = {};
    const l = local.get();
    if (l.left && (!s.session || s.session.id !== l.left || s.session.state === 'ended')) p.left = null;
    if (l.home && (!s.ticket || OPEN.indexOf(s.ticket.state) < 0)) p.home = false;
    if (s.capture.paired && !paired && late) late.captures.drop(); // a phone has used the code
    paired = s.capture.paired;
    if (!booted) {
      booted = true;
      // A visit this tab did not open: the box was switched off in between. It ends, unless somebody waits or talks.
      if (s.visit && s.visit.id !== visitSeen) {
        if (active(s, l)) visitSeen = s.visit.id;
        else void closeVisit('reboot');
      }
    }
    if (s.ticket && s.ticket.state === 'parked' && l.line === 'up' && !l.home && returning !== s.ticket.ver) {
      returning = s.ticket.ver;
      background(`/tickets/${s.ticket.id}/return`, { key: newKey() });
    }
    patch(p);
  }

  // ---- the line to the server

  function watchLine(): void {
    const st = term.status.get();
    const age = Date.now() - st.since;
    let next: Line = 'up';
    if (st.at === 'down' || st.at === 'connecting' || st.at === 'starting') {
      next = age < WAVERS_MS ? 'up' : age < CUT_MS ? 'wavering' : d.online() ? 'noserver' : 'nonet';
    }
    const fatal: Fatal | null =
      st.at === 'claim' ? 'claim' : st.at === 'superseded' ? 'moved' : st.at === 'disabled' ? 'disabled' : st.at === 'quarantined' ? 'quarantined'
        : st.at === 'bad_key' ? 'refused' : st.at === 'unsupported' ? 'unsupported' : null;
    const l = local.get();
    if (l.line !== next || l.fatal !== fatal) patch({ line: next, fatal });
    if (st.at === 'up' && late) late.line.resume();
    if (st.at === 'version') location.reload();
  }

  // ---- commands

  /** background sends what nobody waits for; the next situation tells how it went. */
  function background(path: string, body: object): void {
    term.api.post(path, body).then(term.situation.nudge, term.situation.nudge);
  }

  /** command is a press somebody waits for; a second press meanwhile does nothing. A refusal is told in three parts. */
  async function command(f: () => Promise<unknown>): Promise<boolean> {
    if (busy.get()) return false;
    busy.set(true);
    try {
      await f();
      await term.situation.refetch();
      return true;
    } catch (e) {
      const err = asApiError(e);
      term.situation.nudge();
      if (err.code === 'queue.already_waiting') return true;
      screens.push({ name: 'trouble', code: err.code });
      return false;
    } finally {
      busy.set(false);
    }
  }

  let opening: Promise<void> | null = null;
  function ensureVisit(): Promise<void> {
    const s = situation();
    if (s && s.visit) return Promise.resolve();
    if (!opening) {
      opening = term.api.post<Visit>('/visits', { key: newKey(), how: 'anonymous' }).then(
        (v) => {
          visitSeen = v.id;
          opening = null;
          patch({});
          term.situation.nudge();
        },
        (e: unknown) => {
          opening = null;
          throw e;
        },
      );
    }
    return opening;
  }

  async function closeVisit(why: 'left' | 'idle' | 'reboot'): Promise<void> {
    const s = situation();
    visitSeen = '';
    if (late) late.captures.drop();
    screens.clear();
    patch({ bye: null });
    if (!s || !s.visit) return;
    try {
      await term.api.post(`/visits/${s.visit.id}/close`, { why }, { timeoutMs: 3000 });
    } catch {
      // the server closes it by its own clock
    }
    term.situation.nudge();
  }

  function showBar(): void {
    clearTimeout(barTimer);
    bar.set(true);
    barTimer = setTimeout(() => bar.set(false), BAR_MS);
  }

  const tv: Tv = {
    term, voice, pad: d.pad, local, busy, bar, volume, screen,
    get line() { return late!.line; },
    get captures() { return late!.captures; },
    get matter() { return late!.matter; },
    late(m) {
      if (late) return;
      const { api } = term;
      const mine: Late = {
        line: m.createLine({ api, reread: () => term.situation.nudge(), load: () => Promise.resolve(m) }),
        captures: m.createCaptures({ api, visit: ensureVisit, nowUs: term.clock.nowUs, now: Date.now }),
        matter: m.createMatter(term),
      };
      late = mine;
      mine.matter.subscribe(() => {
        if (local.get().matter !== mine.matter.get().shows) patch({ matter: mine.matter.get().shows });
      });
      settle();
    },
    idleMs: () => Date.now() - lastKey,
    say: (text) => voice.say(text),
    caption(text) {
      voice.quiet(true);
      voice.say(text);
      voice.quiet(base === 'call');
    },
    key(c) {
      lastKey = Date.now();
      voice.unlock();
      voice.hush();
      const o = term.overlay.get();
      if (o && o.kind === 'message' && (c.cmd === 'back' || c.cmd === 'digit')) { // it hides what these keys would do
        if (c.cmd === 'back') o.ok();
        return true;
      }
      if (base === 'matter') return !screen().over && late!.matter.key(c);
      if (base !== 'call' || screen().over) return false;
      const hidden = !bar.get();
      showBar();
      if (hidden && c.cmd !== 'back' && !(c.cmd === 'digit' && c.n === 0)) {
        d.pad.focus('mute');
        return true;
      }
      return false;
    },
    back() {
      const now = screen();
      if (now.over || now.base === 'category' || now.base === 'lang') {
        screens.pop();
        return;
      }
      switch (now.base) {
        case 'waiting':
        case 'parked': tv.goHome(); break;
        case 'ring': screens.push({ name: 'later' }); break;
        case 'call':
        case 'suspended': screens.push({ name: 'leave' }); break;
        case 'matter': late!.matter.dismiss(); break;
        case 'rating': tv.rate(0); break;
        case 'bye': tv.endBye(); break;
        default:
          void closeVisit('left').then(d.exit);
      }
    },
    help() {
      const over = screen().over;
      if (!over || over.name !== 'help') screens.push({ name: 'help' });
    },
    popped: screens.popped,
    close: () => void screens.pop(),
    choose(kind) {
      ensureVisit().catch(() => undefined); // asked again, and told, when the ticket is drawn
      screens.push({ name: 'category', kind });
    },
    pickCategory: (kind, category) => screens.push({ name: 'lang', kind, category }),
    pickLang(kind, category, lang) {
      void command(async () => {
        await ensureVisit();
        await term.api.post<Ticket>('/tickets', { key: newKey(), kind, category, lang });
      }).then((ok) => {
        if (ok) patch({ home: false });
      });
    },
    openPhone() {
      screens.push({ name: 'phone' });
    },
    comeBack(strip) {
      const s = situation();
      if (strip === 'missed' && s && s.ticket) {
        const id = s.ticket.id;
        void command(async () => {
          await ensureVisit();
          await term.api.post<Ticket>(`/tickets/${id}/return`, { key: newKey() });
        });
        patch({ home: false });
      } else {
        ensureVisit().catch(() => undefined);
        patch(strip === 'left' ? { left: null } : { home: false });
      }
    },
    goHome: () => patch({ home: true }),
    askCancel: () => screens.push({ name: 'cancel' }),
    cancel() {
      const s = situation();
      screens.pop();
      if (s && s.ticket) void command(() => term.api.post<Ticket>(`/tickets/${s.ticket!.id}/cancel`, { key: newKey() }));
    },
    answer(take) {
      const s = situation();
      if (!s || !s.ticket || busy.get()) return;
      voice.ring(false);
      screens.clear();
      if (take && late) late.line.accepted();
      void command(() => term.api.post<Ticket>(`/tickets/${s.ticket!.id}/answer`, { key: newKey(), take }));
    },
    leave() {
      const s = situation();
      if (!s || !s.session) return;
      const id = s.session.id;
      screens.clear();
      patch({ left: id });
      background(`/sessions/${id}/leave`, { key: newKey() });
    },
    rate(score) {
      const s = situation();
      if (!s || !s.rating || local.get().bye !== null) return;
      const path = `/sessions/${s.rating.session_id}/rating`;
      patch({ bye: score });
      clearTimeout(byeTimer);
      byeTimer = setTimeout(() => tv.endBye(), BYE_MS);
      background(path, score ? { key: newKey(), score } : { key: newKey(), skip: true });
    },
    endBye() {
      clearTimeout(byeTimer);
      if (local.get().bye !== null) void closeVisit('left');
    },
    retry: () => term.resume(),
    command,
    ask: screens.push,
    setVolume: (v) => setLoudness(v * 12.5),
  };

  loudness.subscribe(() => volume.set(steps()));
  term.situation.subscribe(learn);
  term.status.subscribe(watchLine);
  setInterval(watchLine, 1000);
  setInterval(() => {
    const s = situation();
    if (!s || !s.visit || tv.idleMs() < IDLE_MS || active(s, local.get())) return;
    if (s.rating && local.get().bye === null) tv.rate(0);
    void closeVisit('idle');
  }, 5000);
  watchLine();
  settle();
  return tv;
}

/** active tells that somebody waits or talks, which keeps a visit open however long no key is pressed. */
const active = (s: Situation, l: Local): boolean =>
  roomOf(s, l.left) !== null || (s.ticket !== null && OPEN.indexOf(s.ticket.state) >= 0);

const OPEN = ['waiting', 'offered', 'parked', 'missed'];
const ALONE: Base[] = ['claim', 'moved', 'disabled', 'quarantined', 'refused', 'unsupported', 'nonet', 'noserver', 'starting'];
