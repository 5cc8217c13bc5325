import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../src/core/api';
import { backoff, type Link, LinkError, type LinkOpts, openLink, subprotocol } from '../src/core/link';
import type { Welcome } from '../src/core/types';

/** A socket whose other end is the test. */
class Socket {
  readyState = 1;
  sent: { t: string; id?: number; b?: unknown }[] = [];
  onmessage: ((e: { data: string }) => void) | null = null;
  onclose: ((e: { code: number; reason: string }) => void) | null = null;
  constructor(readonly url: string, readonly protocol: string) {}
  send(text: string) { this.sent.push(JSON.parse(text)); }
  close() { this.readyState = 3; }
  frame(t: string, b: unknown = {}, more: object = {}) { this.onmessage!({ data: JSON.stringify({ v: 1, t, b, ...more }) }); }
  die(code: number, reason = '') {
    this.readyState = 3;
    this.onclose!({ code, reason });
  }
  last(t: string) { return this.sent.filter((f) => f.t === t).pop(); }
}

const welcome: Welcome = {
  link: 'l1', epoch: 7, access: { token: 'tok', exp_at: 1 }, ping: { every_s: 45, dead_after_s: 100 },
  reconnect: { base_ms: 500, cap_ms: 8000, window_ms: 20000 }, limits: { max_frame: 65536, per_s: 20, burst: 60 }, now_at: 5,
};

let sockets: Socket[];
let events: string[];
let wake: Record<string, () => void>;
let link: Link;

function open(more: Partial<LinkOpts> = {}, random = 1): Link {
  sockets = [];
  events = [];
  wake = {};
  link = openLink({
    path: '/ws/v1',
    auth: () => Promise.resolve(() => Promise.resolve({ kind: 'room', ticket: 't' })),
    profile: () => 'attended',
    onFrame: (t) => events.push(t),
    onUp: () => events.push('up'),
    onDown: (code) => events.push(`down ${code}`),
    onFatal: (code) => events.push(`fatal ${code}`),
    env: {
      socket: (url, protocol) => {
        const s = new Socket(url, protocol);
        sockets.push(s);
        return s as unknown as WebSocket;
      },
      origin: () => 'ws://tv',
      random: () => random,
      on: (event, cb) => {
        wake[event] = cb;
        return () => { delete wake[event]; };
      },
    },
    ...more,
  });
  return link;
}

const settle = () => vi.advanceTimersByTimeAsync(0);
const after = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const newest = () => sockets[sockets.length - 1]!;

async function up(s = newest()): Promise<Socket> {
  s.frame('challenge', { nonce: 'n', server: 'tv' });
  await settle();
  s.frame('welcome', welcome);
  await settle();
  return s;
}

/** Lets seconds pass on a line that answers. */
async function healthy(seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    await after(1000);
    newest().frame('pong');
  }
}

describe('link', () => {
  beforeEach(() => { vi.useFakeTimers(); });
  afterEach(() => {
    link.close();
    vi.useRealTimers();
  });

  it('answers the challenge with the proof and takes the access token of the welcome', async () => {
    open({ bootId: 'b1', serving: () => true });
    await settle();
    const s = newest();
    expect([s.url, s.protocol]).toEqual(['ws://tv/ws/v1', subprotocol]);
    expect(s.sent).toEqual([]); // the server speaks first
    await up();
    expect(s.last('connect')!.b).toMatchObject({ auth: { kind: 'room', ticket: 't' }, boot_id: 'b1', why: 'boot', serving: true });
    expect(link.up).toBe(true);
    expect(link.access()).toBe('tok');
    s.frame('link_config', { access: { token: 'tok2', exp_at: 2 } });
    await settle();
    expect(link.access()).toBe('tok2');
  });

  it('looks again every 5 s while the server is degraded, and only then', async () => {
    open();
    await settle();
    const s = newest();
    s.frame('challenge', { nonce: 'n', server: 'tv' });
    await settle();
    s.frame('welcome', { ...welcome, degraded: true });
    await settle();
    events = [];
    const syncs = () => events.filter((e) => e === 'sync').length;
    await healthy(12); // every 4 to 6 s, here 6
    expect(syncs()).toBe(2);
    s.frame('link_config', { degraded: false });
    await healthy(12);
    expect(syncs()).toBe(2);
    s.frame('link_config', { degraded: true });
    s.frame('link_config', { access: { token: 'x', exp_at: 2 } }); // says nothing about it
    await healthy(6);
    expect(syncs()).toBe(3);
    s.die(1006);
    await settle();
    const asked = syncs();
    await after(30000); // the line is down: there is nothing to ask through it
    expect(syncs()).toBe(asked);
  });

  it('says in connect where the journal stands, sends durable frames and hears acks on any frame', async () => {
    const acks: number[] = [];
    let at = { resume: { down: {}, up: { stream: 'j1', seq: 4 } } };
    open({ more: () => at, onAck: (n) => acks.push(n) });
    await settle();
    const s = await up();
    expect(s.last('connect')!.b).toMatchObject(at);
    expect(link.send('event', { kind: 'boot' }, 5)).toBe(true);
    expect(s.last('event')).toEqual({ v: 1, t: 'event', seq: 5, b: { kind: 'boot' } });
    s.frame('ack', undefined, { ack: 5 });
    s.frame('pong', {}, { ack: 6 });
    await settle();
    expect(acks).toEqual([5, 6]);
    at = { resume: { down: {}, up: { stream: 'j1', seq: 6 } } };
    s.die(1006);
    await after(500);
    newest().frame('challenge', { nonce: 'n', server: 'tv' });
    await settle();
    expect(newest().last('connect')!.b).toMatchObject(at);
  });

  it('comes back after a lost line: at most 0.5 s, 1 s, 2 s ... 8 s while attended', async () => {
    open();
    await settle();
    for (const ms of [500, 1000, 2000, 4000, 8000, 8000, 8000]) {
      const n = sockets.length;
      newest().die(1006);
      await after(ms - 1);
      expect(sockets.length).toBe(n);
      await after(1);
      expect(sockets.length).toBe(n + 1);
    }
  });

  it('resets the counter only after 60 s of healthy link', async () => {
    open();
    await settle();
    await up();
    newest().die(1006);
    await after(500);
    await up();
    await healthy(59);
    newest().die(1006); // healthy for less than 60 s: the counter goes on
    await after(999);
    expect(sockets.length).toBe(2);
    await after(1);
    expect(sockets.length).toBe(3);
    await up();
    await healthy(60);
    newest().die(1006);
    await after(500);
    expect(sockets.length).toBe(4);
  });

  it('spreads the delay from 0 to the cap', () => {
    expect(backoff('attended', 0, 0)).toBe(0);
    expect(backoff('attended', 30, 1)).toBe(8000);
    expect(backoff('call', 30, 1)).toBe(1000);
    expect(backoff('unattended', 30, 1)).toBe(60_000);
    expect(backoff('device', 30, 0.5)).toBe(150_000);
  });

  it('pings every 20 s while attended and gives the line up after 10 s without pong', async () => {
    open();
    await settle();
    const s = await up();
    await after(20_000);
    expect(s.last('ping')).toBeDefined();
    s.frame('pong', { now_at: 1 });
    await settle();
    await after(20_000);
    expect(s.sent.filter((f) => f.t === 'ping').length).toBe(2);
    await after(9_999);
    expect(link.up).toBe(true);
    await after(1);
    expect(events).toContain('down 4007');
    await after(500);
    expect(sockets.length).toBe(2);
  });

  it('asks at once when the page wakes up, and dials at once during a wait', async () => {
    open();
    await settle();
    const s = await up();
    wake.visible!();
    expect(s.last('ping')).toBeDefined();
    s.die(1006);
    wake.online!();
    await settle();
    expect(sockets.length).toBe(2);
  });

  it('dials again when the handshake does not end within 15 s', async () => {
    open();
    await settle();
    newest().frame('challenge', { nonce: 'n', server: 'tv' });
    await after(15_500);
    expect(sockets.length).toBe(2);
  });

  it.each([4003, 4004, 4500, 4501, 4502, 4503, 4506, 4507])('stays down after %i until the person comes back', async (code) => {
    open();
    await settle();
    await up();
    newest().die(code);
    expect(events).toContain(`fatal ${code}`);
    wake.visible!(); // looking at the page is not coming back to it
    wake.online!();
    await after(3 * 3600_000);
    expect(sockets.length).toBe(1);
    link.resume();
    await settle();
    expect(sockets.length).toBe(2);
    await up();
    expect(newest().last('connect')!.b).toMatchObject({ why: 'user' });
  });

  it('tries a disabled device again after about an hour, or at a key', async () => {
    open({}, 0.5);
    await settle();
    newest().die(4505);
    expect(events).toContain('fatal 4505');
    await after(3600_000);
    expect(sockets.length).toBe(2);
  });

  it('returns inside the window of a server that goes away', async () => {
    open({ profile: () => 'unattended' }, 0.5);
    await settle();
    const s = await up();
    s.frame('going_away', { why: 'deploy', window_ms: 40_000 });
    await settle();
    s.die(4000);
    await after(19_999);
    expect(sockets.length).toBe(1);
    await after(1);
    expect(sockets.length).toBe(2);
  });

  it('fetches a new proof before every dial, and a refused sign-in is final', async () => {
    let asked = 0;
    open({ auth: () => (++asked < 3 ? Promise.resolve(() => Promise.resolve({ kind: 'room' as const, ticket: `t${asked}` })) : Promise.reject(new ApiError(401, 'auth.required'))) });
    await settle();
    await up();
    newest().die(4011);
    await after(500);
    await up();
    expect(newest().last('connect')!.b).toMatchObject({ auth: { ticket: 't2' } });
    newest().die(1006);
    await after(1000);
    expect(asked).toBe(3);
    expect(events).toContain('fatal 4507');
  });

  it('keeps trying while the proof cannot be fetched', async () => {
    let asked = 0;
    open({ auth: () => { asked++; return Promise.reject(new ApiError(503, 'store.unavailable', '', '', 3000)); } });
    await settle();
    await after(2999);
    expect(asked).toBe(1);
    await after(1);
    expect(asked).toBe(2);
  });

  it('matches answers to requests, in any order, and refusals with their code', async () => {
    open();
    await settle();
    const s = await up();
    const a = link.request('view.open', { view: 'devices' });
    const b = link.request('seat.set');
    b.catch(() => undefined);
    const [ia, ib] = [s.last('view.open')!.id!, s.last('seat.set')!.id!];
    s.frame('seat.set', {}, { re: ib, err: { code: 110, reason: 'seat.busy', retry_after_ms: 5 } });
    s.frame('view.snapshot', { total: 3 }, { re: ia });
    await expect(a).resolves.toEqual({ total: 3 });
    await expect(b).rejects.toMatchObject({ reason: 'seat.busy', code: 110, retryMs: 5 });
    expect(events).toEqual(['up']); // answers are no frames of the page
  });

  it('fails open requests when the line goes, and requests without a line', async () => {
    open();
    await settle();
    const s = await up();
    const a = link.request('x');
    a.catch(() => undefined);
    s.die(1006);
    await expect(a).rejects.toBeInstanceOf(LinkError);
    await expect(link.request('y')).rejects.toMatchObject({ reason: 'net.down' });
    expect(link.send('z')).toBe(false);
  });

  it('hands the token out only of a live link', async () => {
    open();
    const waiting = link.token();
    await settle();
    await up();
    await expect(waiting).resolves.toBe('tok');
    newest().die(1006);
    const late = link.token(300);
    late.catch(() => undefined);
    await after(300);
    await expect(late).rejects.toMatchObject({ reason: 'net.down' });
  });

  it('does nothing more after close', async () => {
    open();
    await settle();
    await up();
    link.close();
    await after(600_000);
    expect(sockets.length).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
