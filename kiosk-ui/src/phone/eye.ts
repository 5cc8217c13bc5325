// This phone's camera and microphone.
import { askMedia, MediaError, type MediaProblem, stopStream } from '../core/rtc/media';
import { createStore, type Readable } from '../core/store';

export interface Camera {
  state: 'asking' | 'on' | 'off';
  stream: MediaStream | null;
  camProblem: MediaProblem | null;
  micProblem: MediaProblem | null;
}

export interface Eye { view: Readable<Camera>; open(): Promise<void>; close(): void }

export function createEye(onStream: (s: MediaStream) => void): Eye {
  const view = createStore<Camera>({ state: 'asking', stream: null, camProblem: null, micProblem: null });
  let closed = false;
  let asked = 0; // generation: camera and microphone may both end, and each asks anew; only the last answer is kept

  async function open(): Promise<void> {
    if (closed) return;
    const mine = ++asked;
    stopStream(view.get().stream);
    view.set({ state: 'asking', stream: null, camProblem: null, micProblem: null });
    try {
      const got = await askMedia({ cam: true, mic: true });
      if (closed || mine !== asked) {
        stopStream(got.stream);
        return;
      }
      view.set({ state: 'on', ...got });
      for (const t of got.stream.getTracks()) t.onended = () => { if (mine === asked) void open(); }; // a telephone call took it
      onStream(got.stream);
    } catch (e) {
      const problem = e instanceof MediaError ? e.problem : 'unsupported';
      if (!closed && mine === asked) view.set({ state: 'off', stream: null, camProblem: problem, micProblem: problem });
    }
  }

  return {
    view,
    open,
    close() {
      closed = true;
      stopStream(view.get().stream);
      view.set({ ...view.get(), stream: null });
    },
  };
}
