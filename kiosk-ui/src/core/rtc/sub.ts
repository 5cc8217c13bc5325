// The receiving connection: the server always offers, with every track of the room in the first offer, so that a gate
// opens without renegotiation. A fresh offer (another o= session) makes a new connection; the old one plays on until the
// new one is up.
import type { RTCSdp } from '../types';
import { sessionId, trackIds } from './sdp';

export interface SubDeps {
  send(t: string, b: object): boolean;
  ice(): RTCIceServer[];
  /** Tracks came or went; `swapped` = they are those of a new connection. */
  changed(swapped: boolean): void;
  state(state: RTCIceConnectionState): void;
}

export interface Sub {
  offer(b: RTCSdp): Promise<void>;
  /** The track of an m-line, once its connection is up. */
  track(mid: string): MediaStreamTrack | null;
  readonly pc: RTCPeerConnection | null;
  alive(): boolean;
  close(): void;
}

const patience = 1500; // a lobby brings nothing, whoever waits for it

interface Conn { pc: RTCPeerConnection; session: string; ids: Map<string, string>; byId: Map<string, MediaStreamTrack>; up: boolean; gen: number }

export function createSub(deps: SubDeps): Sub {
  let now: Conn | null = null; // what the tiles show
  let next: Conn | null = null; // being built
  let queue: Promise<void> = Promise.resolve();

  function make(session: string): Conn {
    const pc = new RTCPeerConnection({ iceServers: deps.ice(), bundlePolicy: 'max-bundle', sdpSemantics: 'unified-plan' } as RTCConfiguration);
    const c: Conn = { pc, session, ids: new Map(), byId: new Map(), up: false, gen: 0 };
    pc.ontrack = (e) => {
      c.byId.set(e.track.id, e.track);
      if (c === now) deps.changed(false);
    };
    pc.onicecandidate = (e) => {
      if (e.candidate) deps.send('rtc.ice', { pc: 'sub', gen: c.gen, candidate: e.candidate.candidate, mid: e.candidate.sdpMid || '', mline: e.candidate.sdpMLineIndex || 0 });
    };
    pc.oniceconnectionstatechange = () => {
      const s = pc.iceConnectionState;
      c.up = s === 'connected' || s === 'completed';
      if (c.up && c === next) arrive(c);
      if (c === (next || now)) deps.state(s);
    };
    return c;
  }

  /** The new connection is up. While the old one plays, it takes over when it has a picture or sound to show. */
  function arrive(c: Conn): void {
    if (!now || !now.up) {
      swap(c);
      return;
    }
    const here = () => { if (c === next) swap(c); };
    setTimeout(here, patience);
    for (const t of Array.from(c.byId.values())) {
      if (!t.muted) here();
      else t.onunmute = here;
    }
  }

  function swap(c: Conn): void {
    const old = now;
    now = c;
    next = null;
    if (old) old.pc.close();
    deps.changed(true);
  }

  async function take(b: RTCSdp): Promise<void> {
    const session = sessionId(b.sdp);
    let c = next && next.session === session ? next : now && now.session === session ? now : null;
    if (!c) {
      if (next) next.pc.close();
      c = make(session);
      next = c;
    } else if (b.gen < c.gen) return; // stale
    c.gen = b.gen;
    await c.pc.setRemoteDescription({ type: 'offer', sdp: b.sdp });
    c.ids = trackIds(b.sdp);
    const answer = await c.pc.createAnswer();
    if (c.pc.signalingState === 'closed') return;
    await c.pc.setLocalDescription(answer);
    deps.send('rtc.answer', { pc: 'sub', gen: b.gen, sdp: answer.sdp });
    if (!now) swap(c); // nothing plays yet: show tracks as they come
    else deps.changed(false);
  }

  return {
    get pc() { return (next || now)?.pc || null; },
    offer(b) {
      const done = queue.then(() => take(b));
      queue = done.catch(() => undefined); // one offer at a time; a failed one does not block the next
      return done;
    },
    track(mid) {
      if (!now) return null;
      const id = now.ids.get(mid);
      const named = id ? now.byId.get(id) : undefined;
      if (named) return named;
      if (!now.pc.getTransceivers) return null;
      const t = now.pc.getTransceivers().find((x) => x.mid === mid);
      return t ? t.receiver.track : null;
    },
    alive: () => !!(next || now) && (next || now)!.up,
    close() {
      for (const c of [now, next]) if (c) c.pc.close();
      now = next = null;
    },
  };
}
