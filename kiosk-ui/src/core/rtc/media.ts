// Camera, microphone and players of one page. Problems come back as words that each have a card (ui.md §10).
import type { RTCProfile } from '../types';

export type MediaProblem = 'denied' | 'missing' | 'busy' | 'insecure' | 'unsupported' | 'constraints';

/** Thrown by askMedia when nothing at all could be opened. */
export class MediaError extends Error {
  constructor(readonly problem: MediaProblem) {
    super(problem);
    this.name = 'MediaError';
  }
}

export interface MediaResult {
  stream: MediaStream;
  /** Why the camera or the microphone is not in the stream; null = as asked. */
  camProblem: MediaProblem | null;
  micProblem: MediaProblem | null;
}

export function problemOf(e: unknown): MediaProblem {
  switch (e instanceof Error || e instanceof DOMException ? e.name : '') {
    case 'NotAllowedError':
    case 'PermissionDeniedError':
      return 'denied';
    case 'SecurityError':
      return 'insecure';
    case 'NotFoundError':
    case 'DevicesNotFoundError':
      return 'missing';
    case 'NotReadableError':
    case 'TrackStartError':
    case 'AbortError':
      return 'busy';
    case 'OverconstrainedError':
      return 'constraints';
    default:
      return 'unsupported';
  }
}

const audioWish: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
const size = { w: 640, h: 480, fps: 20 };

const videoWish = (p: Pick<RTCProfile, 'w' | 'h' | 'fps'>, facing?: 'user'): MediaTrackConstraints => ({
  width: { ideal: p.w },
  height: { ideal: p.h },
  frameRate: { ideal: p.fps, max: 30 },
  ...(facing ? { facingMode: facing } : {}),
});

/** Opens camera and microphone; falls back to the one that works. Throws MediaError when neither does. */
export async function askMedia(want: { cam: boolean; mic: boolean; profile?: RTCProfile | null } = { cam: true, mic: true }): Promise<MediaResult> {
  if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia) {
    throw new MediaError(typeof isSecureContext !== 'undefined' && !isSecureContext ? 'insecure' : 'unsupported');
  }
  const video = want.cam ? videoWish(want.profile || size, 'user') : false;
  const audio = want.mic ? audioWish : false;
  try {
    return { stream: await navigator.mediaDevices.getUserMedia({ video, audio }), camProblem: null, micProblem: null };
  } catch (e) {
    const whole = problemOf(e);
    if (!want.cam || !want.mic || whole === 'insecure') throw new MediaError(whole);
    let camProblem: MediaProblem | null = null;
    let micProblem: MediaProblem | null = null;
    const stream = new MediaStream();
    try {
      for (const t of (await navigator.mediaDevices.getUserMedia({ audio })).getTracks()) stream.addTrack(t);
    } catch (f) {
      micProblem = problemOf(f);
    }
    try {
      for (const t of (await navigator.mediaDevices.getUserMedia({ video })).getTracks()) stream.addTrack(t);
    } catch (f) {
      camProblem = problemOf(f);
    }
    if (stream.getTracks().length === 0) throw new MediaError(camProblem || whole);
    return { stream, camProblem, micProblem };
  }
}

/** What is plugged in, without asking for permission and without opening anything. */
export async function plugged(): Promise<{ cam: boolean; mic: boolean }> {
  try {
    const list = await navigator.mediaDevices.enumerateDevices();
    return { cam: list.some((d) => d.kind === 'videoinput'), mic: list.some((d) => d.kind === 'audioinput') };
  } catch {
    return { cam: false, mic: false };
  }
}

export function stopStream(s: MediaStream | null): void {
  if (s) for (const t of s.getTracks()) t.stop();
}

/** Shows a stream; resolves false when the browser wants a press first ("按确定键打开声音"). */
export async function play(el: HTMLMediaElement, stream: MediaStream | null): Promise<boolean> {
  if (el.srcObject !== stream) el.srcObject = stream;
  if (!stream) return true;
  try {
    await el.play();
    return true;
  } catch (e) {
    return !(e instanceof DOMException && e.name === 'NotAllowedError');
  }
}

/** Calls back about 8 times a second with the level 0..100 of a stream's sound, until the returned stop is called. */
export function watchLevel(stream: MediaStream, cb: (level: number) => void): () => void {
  if (typeof AudioContext === 'undefined' || stream.getAudioTracks().length === 0) return () => undefined;
  const ctx = new AudioContext();
  const node = ctx.createAnalyser();
  node.fftSize = 512;
  ctx.createMediaStreamSource(stream).connect(node);
  const buf = new Uint8Array(node.fftSize);
  const id = setInterval(() => {
    if (ctx.state === 'suspended') void ctx.resume();
    node.getByteTimeDomainData(buf);
    let sum = 0;
    for (let i = 0; i < buf.length; i++) sum += (buf[i]! - 128) ** 2;
    cb(Math.min(100, Math.round(Math.sqrt(sum / buf.length) * 3)));
  }, 120);
  return () => {
    clearInterval(id);
    void ctx.close();
  };
}
