// The TV's place in the room: which attachment it takes, when it opens, when camera and microphone start.
//
// While it rings only the receiving connection is prepared; nothing is captured before OK (ui.md §5.2). The attachment
// is decided without opening a device: a paired phone is the camera, else the box's own camera and microphone, else the
// TV only watches. A camera that then fails makes the TV a watcher too, and the phone is asked.
import type { Api } from '../../core/api';
import type { MediaProblem } from '../../core/rtc/media';
import type { Room, RoomView } from '../../core/rtc/room';
import { createStore, type Readable } from '../../core/store';
import type { RoomReady, Situation } from '../../core/types';
import { roomOf } from './room-of';

export interface Devices { cam: boolean; mic: boolean }

export interface LineView {
  room: RoomView | null;
  attach: 'full' | 'view';
  /** Own picture and sound, once OK was pressed. */
  stream: MediaStream | null;
  /** Why the box's own camera does not serve. */
  camProblem: MediaProblem | null;
  devices: Devices;
}

/** attachOf decides how the TV takes part. */
export const attachOf = (paired: boolean, d: Devices, broken: boolean): 'full' | 'view' => (!paired && !broken && d.cam && d.mic ? 'full' : 'view');

export interface CallLine extends Readable<LineView> {
  /** Follows the situation; call on every change. */
  follow(s: Situation | null, left: string | null): void;
  /** OK was pressed: camera and microphone may start although the server's answer is still on its way. */
  accepted(): void;
  room(): Room | null;
  /** After another window gave this place back. */
  resume(): void;
}

/** What the second script brings: the room and the devices. */
export type MediaTools = Pick<typeof import('../parts'), 'openRoom' | 'askMedia' | 'MediaError' | 'plugged' | 'stopStream'>;

export function createLine(o: { api: Api; reread: () => void; load: () => Promise<MediaTools> }): CallLine {
  const view = createStore<LineView>({ room: null, attach: 'view', stream: null, camProblem: null, devices: { cam: false, mic: false } });
  const patch = (p: Partial<LineView>): void => view.set({ ...view.get(), ...p });
  let room: Room | null = null;
  let key = '';
  let unsubscribe: () => void = () => undefined;
  let asked = 0; // generation of the camera: a late answer of an earlier call is stopped
  let known = false;
  let tools: MediaTools | null = null;
  let last: [Situation | null, string | null] = [null, null];

  async function look(): Promise<void> {
    if (!tools) return;
    const devices = await tools.plugged();
    known = true;
    const d = view.get().devices;
    if (d.cam !== devices.cam || d.mic !== devices.mic) patch({ devices, camProblem: null });
    follow(last[0], last[1]);
  }
  if (navigator.mediaDevices && navigator.mediaDevices.addEventListener) navigator.mediaDevices.addEventListener('devicechange', () => void look());

  function shut(): void {
    asked++;
    unsubscribe();
    if (room) room.close();
    room = null;
    key = '';
    if (tools) tools.stopStream(view.get().stream);
    patch({ room: null, stream: null });
  }

  function follow(s: Situation | null, left: string | null): void {
    last = [s, left];
    if (s && !tools) fetchScript();
    if (!known || !tools) return;
    const want = roomOf(s, left);
    if (!want || !s) {
      if (room) shut();
      if (view.get().camProblem) patch({ camProblem: null }); // the next call tries the camera again
      return;
    }
    const attach = attachOf(s.capture.paired, view.get().devices, view.get().camProblem !== null);
    if (key !== `${want.session}:${attach}`) open(want.session, attach);
    else if (room && s.session) room.placed(s.session.fence);
    if (want.open) start();
  }

  let fetching = false;
  function fetchScript(): void {
    if (fetching) return;
    fetching = true;
    o.load().then(
      (m) => {
        tools = m;
        void look();
      },
      () => { fetching = false; }, // asked again with the next situation
    );
  }

  function open(session: string, attach: 'full' | 'view'): void {
    if (!tools) return;
    shut();
    key = `${session}:${attach}`;
    const mine = tools.openRoom({
      entry: () => o.api.post<RoomReady>(`/sessions/${session}/media-tickets`, { attach }),
      attach,
      onReread: o.reread,
    });
    room = mine;
    unsubscribe = mine.subscribe(() => patch({ room: mine.get() }));
    patch({ attach, room: mine.get() });
  }

  let opening = false;
  function start(): void {
    if (!tools || view.get().attach !== 'full' || view.get().stream || opening || !room) return;
    const { askMedia, MediaError, stopStream } = tools;
    opening = true;
    const mine = asked;
    const into = room;
    askMedia({ cam: true, mic: true, profile: into.get().profile })
      .then((m) => {
        opening = false;
        if (mine !== asked) {
          stopStream(m.stream);
          again();
          return;
        }
        if (m.micProblem) { // a picture without sound helps nobody: the phone does both
          stopStream(m.stream);
          patch({ camProblem: m.micProblem });
          follow(last[0], last[1]);
          return;
        }
        patch({ stream: m.stream });
        void into.publish(m.stream);
      })
      .catch((e: unknown) => {
        opening = false;
        if (mine !== asked) {
          again();
          return;
        }
        patch({ camProblem: e instanceof MediaError ? e.problem : 'unsupported' });
        follow(last[0], last[1]);
      });
  }
  function again(): void { follow(last[0], last[1]); }

  return {
    get: view.get,
    subscribe: view.subscribe,
    follow,
    accepted: start,
    room: () => room,
    resume() { if (room && room.get().state === 'replaced') room.resume(); },
  };
}
