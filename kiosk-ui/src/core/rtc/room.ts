// One participant's place in a video room: the media line (/ws/rtc), the receiving and the sending connection, who is
// here, who hears me. The sub connection is made at once (while it rings); camera, microphone and pub start with
// publish(), after the person's OK. A broken line comes back with a fresh media ticket and builds new connections beside
// the old ones, which play on meanwhile.
import { ApiError, asApiError } from '../api';
import { type Link, openLink } from '../link';
import { reloadWhenAnswered } from '../reload';
import { createStore, type Readable } from '../store';
import type { Attach, RoomChat, RoomPerson, RoomPhase, RoomReady, RTCProfile, RTCSdp, RTCTrackInfo, RTCTracks, TrackKind } from '../types';
import { createLadder, type Ladder, type Words } from './ladder';
import { createPub } from './pub';
import { quality, readFlow } from './stats';
import { createSub } from './sub';

/** 'opening' first dial · 'live' · 'broken' comes back by itself · 'replaced' another window or phone took this place ·
 *  'removed' the mediator or the end of the room · 'failed' nothing helps here · 'closed' by us. */
export type RoomState = 'opening' | 'live' | 'broken' | 'replaced' | 'removed' | 'failed' | 'closed';

export interface Tile { participant: string; name: string; kind: TrackKind; track: MediaStreamTrack | null; live: boolean; muted: boolean }
export interface Caption { participant: string; name: string; text: string; at: number }

export interface RoomView {
  state: RoomState;
  /** Code behind 'failed' or 'removed', or why the last entry was refused. */
  code: string;
  /** What the ladder says now; '' = all well. A key of common.json: `net.<words>`. */
  words: Words;
  net: 'good' | 'fair' | 'weak';
  phase: RoomPhase | null;
  members: RoomPerson[];
  tiles: Tile[];
  /** One stream a remote participant; the object changes when its tracks change. */
  streams: Record<string, MediaStream>;
  /** Own wish; `forced` = the room silences me whatever I wish. */
  muted: { mic: boolean; cam: boolean };
  publishing: boolean;
  audioOnly: boolean;
  levels: Record<string, number>;
  captions: Caption[];
  /** Own participant id, from the entry. */
  self: string;
  profile: RTCProfile | null;
}

export interface RoomStats { rttMs: number | null; lossPct: number; kbpsIn: number; kbpsOut: number; framesDecoded: number }

export interface Room extends Readable<RoomView> {
  /** Starts or changes what is sent; null sends nothing. Only for `full` and `capture`. */
  publish(stream: MediaStream | null): Promise<void>;
  mute(kind: TrackKind, on: boolean): void;
  /** A caption line; only the mediator's reaches the others. */
  chat(text: string): boolean;
  /** Sizes at which tiles are drawn, in device pixels. */
  want(tiles: { track: string; w: number; h: number; visible: boolean }[]): void;
  stats(): RoomStats;
  /** What the page's fact says of the room: the placement. A newer one than that of our entry: we go there. */
  placed(fence: number): void;
  /** Comes back after 'replaced' (the person chose this window) or looks at once during a break. */
  resume(): void;
  close(): void;
}

export interface RoomOpts {
  /** POST /sessions/{id}/media-tickets; asked before every dial. */
  entry: () => Promise<RoomReady>;
  attach: Attach;
  /** The room says: read the situation again (not admitted, moved, over). */
  onReread?: () => void;
}

/** Wait after the n-th refusal of an entry. A session that stays over is asked for rarely; resume() asks at once. */
export const refusedWait = (code: string, n: number, random: number): number =>
  n > 3 && (code === 'session.state' || code === 'session.none') ? 15000 + 15000 * random : 1500;

const admitRetry = 2000;
const statsEvery = 2000;
const captionsKept = 20;

const reloadMark = 'heyi.reloaded';

/** A reload leads back into the call. Not twice in a minute: then it did not help. */
function reloadOnce(): void {
  try {
    if (Date.now() - Number(sessionStorage.getItem(reloadMark) || 0) < 60000) return;
    sessionStorage.setItem(reloadMark, String(Date.now()));
  } catch {
    return; // nobody would remember
  }
  reloadWhenAnswered();
}

function codecs(): string[] {
  const r = typeof RTCRtpReceiver !== 'undefined' ? RTCRtpReceiver : null;
  if (!r || !r.getCapabilities) return ['VP8', 'opus'];
  const names = new Set<string>();
  for (const kind of ['video', 'audio']) {
    const caps = r.getCapabilities(kind);
    for (const c of caps ? caps.codecs : []) names.add(c.mimeType.split('/')[1] || '');
  }
  return Array.from(names).filter((n) => n === 'VP8' || n === 'H264' || n === 'VP9' || n === 'opus');
}

export function openRoom(o: RoomOpts): Room {
  const view = createStore<RoomView>({
    state: 'opening', code: '', words: '', net: 'good', phase: null, members: [], tiles: [], streams: {}, muted: { mic: false, cam: false },
    publishing: false, audioOnly: false, levels: {}, captions: [], self: '', profile: null,
  });
  const patch = (p: Partial<RoomView>) => view.set({ ...view.get(), ...p });

  const receives = o.attach !== 'capture';
  const sends = o.attach !== 'view';
  let ready: RoomReady | null = null;
  let infos: RTCTrackInfo[] = [];
  let tracksEpoch = 0;
  let serverMic: boolean | null = null; // my microphone's mute as the room last told it on this line
  let zoneEpoch = 0; // when my zone last changed: tracks told before it are not drawn
  let stream: MediaStream | null = null;
  let closed = false;
  let halted = false; // another window or phone has this place; resume() ends it
  let wantTimer: ReturnType<typeof setTimeout> | undefined;
  let wishTold = false;
  let wish: { track: string; w: number; h: number; visible: boolean }[] = [];
  let refusals = 0; // of the entry, one after the other
  let last: RoomStats = { rttMs: null, lossPct: 0, kbpsIn: 0, kbpsOut: 0, framesDecoded: 0 };

  const ice = () => (ready ? ready.rtc.ice || [] : []);
  const send = (t: string, b: object) => link.send(t, b);

  let awaiting = false; // the line is new, its receiving connection is not up yet: mids of rtc.tracks are not those on screen
  const sub = createSub({
    send,
    ice,
    changed(swapped) {
      if (swapped) awaiting = false;
      draw();
    },
    state: (s) => { subLadder.ice(s); },
  });
  const pub = createPub({ send, ice, state: (s) => { pubLadder.ice(s); } });

  /** A line on its way comes back by itself and builds new connections; another dial would only cut it short. */
  const coming = () => link.get().at === 'dialling' || link.get().at === 'down';

  const subLadder: Ladder = createLadder({
    restart: () => { send('rtc.restart', { pc: 'sub' }); },
    renew(whole) {
      if (halted || closed || coming()) return;
      if (whole || !send('rtc.restart', { pc: 'sub', fresh: true })) link.redial();
    },
    audioOnly: soundFirst,
    alive: () => sub.alive(),
    said,
  });
  const pubLadder: Ladder = createLadder({
    restart: () => { void pub.restart(); },
    renew(whole) {
      if (halted || closed || coming()) return;
      if (whole || !link.up) link.redial();
      else void pub.renew();
    },
    audioOnly: soundFirst,
    alive: () => pub.alive(),
    said,
  });

  const rank: Words[] = ['', 'reconnecting', 'blip', 'audio', 'told'];
  function said(): void {
    const both = [receives ? subLadder.words : '', sends ? pubLadder.words : ''] as Words[];
    patch({ words: rank[Math.max(...both.map((w) => rank.indexOf(w)))] || '' });
  }

  function soundFirst(on: boolean): void {
    patch({ audioOnly: on });
    pub.video(!on);
    tellWish();
  }

  /** Asks for the entry; while the room has no node the server says when to ask again, and it is soon. */
  async function enter(): Promise<RoomReady> {
    for (;;) {
      try {
        return await o.entry();
      } catch (e) {
        const err = asApiError(e);
        if (err.code !== 'session.moving' || closed || halted) throw err;
        patch({ code: err.code });
        await new Promise((next) => setTimeout(next, err.retryMs * (0.8 + 0.4 * Math.random())));
      }
    }
  }

  /** The room stands elsewhere. What we have plays on only when its node said so; else it is closed first. */
  let drained = false;
  let followed = 0;
  function follow(r: RoomReady): void {
    const moved = ready !== null && r.rtc.fence > ready.rtc.fence;
    ready = r;
    if (moved && !drained) {
      sub.close();
      pub.cut();
      draw();
    }
    drained = false;
  }

  const link: Link = openLink({
    path: () => (ready && ready.rtc.url ? ready.rtc.url : '/ws/rtc'),
    profile: () => 'call',
    async auth() {
      try {
        follow(await enter());
      } catch (e) {
        const err = asApiError(e);
        patch({ code: err.code });
        if (err.status >= 400 && err.status < 429) {
          if (o.onReread) o.onReread();
          throw new ApiError(503, err.code, '', '', refusedWait(err.code, ++refusals, Math.random())); // the owner closes us if the session is over; else try again
        }
        throw err;
      }
      refusals = 0;
      const { participant_id, rtc: { ticket } } = ready!;
      patch({ self: participant_id });
      return () => Promise.resolve({ kind: 'room', ticket });
    },
    onFrame: frame,
    onUp() {
      subLadder.line(true);
      pubLadder.line(true);
      patch({ state: 'live', code: '' });
      awaiting = receives;
      serverMic = null;
      send('rtc.want', { attach: o.attach, codecs: codecs(), engine: navigator.userAgent.slice(0, 120) });
      tellWish();
      if (receives) subLadder.opening();
      if (sends && pub.begun) {
        pubLadder.opening();
        void pub.renew(); // the new media session knows nothing of the old connection
      }
      tellMutes();
    },
    onDown() {
      subLadder.line(false);
      pubLadder.line(false);
      if (view.get().state === 'live') patch({ state: 'broken' });
    },
    onFatal(code) {
      if (code === 4003) {
        stop('replaced', 'rtc.replaced');
        return;
      }
      subLadder.line(false);
      pubLadder.line(false);
      patch({ state: code === 4506 ? 'broken' : 'removed', code: `link.${code}` });
      if (o.onReread) o.onReread();
      // not admitted now: the owner closes us when the session is over, else the entry says when we may
      if (code === 4506) setTimeout(() => { if (!closed && !halted) link.redial(); }, admitRetry);
    },
  });

  function frame(t: string, b: unknown): void {
    switch (t) {
      case 'rtc.offer':
        if ((b as RTCSdp).pc === 'sub') {
          subLadder.opening();
          sub.offer(b as RTCSdp).catch(() => subLadder.silent());
        }
        break;
      case 'rtc.answer':
        if ((b as RTCSdp).pc === 'pub') pub.answer(b as RTCSdp).catch(() => pubLadder.silent());
        break;
      case 'rtc.tracks': {
        const m = b as RTCTracks;
        if (m.epoch < tracksEpoch) return;
        tracksEpoch = m.epoch;
        infos = m.tracks || [];
        if (m.profile) {
          pub.profile(m.profile);
          patch({ profile: m.profile });
        }
        draw();
        break;
      }
      case 'room.phase': {
        const p = b as RoomPhase;
        const held = view.get().phase;
        if (held && p.epoch < held.epoch) return;
        if (!held || held.zone !== p.zone) zoneEpoch = p.epoch;
        patch({ phase: { ...p, can_hear: p.can_hear || [], can_see: p.can_see || [] } });
        draw();
        break;
      }
      case 'room.member': {
        const members = (b as { members: RoomPerson[] | null }).members || [];
        const me = members.find((m) => m.participant === view.get().self);
        // TV and phone of one person mute together, and the room may silence both; what it says first after a dial is
        // only compared, so that a server that forgot my mute does not open my microphone
        if (me && serverMic !== null && me.mic_muted !== serverMic) setMuted('mic', me.mic_muted);
        else if (me && me.mic_muted) setMuted('mic', true);
        if (me) serverMic = me.mic_muted;
        patch({ members });
        break;
      }
      case 'rtc.levels':
        patch({ levels: (b as { levels: Record<string, number> }).levels || {} });
        break;
      case 'room.chat': {
        const c = b as RoomChat;
        patch({ captions: view.get().captions.concat({ participant: c.participant || '', name: c.name || '', text: c.text, at: Date.now() }).slice(-captionsKept) });
        break;
      }
      case 'rtc.restart':
        if ((b as { pc: string }).pc === 'pub' && pub.begun) void pub.restart();
        break;
      case 'rtc.move':
        drained = (b as { why: string }).why === 'drain';
        link.redial();
        break;
      case 'rtc.fail':
        fail(b as { code: string; retry_ms?: number });
        break;
      case 'room.ended':
        if (o.onReread) o.onReread();
        break;
    }
  }

  function fail(f: { code: string; retry_ms?: number }): void {
    switch (f.code) {
      case 'rtc.bad_sdp':
      case 'rtc.ufrag_conflict':
      case 'rtc.data_channel':
        patch({ state: 'failed', code: f.code });
        break;
      case 'rtc.no_codec':
        pub.video(false);
        patch({ audioOnly: true });
        break;
      case 'rtc.ticket_expired':
      case 'rtc.ticket_used':
      case 'rtc.stale_fence':
        link.redial();
        break;
      case 'rtc.draining': // the node leaves: its picture plays on until the next one has us
        setTimeout(() => { if (!closed && !halted) link.redial(); }, Math.max(500, f.retry_ms || 0));
        break;
      case 'rtc.frozen': // the node cannot ask anybody; what plays plays on
        setTimeout(() => tellMutes(true), Math.max(1000, f.retry_ms || 0));
        break;
      case 'rtc.stale_epoch': // a mute under an old room: say it again under the present one
        tellMutes(true);
        break;
      case 'rtc.not_admitted':
      case 'rtc.room_full':
        if (o.onReread) o.onReread();
        break;
      case 'rtc.too_many_tracks':
      case 'rtc.rate_limited':
        setTimeout(() => { if (!closed && pub.begun) void pub.renew(); }, Math.max(1000, f.retry_ms || 0));
        break;
      case 'rtc.replaced':
        stop('replaced', f.code);
        break;
      case 'rtc.removed':
        stop('removed', f.code);
        if (o.onReread) o.onReread();
        break;
      default: // rtc.internal and what later versions add
        if (receives) subLadder.silent();
        else pubLadder.silent();
    }
  }

  /** Leaves the line but keeps the room object: resume() comes back. */
  function stop(state: RoomState, code: string): void {
    halted = true;
    link.halt();
    sub.close();
    pub.close();
    infos = [];
    patch({ state, code, tiles: [], streams: {}, publishing: false });
  }

  function draw(): void {
    const v = view.get();
    const old = tracksEpoch < zoneEpoch;
    const trackOf = (i: RTCTrackInfo): MediaStreamTrack | null => {
      // a muted microphone keeps its track in the stream: taking it out and in would restart the picture
      if (old || !(i.live || (i.muted && i.kind === 'mic'))) return null;
      if (!awaiting) return sub.track(i.mid);
      const held = v.tiles.find((t) => t.participant === i.participant && t.kind === i.kind);
      return held ? held.track : null;
    };
    const tiles: Tile[] = infos.map((i) => ({ participant: i.participant, name: i.name, kind: i.kind, muted: i.muted, live: i.live && !old, track: trackOf(i) }));
    const streams: Record<string, MediaStream> = {};
    for (const p of Array.from(new Set(tiles.map((t) => t.participant)))) {
      const tracks = tiles.filter((t) => t.participant === p && t.track).map((t) => t.track!);
      const held = v.streams[p];
      const same = held && held.getTracks().length === tracks.length && tracks.every((t) => held.getTracks().indexOf(t) >= 0);
      if (same) streams[p] = held;
      else if (tracks.length > 0) streams[p] = new MediaStream(tracks);
    }
    patch({ tiles, streams });
  }

  const epoch = () => {
    const p = view.get().phase;
    return p ? p.epoch : tracksEpoch;
  };

  function setMuted(kind: TrackKind, on: boolean): void {
    patch({ muted: { ...view.get().muted, [kind]: on } });
    if (stream) for (const t of kind === 'mic' ? stream.getAudioTracks() : stream.getVideoTracks()) t.enabled = !on;
  }

  function tellMutes(all = false): void {
    if (!sends) return;
    const m = view.get().muted;
    for (const kind of ['mic', 'cam'] as const) if (all || m[kind]) send('rtc.mute', { kind, on: m[kind], epoch: epoch() });
  }

  function tellWish(): void {
    clearTimeout(wantTimer);
    if (!receives) return;
    wantTimer = setTimeout(() => {
      const v = view.get();
      const tiles = v.audioOnly ? v.tiles.filter((t) => t.kind === 'cam').map((t) => ({ track: `${t.participant}:cam`, w: 0, h: 0, visible: false })) : wish;
      if (tiles.length > 0 || wishTold) send('rtc.want', { tiles }); // a list replaces the one before it
      wishTold = tiles.length > 0;
    }, 200);
  }

  // ---- does media flow? every 2 s
  let before = { bytesIn: 0, bytesOut: 0, lost: 0, received: 0, at: 0 };
  let weakBefore = false;
  let dryIn = 0;
  let dryOut = 0;
  const statsTimer = setInterval(() => { void look(); }, statsEvery);

  async function look(): Promise<void> {
    if (closed || halted) return;
    const [s, p] = await Promise.all([readFlow(sub.pc), readFlow(pub.pc)]);
    if (closed) return;
    const now = Date.now();
    const dt = Math.max(1, now - (before.at || now - statsEvery));
    const dIn = s.bytesIn - before.bytesIn;
    const dOut = p.bytesOut - before.bytesOut;
    const lost = s.lost + p.lost - before.lost;
    const got = s.received - before.received;
    const rtts = [s.rttMs, p.rttMs].filter((x): x is number => x !== null);
    last = {
      rttMs: rtts.length > 0 ? Math.round(Math.max(...rtts)) : null,
      lossPct: lost > 0 ? Math.min(100, Math.round((100 * lost) / Math.max(1, got + lost))) : 0,
      kbpsIn: Math.max(0, Math.round((dIn * 8) / dt)),
      kbpsOut: Math.max(0, Math.round((dOut * 8) / dt)),
      framesDecoded: s.decoded,
    };
    before = { bytesIn: s.bytesIn, bytesOut: p.bytesOut, lost: s.lost + p.lost, received: s.received, at: now };
    const v = view.get();
    const due = v.tiles.some((t) => t.live && !t.muted && t.kind === 'mic');
    dryIn = due && dIn <= 0 ? dryIn + dt : 0;
    const sending = v.publishing && !v.muted.mic && !!stream && stream.getAudioTracks().length > 0;
    dryOut = sending && pub.alive() && dOut <= 0 ? dryOut + dt : 0;
    if (dryIn >= 10000) {
      dryIn = 0;
      subLadder.silent();
    }
    if (dryOut >= 10000) {
      dryOut = 0;
      pubLadder.silent();
    }
    const net = quality(last.rttMs, last.lossPct);
    if (net !== v.net && (net !== 'weak' || weakBefore)) patch({ net }); // one bad reading is not a weak line
    weakBefore = net === 'weak';
    send('rtc.stats', { rtt_ms: last.rttMs || 0, loss_pct: last.lossPct, kbps_in: last.kbpsIn, kbps_out: last.kbpsOut, frames: last.framesDecoded });
  }

  const shaken = () => {
    if (closed || halted) return;
    link.resume();
    if (receives && sub.pc) subLadder.shaken();
    if (sends && pub.begun) pubLadder.shaken();
  };
  const visible = () => { if (document.visibilityState === 'visible') shaken(); };
  // this page was loaded before the room's node joined: its policy does not know that address, a fresh page does
  const blocked = (e: SecurityPolicyViolationEvent) => {
    if (ready && e.blockedURI && ready.rtc.url.indexOf(e.blockedURI.replace(/\/$/, '')) === 0) reloadOnce();
  };
  document.addEventListener('securitypolicyviolation', blocked);
  window.addEventListener('online', shaken);
  document.addEventListener('visibilitychange', visible);

  return {
    get: view.get,
    subscribe: view.subscribe,
    async publish(s) {
      if (!sends || closed) return;
      stream = s;
      if (halted) return; // resume() sends it
      for (const kind of ['mic', 'cam'] as const) setMuted(kind, view.get().muted[kind]);
      patch({ publishing: !!s });
      if (!pub.begun) pubLadder.opening();
      await pub.publish(s);
      tellMutes();
    },
    mute(kind, on) {
      setMuted(kind, on);
      send('rtc.mute', { kind, on, epoch: epoch() });
    },
    chat: (text) => send('room.chat', { text }),
    want(tiles) {
      wish = tiles;
      tellWish();
    },
    stats: () => last,
    placed(fence) {
      // a line that is down asks by itself and goes there; one that is up is told once
      if (!ready || closed || halted || !link.up || fence <= Math.max(ready.rtc.fence, followed)) return;
      if (fence !== Infinity) followed = fence;
      link.redial();
    },
    resume() {
      if (closed) return;
      if (halted) {
        halted = false;
        patch({ state: 'opening', code: '' });
        link.redial();
        if (stream && sends) void pub.publish(stream).then(() => patch({ publishing: true }));
      } else link.resume();
    },
    close() {
      if (closed) return;
      closed = true;
      clearInterval(statsTimer);
      clearTimeout(wantTimer);
      window.removeEventListener('online', shaken);
      document.removeEventListener('visibilitychange', visible);
      document.removeEventListener('securitypolicyviolation', blocked);
      subLadder.close();
      pubLadder.close();
      link.close();
      sub.close();
      pub.close();
      patch({ state: 'closed', tiles: [], streams: {}, publishing: false });
    },
  };
}
