// What the kiosk does for the person in front of it: visit, ticket, answer, room, rating, and the wipe at the end.
import { asApiError, newKey, type ApiError } from '../core/api';
import { accepted, type Keeper, keepRoom } from '../core/rtc/keeper';
import { askMedia, MediaError, type MediaProblem, plugged, stopStream } from '../core/rtc/media';
import { createSpeaker, type Speaker } from '../core/speak';
import { createStore, type Readable } from '../core/store';
import { openTerminal, type Terminal } from '../core/terminal';
import type { CaptureLink, Lang, Situation, Ticket, TicketKind, Visit } from '../core/types';
import type { Steps } from './scene';

type Late = typeof import('./late');
/** The dispute of the person here, with the script that draws it. */
export interface Own { c: ReturnType<Late['openDispute']>; late: Late }

export interface Eye {
  /** A camera is plugged in; 'unknown' until asked. */
  camera: 'unknown' | 'none' | 'ready' | 'on';
  stream: MediaStream | null;
  problem: MediaProblem | null;
}

export interface Counter {
  terminal: Terminal;
  /** What the server shows here: of a shared terminal only what is the present person's. */
  situation: Readable<Situation | null>;
  speaker: Speaker;
  room: Keeper;
  steps: Readable<Steps>;
  eye: Readable<Eye>;
  capture: Readable<CaptureLink | null>;
  dispute: Readable<Own | null>;
  error: Readable<ApiError | null>;
  /** 'clearing' until the server knows, then 'cleared'. */
  gone: Readable<'no' | 'clearing' | 'cleared'>;
  begin(): Promise<void>;
  setSteps(s: Partial<Steps>): void;
  draw(category: string): Promise<void>;
  cancel(): Promise<void>;
  goBack(): Promise<void>;
  answer(take: boolean): Promise<void>;
  rate(score: number | null): Promise<void>;
  phoneLink(): Promise<void>;
  wipe(why: 'left' | 'idle'): Promise<void>;
  close(): void;
}

const visitMark = 'heyi.visit';
const noSteps: Steps = { lang: null, kind: null };
const clearedFor = 4000;
const wipeRetry = 3000;

export function openCounter(leave: () => void = () => location.replace('/kiosk')): Counter {
  const speaker = createSpeaker();
  const terminal = openTerminal({ kind: 'kiosk', model: 'browser-kiosk' });
  const steps = createStore<Steps>(noSteps);
  const eye = createStore<Eye>({ camera: 'unknown', stream: null, problem: null });
  const capture = createStore<CaptureLink | null>(null);
  const dispute = createStore<Own | null>(null);
  const error = createStore<ApiError | null>(null);
  const gone = createStore<'no' | 'clearing' | 'cleared'>('no');
  const room = keepRoom({ api: terminal.api, attach: 'full', onReread: () => terminal.situation.nudge() });
  const situation = createStore<Situation | null>(null);
  const now = situation.get;
  let judged = false; // the visit found at load was looked at
  let opening = false;

  const look = () => {
    void plugged().then(({ cam }) => {
      const e = eye.get();
      if (e.camera !== 'on') eye.set({ ...e, camera: cam ? 'ready' : 'none' });
      if (!cam && !e.stream) room.attach('view');
      else room.attach('full');
    });
  };
  look();
  if (navigator.mediaDevices && navigator.mediaDevices.addEventListener) navigator.mediaDevices.addEventListener('devicechange', look);

  const kept = (key: string): string => {
    try {
      return sessionStorage.getItem(key) || '';
    } catch {
      return ''; // without storage a reload ends the visit
    }
  };
  const keep = (key: string, value: string) => {
    try {
      if (value) sessionStorage.setItem(key, value);
      else sessionStorage.removeItem(key);
    } catch {
      // as above
    }
  };

  /** Runs a command; what it answers is shown, what it refuses is said. */
  async function act(f: () => Promise<unknown>): Promise<void> {
    speaker.unlock();
    error.set(null);
    try {
      await f();
      await terminal.situation.refetch();
    } catch (e) {
      error.set(asApiError(e));
      terminal.situation.nudge();
    }
  }

  async function openEye(): Promise<void> {
    if (opening || eye.get().stream) return;
    opening = true;
    try {
      const got = await askMedia({ cam: true, mic: true });
      if (!accepted(now())) { // the person left while the browser asked
        stopStream(got.stream);
        return;
      }
      eye.set({ camera: 'on', stream: got.stream, problem: got.camProblem || got.micProblem });
      publish();
    } catch (e) {
      eye.set({ camera: 'none', stream: null, problem: e instanceof MediaError ? e.problem : 'unsupported' });
      room.attach('view'); // "先听着也行": the phone can become the camera
    } finally {
      opening = false;
    }
  }

  function shutEye(): void {
    const e = eye.get();
    if (!e.stream) return;
    stopStream(e.stream);
    eye.set({ camera: 'ready', stream: null, problem: null });
  }

  function publish(): void {
    const r = room.get();
    const e = eye.get();
    if (r && e.stream && accepted(now()) && !r.get().publishing) void r.publish(e.stream);
  }

  /** The dispute comes with its own script, when there is one. */
  let fetching = false;
  function followDispute(s: Situation | null): void {
    const ref = s && s.dispute;
    const held = dispute.get();
    if (held) held.c.follow(ref);
    else if (ref && !fetching) {
      fetching = true;
      import('./late').then((late) => {
        if (gone.get() !== 'no') return;
        dispute.set({ c: late.openDispute({ api: terminal.api }), late });
        followDispute(now());
      }, () => { fetching = false; });
    }
  }
  function shutDispute(): void {
    const held = dispute.get();
    if (held) held.c.close();
    dispute.set(null);
  }

  const offs = [
    terminal.onFrame((t) => {
      const held = dispute.get();
      if (held && /^(dispute|agreement)\./.test(t)) held.c.nudge();
    }),
    terminal.situation.subscribe(() => {
      const s = terminal.situation.get().value;
      situation.set(s);
      if (gone.get() !== 'no') return;
      if (!judged && s) {
        judged = true;
        // a visit that this page did not open is left over from before a restart: nobody knows whose it is
        if (s.visit && kept(visitMark) !== s.visit.id && !s.session) {
          void terminal.api.post(`/visits/${s.visit.id}/close`, { why: 'reboot' }).then(() => terminal.situation.nudge(), () => { judged = false; });
          return;
        }
      }
      if (s && s.visit) keep(visitMark, s.visit.id);
      if (s && !s.visit && steps.get() !== noSteps) steps.set(noSteps);
      if (s && (!s.visit || s.capture.paired) && capture.get()) capture.set(null);
      room.follow(s);
      if (accepted(s) && eye.get().camera !== 'none') void openEye();
      if (!accepted(s)) shutEye();
      publish();
      followDispute(s);
    }),
    room.subscribe(publish),
  ];

  return {
    terminal,
    situation,
    speaker,
    room,
    steps,
    eye,
    capture,
    dispute,
    error,
    gone,
    begin: () => act(async () => {
      const v = await terminal.api.post<Visit>('/visits', { key: newKey(), how: 'anonymous' });
      keep(visitMark, v.id);
    }),
    setSteps(s) {
      speaker.unlock();
      error.set(null);
      steps.set({ ...steps.get(), ...s });
    },
    draw: (category) => act(async () => {
      const { kind, lang } = steps.get();
      await terminal.api.post<Ticket>('/tickets', { key: newKey(), kind: (kind || 'consult') as TicketKind, category, lang: (lang || 'zh') as Lang });
    }),
    cancel: () => act(async () => {
      const s = now();
      if (s && s.ticket) await terminal.api.post(`/tickets/${s.ticket.id}/cancel`, { key: newKey() });
      steps.set({ ...steps.get(), kind: null });
    }),
    goBack: () => act(async () => {
      const s = now();
      if (s && s.ticket) await terminal.api.post(`/tickets/${s.ticket.id}/return`, { key: newKey() });
    }),
    answer: (take) => act(async () => {
      const s = now();
      if (s && s.ticket) await terminal.api.post(`/tickets/${s.ticket.id}/answer`, { key: newKey(), take });
    }),
    rate: (score) => act(async () => {
      const s = now();
      if (s && s.rating) await terminal.api.post(`/sessions/${s.rating.session_id}/rating`, score === null ? { key: newKey(), skip: true } : { key: newKey(), score });
    }),
    async phoneLink() {
      if (gone.get() !== 'no') return;
      try {
        capture.set(await terminal.api.post<CaptureLink>('/captures', { key: newKey() }));
      } catch (e) {
        error.set(asApiError(e));
      }
    },
    async wipe(why) {
      if (gone.get() !== 'no') return;
      const s = now();
      gone.set('clearing');
      speaker.hush();
      room.close();
      shutEye();
      shutDispute();
      capture.set(null);
      steps.set(noSteps);
      keep(visitMark, '');
      for (;;) {
        try {
          // the server gives up the ticket and leaves the session with the visit
          if (s && s.visit) await terminal.api.post(`/visits/${s.visit.id}/close`, { why }).catch(ignoreGone);
          break;
        } catch {
          await new Promise((r) => setTimeout(r, wipeRetry)); // the screen says so; nobody else may begin before
        }
      }
      terminal.situation.clear();
      gone.set('cleared');
      setTimeout(leave, clearedFor);
    },
    close() {
      for (const off of offs) off();
      room.close();
      shutEye();
      shutDispute();
      terminal.close();
    },
  };
}

/** What is over already needs no ending. */
function ignoreGone(e: unknown): void {
  const err = asApiError(e);
  if (err.temporary || err.status === 401) throw err;
}
