// The phone's half of a terminal: its link, the terminal's situation, camera and microphone, and the room.
import { type Api, type ApiError, createApi, newKey } from '../core/api';
import { type Clock, createClock } from '../core/clock';
import { createFact, type Fact } from '../core/facts';
import { type Link, openLink } from '../core/link';
import { engineName } from '../core/probe';
import { attended } from '../core/terminal';
import { accepted, type Keeper, keepRoom } from '../core/rtc/keeper';
import { askMedia, MediaError, type MediaProblem, stopStream } from '../core/rtc/media';
import { createStore, type Readable } from '../core/store';
import type { CaptureGrant, LinkToken, Situation } from '../core/types';

export interface Camera {
  state: 'asking' | 'on' | 'off';
  stream: MediaStream | null;
  camProblem: MediaProblem | null;
  micProblem: MediaProblem | null;
}

export interface PhoneSession {
  api: Api;
  clock: Clock;
  situation: Fact<Situation>;
  camera: Readable<Camera>;
  /** 'moved' = another tab of this phone has the place. */
  line: Readable<'up' | 'down' | 'moved'>;
  room: Keeper;
  openCamera(): Promise<void>;
  answer(take: boolean): Promise<void>;
  rate(score: number | null): Promise<void>;
  drop(): Promise<void>;
  resume(): void;
  close(): void;
}

const instanceKey = 'heyi.instance';

function instance(): string {
  const fresh = newKey();
  try {
    const held = sessionStorage.getItem(instanceKey);
    if (held) return held;
    sessionStorage.setItem(instanceKey, fresh);
  } catch {
    // every load is then a page of its own
  }
  return fresh;
}

export function openPhone(grant: CaptureGrant, onOver: (e: ApiError) => void): PhoneSession {
  const api = createApi({ csrf: () => grant.csrf });
  const clock = createClock();
  const camera = createStore<Camera>({ state: 'asking', stream: null, camProblem: null, micProblem: null });
  const line = createStore<'up' | 'down' | 'moved'>('down');
  const me = instance();
  let closed = false;

  const situation = createFact<Situation>({ fetch: () => api.get('/situation'), ver: (s) => s.ver, pollMs: (s) => (attended(s) ? 5000 : 15000) });
  const room = keepRoom({ api, attach: 'capture', onReread: () => situation.nudge() });

  const link: Link = openLink({
    path: '/ws/v1',
    profile: () => 'attended', // somebody holds this phone
    app: { name: 'phone', ver: '1', engine: engineName() },
    async auth() {
      const { token } = await api.post<LinkToken>('/captures/mine/link-tokens', { instance: me });
      return () => Promise.resolve({ kind: 'session', token, screen: 'phone', instance: me });
    },
    serving: () => true,
    onFrame: () => situation.nudge(),
    onUp(w) {
      clock.sync(w.now_at);
      line.set('up');
      situation.nudge();
    },
    onDown: () => line.set('down'),
    onFatal(code) {
      line.set(code === 4003 ? 'moved' : 'down');
      situation.nudge(); // 401 there says why
    },
  });

  function publish(): void {
    const r = room.get();
    const v = situation.get().value;
    if (r && accepted(v) && camera.get().stream && !r.get().publishing) void r.publish(camera.get().stream);
  }

  const offs = [
    situation.subscribe(() => {
      const f = situation.get();
      if (f.error && (f.error.status === 401 || f.error.status === 410)) {
        if (!closed) onOver(f.error);
        return;
      }
      room.follow(f.value);
      publish();
    }),
    room.subscribe(publish),
  ];

  async function openCamera(): Promise<void> {
    stopStream(camera.get().stream);
    camera.set({ state: 'asking', stream: null, camProblem: null, micProblem: null });
    try {
      const got = await askMedia({ cam: true, mic: true });
      if (closed) {
        stopStream(got.stream);
        return;
      }
      camera.set({ state: 'on', ...got });
      for (const t of got.stream.getTracks()) t.onended = () => { if (!closed) void openCamera(); }; // a telephone call took it
      const r = room.get();
      if (r && r.get().publishing) void r.publish(got.stream);
      else publish();
    } catch (e) {
      const problem = e instanceof MediaError ? e.problem : 'unsupported';
      if (!closed) camera.set({ state: 'off', stream: null, camProblem: problem, micProblem: problem });
    }
  }

  return {
    api,
    clock,
    situation,
    camera,
    line,
    room,
    openCamera,
    async answer(take) {
      const s = situation.get().value;
      if (!s || !s.ticket) return;
      await api.post(`/tickets/${s.ticket.id}/answer`, { key: newKey(), take });
      await situation.refetch();
    },
    async rate(score) {
      const s = situation.get().value;
      if (!s || !s.rating) return;
      const body = score === null ? { key: newKey(), skip: true } : { key: newKey(), score };
      await api.post(`/sessions/${s.rating.session_id}/rating`, body);
      await situation.refetch();
    },
    async drop() {
      await api.post('/captures/mine/drop', {});
    },
    resume() {
      link.resume();
    },
    close() {
      closed = true;
      for (const off of offs) off();
      situation.close();
      room.close();
      link.close();
      stopStream(camera.get().stream);
    },
  };
}
