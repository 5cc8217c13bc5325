// The phone's half of a terminal: its link, the terminal's situation, camera and microphone, and the room.
import { type Api, type ApiError, createApi, newKey } from '../core/api';
import { type Clock, createClock } from '../core/clock';
import { createFact, type Fact } from '../core/facts';
import { attended } from '../core/terminal';
import { accepted, type Keeper, keepRoom } from '../core/rtc/keeper';
import { createStore, type Readable } from '../core/store';
import type { CaptureGrant, Situation } from '../core/types';
import { type Camera, createEye } from './eye';
import { openLine, type LineState } from './line';

type Late = typeof import('./late');
/** The dispute of the person at the terminal, with the script that draws it. */
export interface Own { c: ReturnType<Late['openDispute']>; late: Late }

export interface PhoneSession {
  api: Api;
  clock: Clock;
  situation: Fact<Situation>;
  camera: Readable<Camera>;
  line: Readable<LineState>;
  room: Keeper;
  /** This phone acts for the person of its terminal: his dispute, once there is one. */
  dispute: Readable<Own | null>;
  openCamera(): Promise<void>;
  answer(take: boolean): Promise<void>;
  rate(score: number | null): Promise<void>;
  drop(): Promise<void>;
  resume(): void;
  close(): void;
}

export function openPhone(grant: CaptureGrant, onOver: (e: ApiError) => void): PhoneSession {
  const api = createApi({ csrf: () => grant.csrf });
  const clock = createClock();
  let closed = false;
  const dispute = createStore<Own | null>(null);

  const situation = createFact<Situation>({ fetch: () => api.get('/situation'), ver: (s) => s.ver, pollMs: (s) => (attended(s) ? 5000 : 15000) });
  const room = keepRoom({ api, attach: 'capture', onReread: () => situation.nudge() });
  const eye = createEye((stream) => {
    const r = room.get();
    if (r && r.get().publishing) void r.publish(stream);
    else publish();
  });
  const camera = eye.view;

  const line = openLine({
    api,
    clock,
    tokens: '/captures/mine/link-tokens',
    screen: 'phone',
    look(t) {
      situation.nudge();
      const d = dispute.get();
      if (d && (t === '' || /^(dispute|agreement)\./.test(t))) d.c.nudge();
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
      followDispute(f.value);
    }),
    room.subscribe(publish),
  ];

  /** The dispute comes with its own script, when there is one. */
  let fetching = false;
  function followDispute(s: Situation | null): void {
    const ref = s && s.dispute;
    const held = dispute.get();
    if (held) held.c.follow(ref);
    else if (ref && !fetching) {
      fetching = true;
      import('./late').then((late) => {
        if (closed) return;
        dispute.set({ c: late.openDispute({ api }), late });
        followDispute(situation.get().value);
      }, () => { fetching = false; });
    }
  }

  return {
    api,
    clock,
    situation,
    camera,
    line: line.state,
    room,
    dispute,
    openCamera: eye.open,
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
      line.resume();
    },
    close() {
      closed = true;
      for (const off of offs) off();
      situation.close();
      room.close();
      line.close();
      eye.close();
      const d = dispute.get();
      if (d) d.c.close();
    },
  };
}
