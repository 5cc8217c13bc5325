import { useCallback, useEffect, useRef, useState } from 'react';
import { askMedia, MediaError, stopStream, type MediaProblem } from '../core/rtc/media';

export type Camera = {
  stream: MediaStream | null;
  cam: MediaProblem | null; // why there is no picture
  mic: MediaProblem | null; // why there is no sound
  /** Asks again; the card's button. */
  retry: () => void;
};

const none = { stream: null, cam: null, mic: null };
const profile = { w: 1280, h: 720, fps: 25, video_kbps: 1500, audio_kbps: 32 };

/**
 * Own camera and microphone while `on`. What is missing or broken is said, not thrown: the desk goes on receiving.
 * A device that is plugged in or unplugged is noticed and asked for again.
 */
export function useCamera(on: boolean): Camera {
  const [state, setState] = useState<Omit<Camera, 'retry'>>(none);
  const [round, setRound] = useState(0);
  const held = useRef<MediaStream | null>(null);
  const retry = useCallback(() => setRound((n) => n + 1), []);

  useEffect(() => {
    if (!on) return;
    let over = false;
    const ended = () => setRound((n) => n + 1);
    askMedia({ cam: true, mic: true, profile })
      .then(({ stream, camProblem, micProblem }) => {
        if (over) {
          stopStream(stream);
          return;
        }
        stopStream(held.current);
        held.current = stream;
        for (const track of stream.getTracks()) track.addEventListener('ended', ended);
        setState({ stream, cam: camProblem, mic: micProblem });
      })
      .catch((e: unknown) => {
        if (over) return;
        stopStream(held.current);
        held.current = null;
        const problem = e instanceof MediaError ? e.problem : 'unsupported';
        setState({ stream: null, cam: problem, mic: problem });
      });
    return () => {
      over = true;
      for (const track of held.current?.getTracks() ?? []) track.removeEventListener('ended', ended);
    };
  }, [on, round]);

  useEffect(() => {
    if (on) return;
    stopStream(held.current);
    held.current = null;
    setState(none);
  }, [on]);
  useEffect(() => () => stopStream(held.current), []);

  const broken = on && (state.cam !== null || state.mic !== null);
  useEffect(() => {
    if (!broken) return;
    navigator.mediaDevices?.addEventListener('devicechange', retry);
    return () => navigator.mediaDevices?.removeEventListener('devicechange', retry);
  }, [broken, retry]);

  return { ...state, retry };
}

/** The one card that fits: its texts are `<key>` and `<key>.do`. */
export type CamCard = 'cam.denied' | 'cam.missing' | 'cam.busy' | 'cam.insecure' | 'cam.novideo' | 'cam.nomic';

export function camCard(c: Pick<Camera, 'cam' | 'mic'>): CamCard | null {
  if (c.cam === null && c.mic === null) return null;
  if (c.cam === null) return 'cam.nomic';
  const problem = c.cam;
  if (problem === 'denied') return 'cam.denied';
  if (problem === 'busy') return 'cam.busy';
  if (problem === 'insecure' || problem === 'unsupported') return 'cam.insecure';
  return c.mic === null ? 'cam.novideo' : 'cam.missing';
}
