// A terminal of the public: identity, link, REST and its situation in one. TV, kiosk and tablet build on it.
import { type Api, createApi, newKey } from './api';
import { type Clock, createClock } from './clock';
import { bootId, canHoldKey, type ClaimView, ensureIdentity, forgetIdentity, type Identity, kept } from './device';
import { createFact, type Fact } from './facts';
import { type Link, openLink, type Profile } from './link';
import { engineName } from './probe';
import { createStore, type Readable } from './store';
import type { Journal } from './journal';
import type { AppInfo, DeviceKind, Frame, Overlay, Situation, Welcome } from './types';
import { setLoudness } from './volume';

/** Where the terminal stands with the server. `since` is local time in ms. */
export type TerminalStatus =
  | { at: 'starting' | 'connecting' | 'up' | 'down'; since: number }
  | { at: 'unsupported'; why: 'insecure' | 'engine'; since: number }
  | { at: 'claim'; claim: ClaimView; since: number }
  | { at: 'superseded' | 'disabled' | 'quarantined' | 'bad_key' | 'version'; since: number };

export interface Terminal {
  status: Readable<TerminalStatus>;
  situation: Fact<Situation>;
  /** What an operator's command lays over the page; null: nothing. */
  overlay: Readable<Overlay | null>;
  api: Api;
  clock: Clock;
  link(): Link | null;
  /** After 4003: go on in this window. After 4505 or a refusal: try again. During a wait: dial now. */
  resume(): void;
  /** Every frame the terminal does not use itself. */
  onFrame(cb: (t: string, b: unknown) => void): () => void;
  close(): void;
}

export interface TerminalOpts {
  kind: DeviceKind;
  ver?: string;
  model?: string;
  /** 'attended' while a person waits here. */
  profile?: (s: Situation | null) => Profile;
}

/** A ticket, visit or room is open. */
export const serving = (s: Situation | null): boolean => !!s && (!!s.ticket || !!s.visit || !!s.session);

/** A person sits here and waits for something: ticket, ring or room. */
export const attended = (s: Situation | null): boolean =>
  !!s && (!!s.session || (!!s.ticket && ['waiting', 'offered', 'ringing', 'serving', 'parked', 'missed'].includes(s.ticket.state)));

const HURRY_MS = 2000; // a key or a finger dials a lost line at once, at most this often
const TOUCHED_MS = 3000; // somebody at the keys is busy before the service knows of a visit

export function openTerminal(o: TerminalOpts): Terminal {
  const app: AppInfo = { name: o.kind, ver: o.ver || '1', model: o.model || 'browser', os: navigator.platform || '', engine: engineName() };
  const status = createStore<TerminalStatus>({ at: 'starting', since: Date.now() });
  const clock = createClock();
  const frames = new Set<(t: string, b: unknown) => void>();
  let link: Link | null = null;
  let stopped = false;
  let again: (() => void) | null = null;
  const boot = bootId();
  let journal: Journal | undefined;
  let last: Welcome;
  let upAt = 0;
  let touchedAt = -TOUCHED_MS;
  let hurriedAt = 0;
  let held: Frame[] = []; // of the down stream, until the script is there that obeys them
  const overlay = createStore<Overlay | null>(null);
  /** Somebody is at the keys: whoever waits for a person does not wait for the clock to dial (docs/protocol.md §4). */
  const touch = () => {
    touchedAt = Date.now();
    if (link && status.get().at === 'down' && touchedAt - hurriedAt > HURRY_MS) {
      hurriedAt = touchedAt;
      link.resume();
    }
  };
  addEventListener('keydown', touch, true);
  addEventListener('pointerdown', touch, true);

  const go = (at: Exclude<TerminalStatus['at'], 'claim' | 'unsupported'>) => {
    if (status.get().at === at) return;
    status.set({ at, since: Date.now() });
    if (journal) journal(`line ${at}`);
  };

  const api = createApi({ bearer: () => (link ? link.token() : '') });
  const open = createApi();
  const situation = createFact<Situation>({
    fetch: () => api.get('/situation'),
    ver: (s) => s.ver,
    pollMs: (s) => (attended(s) ? 5000 : 30000),
  });

  const profile = (): Profile => {
    const s = situation.get().value;
    return o.profile ? o.profile(s) : attended(s) ? 'attended' : 'unattended';
  };

  function dial(id: Identity): void {
    go('connecting');
    link = openLink({
      path: '/ws/v1',
      auth: () => Promise.resolve(id.auth),
      profile,
      app,
      bootId: boot,
      more: () => JSON.parse(kept(`heyi.journal.${o.kind}`) || '{}') as object, // journal.ts keeps it there
      onAck: (seq) => journal && journal(seq),
      serving: () => serving(situation.get().value),
      onFrame(t, b, f) {
        if (t === 'cmd' || t === 'cmd_cancel') {
          if (journal) journal(f);
          else held.push(f);
          return;
        }
        if (t === 'sync' || /^(ticket|room|rtc|visit|dispute|agreement)\./.test(t)) situation.nudge();
        for (const cb of Array.from(frames)) cb(t, b);
      },
      onUp(w) {
        clock.sync(w.now_at);
        last = w;
        upAt = Date.now();
        held = [];
        if (journal) journal(w);
        else setTimeout(late, 3000); // the first screen is drawn
        go('up');
        situation.nudge();
      },
      onDown(code) {
        if (journal) journal(`closed ${code}`);
        if (code === 4504) go('quarantined');
        else if (status.get().at !== 'connecting' || situation.get().at > 0) go('down');
      },
      onFatal(code) {
        switch (code) {
          case 4003: go('superseded'); break;
          case 4505: go('disabled'); break;
          case 4503: go('version'); break;
          case 4502: go('bad_key'); break;
          case 4004:
          case 4500:
          case 4501:
            void forget();
            break;
          default: go('bad_key');
        }
      },
    });
  }

  function late(): void {
    import('./journal').then((m) => {
      if (journal) return;
      journal = m.openJournal({
        kind: o.kind, app, boot, id: newKey, link: () => link, welcome: last, api, nowUs: clock.nowUs, show: overlay.set, loud: setLoudness,
        situation: () => situation.get().value,
        busy: () => serving(situation.get().value) || Date.now() - touchedAt < TOUCHED_MS,
        fresh: () => situation.get().at >= upAt,
      });
      for (const f of held) journal(f);
    }, () => undefined);
  }

  async function forget(): Promise<void> {
    if (link) link.close();
    link = null;
    situation.clear();
    await forgetIdentity(o.kind);
    if (!stopped) void start();
  }

  async function start(): Promise<void> {
    if (!canHoldKey()) {
      status.set({ at: 'unsupported', why: location.protocol === 'https:' ? 'engine' : 'insecure', since: Date.now() });
      return;
    }
    try {
      const id = await ensureIdentity({
        kind: o.kind,
        app,
        api: open,
        onClaim: (claim) => status.set({ at: 'claim', claim, since: Date.now() }),
        again: () => new Promise<void>((r) => { again = r; }),
        stopped: () => stopped,
      });
      if (!stopped) dial(id);
    } catch {
      if (!stopped) status.set({ at: 'unsupported', why: 'engine', since: Date.now() });
    }
  }

  situation.subscribe(() => {
    if (journal) journal('');
  });
  void start();

  return {
    status,
    situation,
    overlay,
    api,
    clock,
    link: () => link,
    resume() {
      if (again) {
        again();
        again = null;
      } else if (link) {
        if (['superseded', 'disabled', 'bad_key'].includes(status.get().at)) go('connecting');
        link.resume();
      }
    },
    onFrame(cb) {
      frames.add(cb);
      return () => { frames.delete(cb); };
    },
    close() {
      stopped = true;
      if (link) link.close();
      situation.close();
    },
  };
}
