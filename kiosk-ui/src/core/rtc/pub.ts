// The sending connection: the client always offers, one audio and one video line, both present even without a camera,
// so that plugging one in is replaceTrack and never a renegotiation.
import type { RTCProfile, RTCSdp } from '../types';

export interface PubDeps {
  send(t: string, b: object): boolean;
  ice(): RTCIceServer[];
  state(state: RTCIceConnectionState): void;
}

export interface Pub {
  /** Sends this stream from now on; null sends nothing but keeps the lines. */
  publish(stream: MediaStream | null): Promise<void>;
  answer(b: RTCSdp): Promise<void>;
  /** ICE restart on the same connection. */
  restart(): Promise<void>;
  /** A new connection, with the same stream; the old one sends on until it is up. */
  renew(): Promise<void>;
  /** Closes what sends now; renew() begins again. */
  cut(): void;
  profile(p: RTCProfile): void;
  /** Video off or on without touching the stream (sound first). */
  video(on: boolean): void;
  readonly pc: RTCPeerConnection | null;
  readonly begun: boolean;
  alive(): boolean;
  close(): void;
}

export function createPub(deps: PubDeps): Pub {
  let pc: RTCPeerConnection | null = null;
  let last: RTCPeerConnection | null = null; // sends on until pc is up
  let audio: RTCRtpSender | null = null;
  let video: RTCRtpSender | null = null;
  let stream: MediaStream | null = null;
  let profile: RTCProfile | null = null;
  let videoOn = true;
  let begun = false;
  let gen = 0; // counts connections: an ICE restart keeps it, a new connection raises it
  let restartDue = false; // asked for while an offer was out
  let black: MediaStreamTrack | null = null;

  const up = (c: RTCPeerConnection | null): boolean => !!c && (c.iceConnectionState === 'connected' || c.iceConnectionState === 'completed');

  function part(): void {
    if (last) last.close();
    last = null;
  }

  const track = (kind: 'audio' | 'video') => (stream ? stream.getTracks().find((t) => t.kind === kind) || null : null);

  // Chromium 66 has no transceiver without a track: a tiny black picture holds the line open
  function blackTrack(): MediaStreamTrack {
    if (black && black.readyState === 'live') return black;
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 16;
    const g = canvas.getContext('2d');
    if (g) g.fillRect(0, 0, 16, 16);
    black = canvas.captureStream(1).getVideoTracks()[0]!;
    return black;
  }

  function build(): RTCPeerConnection {
    const c = new RTCPeerConnection({ iceServers: deps.ice(), bundlePolicy: 'max-bundle', sdpSemantics: 'unified-plan' } as RTCConfiguration);
    if (c.addTransceiver) {
      audio = c.addTransceiver(track('audio') || 'audio', { direction: 'sendonly' }).sender;
      video = c.addTransceiver(track('video') || 'video', { direction: 'sendonly' }).sender;
    } else {
      const s = stream || new MediaStream();
      const a = track('audio');
      audio = a ? c.addTrack(a, s) : null;
      video = c.addTrack(track('video') || blackTrack(), s);
    }
    c.onicecandidate = (e) => {
      if (e.candidate && c === pc) deps.send('rtc.ice', { pc: 'pub', gen, candidate: e.candidate.candidate, mid: e.candidate.sdpMid || '', mline: e.candidate.sdpMLineIndex || 0 });
    };
    c.oniceconnectionstatechange = () => {
      if (c !== pc) return;
      if (up(c)) part();
      deps.state(c.iceConnectionState);
    };
    return c;
  }

  async function offer(restart: boolean): Promise<void> {
    const c = pc;
    if (!c) return;
    if (c.signalingState === 'have-local-offer') {
      restartDue = restart;
      return;
    }
    const desc = await c.createOffer(restart ? { iceRestart: true } : {});
    if (c !== pc) return;
    await c.setLocalDescription(desc);
    if (c !== pc) return;
    deps.send('rtc.offer', { pc: 'pub', gen, sdp: desc.sdp });
  }

  function shape(): void {
    if (!profile || !video || !video.getParameters) return;
    const t = video.track;
    if (t && t !== black && t.applyConstraints) {
      t.applyConstraints({ width: { ideal: profile.w }, height: { ideal: profile.h }, frameRate: { ideal: profile.fps } }).catch(() => undefined);
    }
    for (const [s, kbps] of [[video, profile.video_kbps], [audio, profile.audio_kbps]] as const) {
      if (!s || !s.getParameters || !kbps) continue;
      const p = s.getParameters();
      if (!p.encodings || p.encodings.length === 0) continue;
      p.encodings[0]!.maxBitrate = kbps * 1000;
      s.setParameters(p).catch(() => undefined);
    }
  }

  async function put(): Promise<void> {
    const v = videoOn ? track('video') : null;
    if (audio) await audio.replaceTrack(track('audio'));
    if (video) await video.replaceTrack(v || (pc && !pc.addTransceiver ? blackTrack() : null));
    shape();
  }

  async function renew(): Promise<void> {
    const old = pc;
    gen++;
    restartDue = false;
    pc = build();
    if (old && up(old)) {
      part();
      last = old;
    } else if (old) old.close();
    if (!videoOn) await put();
    await offer(false);
  }

  return {
    get pc() { return pc; },
    get begun() { return begun; },
    async publish(s) {
      stream = s;
      if (!begun) {
        begun = true;
        await renew();
      } else await put();
    },
    async answer(b) {
      if (!pc || b.gen !== gen || pc.signalingState !== 'have-local-offer') return;
      await pc.setRemoteDescription({ type: 'answer', sdp: b.sdp });
      shape();
      if (restartDue) {
        restartDue = false;
        await offer(true);
      }
    },
    restart: () => offer(true),
    renew,
    cut() {
      part();
      if (pc) pc.close();
      pc = null;
    },
    profile(p) {
      profile = p;
      shape();
    },
    video(on) {
      if (videoOn === on) return;
      videoOn = on;
      void put();
    },
    alive: () => up(pc),
    close() {
      begun = false;
      part();
      if (pc) pc.close();
      pc = null;
      if (black) black.stop();
      black = null;
    },
  };
}
