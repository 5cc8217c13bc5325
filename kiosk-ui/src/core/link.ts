// The link heyi.v1 of a page (docs/protocol.md §4): challenge, connect, welcome; then frames both ways. It comes back
// by the rule of the close code; what nothing but a person can mend is told by onFatal and mended by resume().
import { asApiError } from './api';
import { createStore, type Readable } from './store';
import type { AppInfo, AuthBody, Challenge, Frame, Welcome, WireError } from './types';

/** 'call' is a media line: somebody is cut off until it is back, and only a few meet at its node. */
export type Profile = 'call' | 'attended' | 'unattended' | 'device';

/** Builds the proof once the challenge is known. */
export type Proof = (ch: Challenge) => Promise<AuthBody>;

export interface LinkOpts {
  /** '/ws/v1', '/ws/rtc' or a whole ws(s) address; a function is asked after `auth`. */
  path: string | (() => string);
  /** Called before each dial: fetches what the proof needs (a one-time token, a media ticket). */
  auth: () => Promise<Proof>;
  profile: () => Profile;
  app?: AppInfo;
  bootId?: string;
  /** A ticket, visit or room is open at this page. */
  serving?: () => boolean;
  /** Further fields of connect: where the journal of a terminal stands. */
  more?: () => object;
  /** The server has stored our durable frames up to this one. */
  onAck?: (seq: number) => unknown;
  onFrame: (t: string, b: unknown, frame: Frame) => void;
  onUp?: (welcome: Welcome) => void;
  /** The line is down; the link comes back by itself. */
  onDown?: (code: number, reason: string) => void;
  /** The line stays down until resume(): 4003, 4004, 4500-4503, 4505-4507. */
  onFatal?: (code: number) => void;
  env?: Partial<LinkEnv>;
}

/** What a test replaces. */
export interface LinkEnv {
  socket: (url: string, protocol: string) => WebSocket;
  origin: () => string;
  random: () => number;
  now: () => number;
  on: (event: 'online' | 'visible', cb: () => void) => () => void;
}

export type LinkStatus = { at: 'dialling' | 'up' | 'down' | 'fatal' | 'closed'; code: number; since: number };

export interface Link extends Readable<LinkStatus> {
  readonly up: boolean;
  /** Access token of this link ('' before the first welcome). */
  access(): string;
  /** Waits for a live link and resolves with its access token. */
  token(timeoutMs?: number): Promise<string>;
  request<B = unknown>(t: string, b?: object, timeoutMs?: number): Promise<B>;
  /** Sends without an answer, with `seq` as a durable frame, with `ack` of theirs; false when the line is down. */
  send(t: string, b?: object, seq?: number, ack?: number): boolean;
  /** Dials now: after a fatal code when the person asks, or during a wait when a key is pressed. */
  resume(): void;
  /** Closes this socket and dials anew at once. */
  redial(): void;
  /** Closes this socket and stays down until resume() or redial(). */
  halt(): void;
  close(): void;
}

/** A request that the server refused, or that the line lost (`net.down`, `net.timeout`). */
export class LinkError extends Error {
  constructor(readonly reason: string, readonly code = 0, readonly retryMs = 0, readonly ref = '') {
    super(reason);
    this.name = 'LinkError';
  }
}

export const subprotocol = 'heyi.v1.json';

/** Delay before a new dial: uniform in 0 .. min(cap, base * 2^n). */
export function backoff(profile: Profile, n: number, random: number): number {
  const rule = { call: [300, 1000], attended: [500, 8000], unattended: [2000, 60000], device: [2000, 300000] }[profile];
  return random * Math.min(rule[1]!, rule[0]! * 2 ** Math.min(n, 20));
}

const present = (p: Profile): boolean => p === 'attended' || p === 'call';
const fatalCodes = new Set([4003, 4004, 4500, 4501, 4502, 4503, 4505, 4506, 4507]);
const hour = 3600_000;
const welcomeWithin = 15000; // dial, challenge and welcome together
const pongWithin = 10000;
const pingAttended = 20000;
const pingIdle = 60000; // a page cannot see the server's pings; this finds a half-open line within 70 s
const healthyAfter = 60000;
const degradedEvery = 5000; // while pushes may be lost between the server's nodes, the page looks again this often

const browserEnv: LinkEnv = {
  socket: (url, protocol) => new WebSocket(url, protocol),
  origin: () => location.origin.replace(/^http/, 'ws'),
  random: Math.random,
  now: () => Date.now(),
  on(event, cb) {
    const target: EventTarget = event === 'online' ? window : document;
    const name = event === 'online' ? 'online' : 'visibilitychange';
    const handler = () => { if (event === 'online' || document.visibilityState === 'visible') cb(); };
    target.addEventListener(name, handler);
    return () => target.removeEventListener(name, handler);
  },
};

export function openLink(opts: LinkOpts): Link {
  const env: LinkEnv = { ...browserEnv, ...opts.env };
  const status = createStore<LinkStatus>({ at: 'dialling', code: 0, since: env.now() });
  const pending = new Map<number, { ok: (b: unknown) => void; no: (e: LinkError) => void; timer: ReturnType<typeof setTimeout> }>();
  const tokenWaiters = new Set<() => void>();
  let ws: WebSocket | null = null;
  let token = '';
  let tries = 0;
  let nextId = 1;
  let windowMs = 0; // spread of the whole site's return, from welcome or going_away
  let welcomedAt = 0;
  let dial = 0; // generation: a late answer of an older dial does nothing
  let why = 'boot';
  let retryTimer: ReturnType<typeof setTimeout> | undefined;
  let handTimer: ReturnType<typeof setTimeout> | undefined;
  let pingTimer: ReturnType<typeof setTimeout> | undefined;
  let pongTimer: ReturnType<typeof setTimeout> | undefined;
  let pongDue = false;
  let askTimer: ReturnType<typeof setInterval> | undefined;

  /** While the server is degraded: "look again", as after a sync, every 5 s (protocol.md §4). */
  function degraded(on: boolean): void {
    clearInterval(askTimer);
    if (on) askTimer = setInterval(() => opts.onFrame('sync', {}, { v: 1, t: 'sync' }), degradedEvery * (0.8 + 0.4 * env.random()));
  }

  const go = (at: LinkStatus['at'], code = 0) => status.set({ at, code, since: env.now() });

  async function connect(): Promise<void> {
    const mine = ++dial;
    clearTimeout(retryTimer);
    if (status.get().at !== 'down') go('dialling'); // while it comes back by itself it stays 'down' for the screen
    let proof: Proof;
    try {
      proof = await opts.auth();
    } catch (e) {
      if (mine !== dial) return;
      const err = asApiError(e);
      if (err.status === 401) fatal(4507);
      else retry(Math.max(err.retryMs, wait()), 0, err.code);
      return;
    }
    if (mine !== dial) return;
    const path = typeof opts.path === 'function' ? opts.path() : opts.path;
    let sock: WebSocket;
    try {
      sock = env.socket(/^wss?:/.test(path) ? path : env.origin() + path, subprotocol);
    } catch {
      retry(wait(), 1006, 'dial');
      return;
    }
    ws = sock;
    handTimer = setTimeout(() => drop(1006, 'handshake'), welcomeWithin);
    sock.onmessage = (ev) => { if (sock === ws) void read(sock, proof, String(ev.data)); };
    sock.onclose = (ev) => { if (sock === ws) closed(ev.code, ev.reason); };
    sock.onerror = () => undefined; // onclose follows
  }

  async function read(sock: WebSocket, proof: Proof, text: string): Promise<void> {
    let f: Frame;
    try {
      f = JSON.parse(text) as Frame;
    } catch {
      drop(4005, 'json');
      return;
    }
    if (f.ack && opts.onAck) opts.onAck(f.ack);
    switch (f.t) {
      case 'challenge': {
        let auth: AuthBody;
        try {
          auth = await proof(f.b as Challenge);
        } catch {
          if (sock === ws) {
            closeSocket(1000);
            fatal(4502);
          }
          return;
        }
        if (sock !== ws) return;
        write('connect', { auth, boot_id: opts.bootId, app: opts.app || { name: 'page', ver: '0' }, caps: [], why, serving: opts.serving ? opts.serving() : false, ...(opts.more && opts.more()) });
        return;
      }
      case 'welcome': {
        const w = f.b as Welcome;
        clearTimeout(handTimer);
        welcomedAt = env.now();
        windowMs = w.reconnect ? w.reconnect.window_ms : 0;
        if (w.access) token = w.access.token;
        why = 'lost';
        degraded(!!w.degraded);
        go('up');
        armPing();
        for (const cb of Array.from(tokenWaiters)) cb();
        if (opts.onUp) opts.onUp(w);
        return;
      }
      case 'pong':
        pongDue = false;
        clearTimeout(pongTimer);
        return;
      case 'ping':
        write('pong', { now_at: env.now() * 1000 });
        return;
      case 'link_config': {
        const b = f.b as Partial<Welcome>;
        if (b.access) token = b.access.token;
        if (b.degraded !== undefined) degraded(b.degraded);
        break;
      }
      case 'going_away':
        windowMs = (f.b as { window_ms?: number }).window_ms || windowMs;
        break;
    }
    if (f.re) {
      const p = pending.get(f.re);
      if (p) {
        pending.delete(f.re);
        clearTimeout(p.timer);
        if (f.err) p.no(linkError(f.err));
        else p.ok(f.b);
      }
      return;
    }
    opts.onFrame(f.t, f.b, f);
  }

  function write(t: string, b?: object, id?: number, seq?: number, ack?: number): boolean {
    if (!ws || ws.readyState !== 1) return false;
    const frame: Frame = { v: 1, t };
    if (id) frame.id = id;
    frame.seq = seq;
    frame.ack = ack;
    if (b) frame.b = b;
    ws.send(JSON.stringify(frame));
    return true;
  }

  function armPing(): void {
    clearTimeout(pingTimer);
    pingTimer = setTimeout(ping, present(opts.profile()) ? pingAttended : pingIdle);
  }

  function ping(): void {
    if (status.get().at !== 'up') return;
    if (!pongDue && write('ping', {}, nextId++)) {
      pongDue = true;
      clearTimeout(pongTimer);
      pongTimer = setTimeout(() => drop(4007, 'no pong'), pongWithin);
    }
    armPing();
  }

  function closeSocket(code: number): void {
    const old = ws;
    ws = null;
    clearTimeout(handTimer);
    clearTimeout(pingTimer);
    clearTimeout(pongTimer);
    degraded(false);
    pongDue = false;
    if (old && old.readyState < 2) old.close(code);
    for (const p of Array.from(pending.values())) {
      clearTimeout(p.timer);
      p.no(new LinkError('net.down'));
    }
    pending.clear();
  }

  /** Gives the socket up from our side and comes back as after a lost line. */
  function drop(code: number, reason: string): void {
    closeSocket(1000);
    closed(code, reason);
  }

  function closed(code: number, reason: string): void {
    closeSocket(1000);
    if (welcomedAt && env.now() - welcomedAt >= healthyAfter) tries = 0;
    welcomedAt = 0;
    token = '';
    if (fatalCodes.has(code)) {
      fatal(code);
      return;
    }
    const profile = opts.profile();
    switch (code) {
      case 4000: // everybody returns inside the window; whoever waits for a person comes back within 8 s
        retry(env.random() * Math.min(windowMs || 5000, profile === 'call' ? 1000 : profile === 'attended' ? 8000 : 300000), code, reason);
        return;
      case 4002:
      case 4006:
        retry(2000 + Number(/\d+/.exec(reason) || 0) + wait(), code, reason);
        return;
      case 4504:
        retry(hour * (0.8 + 0.4 * env.random()), code, reason);
        return;
      case 1006:
        if (profile === 'device') {
          retry(env.random() * Math.min(windowMs || 30000, 30000), code, reason);
          return;
        }
    }
    retry(wait(), code, reason);
  }

  const wait = () => backoff(opts.profile(), tries++, env.random());

  function retry(ms: number, code: number, reason: string): void {
    if (status.get().at !== 'down') go('down', code);
    clearTimeout(retryTimer);
    retryTimer = setTimeout(() => void connect(), ms);
    if (opts.onDown) opts.onDown(code, reason);
  }

  function fatal(code: number): void {
    clearTimeout(retryTimer);
    go('fatal', code);
    if (code === 4505) retryTimer = setTimeout(() => void connect(), hour * (0.8 + 0.4 * env.random()));
    if (opts.onFatal) opts.onFatal(code);
  }

  function resume(): void {
    const at = status.get().at;
    if (at === 'up') ping();
    else if (at !== 'closed' && !ws) {
      tries = 0;
      why = 'user';
      if (at === 'fatal') go('dialling');
      void connect();
    }
  }

  // after sleep, a hidden tab or a new network the line may be dead without knowing: ask at once, dial at once
  const offs = [env.on('online', resumeUnlessFatal), env.on('visible', resumeUnlessFatal)];
  function resumeUnlessFatal(): void {
    if (status.get().at !== 'fatal') resume();
  }

  void connect();

  return {
    get: status.get,
    subscribe: status.subscribe,
    get up() { return status.get().at === 'up'; },
    access: () => token,
    token(timeoutMs = 10000) {
      if (token && status.get().at === 'up') return Promise.resolve(token);
      return new Promise((ok, no) => {
        const done = () => {
          tokenWaiters.delete(done);
          clearTimeout(timer);
          ok(token);
        };
        const timer = setTimeout(() => {
          tokenWaiters.delete(done);
          no(new LinkError('net.down'));
        }, timeoutMs);
        tokenWaiters.add(done);
      });
    },
    request<B>(t: string, b: object = {}, timeoutMs = 10000): Promise<B> {
      return new Promise<B>((ok, no) => {
        const id = nextId++;
        if (!write(t, b, id)) {
          no(new LinkError('net.down'));
          return;
        }
        const timer = setTimeout(() => {
          pending.delete(id);
          no(new LinkError('net.timeout'));
        }, timeoutMs);
        pending.set(id, { ok: (v) => ok(v as B), no, timer });
      });
    },
    send: (t, b = {}, seq, ack) => status.get().at === 'up' && write(t, b, 0, seq, ack),
    resume,
    redial() {
      if (status.get().at === 'closed') return;
      closeSocket(1000);
      clearTimeout(retryTimer);
      tries = 0;
      welcomedAt = 0;
      token = '';
      go('down');
      if (opts.onDown) opts.onDown(0, 'redial');
      void connect();
    },
    halt() {
      if (status.get().at === 'closed') return;
      dial++;
      closeSocket(1000);
      clearTimeout(retryTimer);
      welcomedAt = 0;
      token = '';
      go('fatal');
    },
    close() {
      dial++;
      closeSocket(1000);
      clearTimeout(retryTimer);
      for (const off of offs) off();
      go('closed');
    },
  };
}

const linkError = (e: WireError) => new LinkError(e.reason || `link.${e.code}`, e.code, e.retry_after_ms || 0, e.ref || '');
