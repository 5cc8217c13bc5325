// @vitest-environment happy-dom
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Api } from '../src/core/api';
import { ApiError } from '../src/core/api';
import { forgettable, type Rec } from '../src/core/commands';
import { openJournal, type Journal } from '../src/core/journal';
import type { Link } from '../src/core/link';
import { createLog } from '../src/core/log';
import { pageSvg } from '../src/core/picture';
import type { CmdOrder, Frame, Overlay, Welcome } from '../src/core/types';
import { Disk, keyRange } from './disk';

vi.mock('../src/core/picture', async (real) => ({ ...(await real<object>()), takePicture: () => Promise.resolve(new Blob(['png'], { type: 'image/png' })) }));

let disk: Disk;
let shelf: Map<string, string>;
let journal: Journal;
let stored: { t: string; b: Record<string, unknown> }[]; // of the up stream, as the service has it
let upStream: string;
let acked: number; // of the down stream, as the service knows it
let down: string;
let line: { t: string; b: Record<string, unknown>; seq: number | undefined }[];
let overlay: Overlay | null;
let busy: boolean;
let fresh: boolean;
let levels: number[];
let uploads: string[];
let refuse: ApiError | null;
let reloads: number;
let redials: number;
let ids: number;

const link = {
  send(t: string, b: Record<string, unknown>, seq?: number, ack?: number) {
    if (ack !== undefined) acked = Math.max(acked, ack);
    line.push({ t, b, seq });
    if (seq === stored.length + 1) {
      stored.push({ t, b });
      setTimeout(() => journal(stored.length), 50);
    }
    return true;
  },
  redial() { redials++; },
} as unknown as Link;

const api = {
  async post(path: string, body: FormData) {
    if (refuse) throw refuse;
    uploads.push(`${path} ${await (body.get('file') as Blob).text()}`);
    return { object_id: 'o1', size: 3 };
  },
} as unknown as Api;

const said = () => JSON.parse(shelf.get('heyi.journal.stb') || '{"resume":{"up":{}}}') as { resume: { up: { stream: string; seq: number }; down?: { stream: string; seq: number } } };

function welcome(tail = 0): Welcome {
  upStream = said().resume.up.stream;
  const at = said().resume.down;
  const next = (at && at.stream === down ? Math.max(at.seq, acked) : acked) + 1;
  line = [];
  return { now_at: 1, down: { stream: down, next, tail }, up: { stream: upStream, acked: stored.length } } as Welcome;
}

/** A page load; the first ever connects twice. */
async function start(tail = 0): Promise<void> {
  overlay = null;
  vi.clearAllTimers(); // the former page is gone
  const first = !shelf.has('heyi.journal.stb');
  journal = openJournal({
    kind: 'stb', app: { name: 'stb', ver: '1' }, boot: 'b1', id: () => `j${++ids}`, link: () => link, welcome: welcome(tail), api, nowUs: () => Date.now() * 1000,
    situation: () => null, busy: () => busy, fresh: () => fresh, show: (o) => { overlay = o; }, loud: (n) => { levels.push(n); },
  });
  await settle();
  if (first) journal(welcome(tail));
  await settle();
}

const settle = (ms = 300) => vi.advanceTimersByTimeAsync(ms);
const order = (id: string, name: string, more: Partial<CmdOrder> = {}): CmdOrder => ({
  cmd_id: id, name, args: {}, not_after_at: (Date.now() + 60000) * 1000, when_busy: 'run', ...more,
});
const frame = (seq: number, b: object, t = 'cmd'): Frame => ({ v: 1, t, seq, b });
/** What the service was told about a command, in order. */
const told = (id: string) => stored.filter((f) => f.t === 'cmd_status' && f.b.cmd_id === id).map((f) => [f.b.state, f.b.waiting, f.b.code, f.b.detail].filter(Boolean).join(' '));

describe('commands', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    disk = new Disk();
    shelf = new Map();
    stored = []; line = []; levels = []; uploads = [];
    [upStream, acked, down, busy, fresh, refuse, reloads, redials, ids] = ['', 0, 'd1', false, true, null, 0, 0, 0];
    vi.stubGlobal('localStorage', { getItem: (k: string) => shelf.get(k) ?? null, setItem: (k: string, v: string) => { shelf.set(k, v); } });
    vi.stubGlobal('indexedDB', disk);
    vi.stubGlobal('IDBKeyRange', keyRange);
    vi.stubGlobal('crypto', { subtle: { digest: (_: string, data: ArrayBuffer) => Promise.resolve(new Uint8Array(createHash('sha256').update(new Uint8Array(data)).digest()).buffer) } });
    vi.stubGlobal('navigator', {});
    vi.stubGlobal('isSecureContext', true);
    vi.stubGlobal('requestAnimationFrame', (f: () => void) => setTimeout(f, 16));
    vi.stubGlobal('fetch', () => Promise.resolve({ ok: true }));
    vi.stubGlobal('location', { href: 'http://h/tv', reload: () => { reloads++; } });
  });
  afterEach(() => {
    vi.clearAllTimers();
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('does it once, however often it comes, over a new page', async () => {
    await start();
    journal(frame(1, order('c1', 'volume.set', { args: { level: 35 } })));
    journal(frame(1, order('c1', 'volume.set', { args: { level: 35 } })));
    await settle();
    expect(levels).toEqual([35]);
    expect(told('c1')).toEqual(['accepted', 'running', 'succeeded']);
    expect(acked).toBe(1);
    await start();
    expect(said().resume.down).toEqual({ stream: 'd1', seq: 1 });
    down = 'd2'; // the service is an older copy of itself: the same command under another place
    acked = 0;
    journal(welcome());
    journal(frame(1, order('c1', 'volume.set', { args: { level: 35 } })));
    await settle();
    expect(levels).toEqual([35]);
    expect(told('c1')).toEqual(['accepted', 'running', 'succeeded', 'succeeded']);
  });

  it('leaves whoever is served alone', async () => {
    await start();
    busy = true;
    journal(frame(1, order('c1', 'page.reload', { when_busy: 'reject' })));
    journal(frame(2, order('c2', 'message.show', { when_busy: 'wait', lock: 'display', args: { text: '明天停水', seconds: 60, speak: true } })));
    journal(frame(3, order('c3', 'screenshot', { when_busy: 'reject', args: { reason: '检查' } })));
    await settle(2000);
    expect(told('c1')).toEqual(['rejected device.serving']);
    expect(told('c2')).toEqual(['accepted', 'accepted visit']);
    expect(told('c3')).toEqual(['rejected device.serving']);
    expect([overlay, reloads, uploads.length]).toEqual([null, 0, 0]);
    busy = false;
    await settle(1100);
    expect(overlay).toMatchObject({ kind: 'message', text: '明天停水', speak: true });
    (overlay as unknown as { ok: () => void }).ok();
    await settle();
    expect(overlay).toBeNull();
    expect(told('c2')).toEqual(['accepted', 'accepted visit', 'running', 'succeeded ok']);
  });

  it('begins nothing after its end, after its cancel, or before it knows what waits', async () => {
    await start();
    fresh = false; // the situation is not fetched yet
    journal(frame(1, order('late', 'volume.set', { args: { level: 1 } })));
    journal(frame(2, order('back', 'volume.set', { args: { level: 2 } })));
    await settle();
    journal(frame(3, { cmd_id: 'back' }, 'cmd_cancel'));
    await settle(61000);
    fresh = true;
    await settle(1100);
    expect(told('late')).toEqual(['accepted', 'expired']);
    expect(told('back')).toEqual(['accepted', 'cancelled']);
    fresh = false;
    journal(frame(4, order('gone', 'volume.set', { args: { level: 3 } })));
    await settle();
    await start(5); // a frame waits at the service: the cancel, given while the page was away
    fresh = true;
    await settle(3000);
    expect(told('gone')).toEqual(['accepted']);
    journal(frame(5, { cmd_id: 'gone' }, 'cmd_cancel'));
    journal(frame(6, { cmd_id: 'never-had' }, 'cmd_cancel')); // its place is empty
    await settle();
    expect(told('gone')).toEqual(['accepted', 'cancelled']);
    expect(levels).toEqual([]);
    expect(acked).toBe(6);
  });

  it('ends what it accepted under a former identity', async () => {
    await start();
    fresh = false;
    journal(frame(1, order('c1', 'volume.set', { args: { level: 1 } })));
    await settle();
    [down, acked, fresh] = ['d9', 0, true];
    journal(welcome());
    await settle(2000);
    expect(told('c1')).toEqual(['accepted', 'cancelled']);
    expect(levels).toEqual([]);
  });

  it('comes back from a restart as the one that did it', async () => {
    await start();
    journal(frame(1, order('c1', 'reboot', { when_busy: 'reject', lock: 'power' })));
    await settle(1000);
    expect(reloads).toBe(1);
    expect(line.some((f) => f.t === 'going_away')).toBe(true);
    expect(told('c1')).toEqual(['accepted', 'running']);
    await start();
    expect(told('c1')).toEqual(['accepted', 'running', 'succeeded']);
    await settle(3000);
    expect(reloads).toBe(1);
  });

  it('does not leave for a server that nobody answers at', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('net')));
    await start();
    journal(frame(1, order('c1', 'page.reload', { when_busy: 'reject', lock: 'display' })));
    await settle(1000);
    expect(reloads).toBe(0);
    expect(told('c1')).toEqual(['accepted', 'running', 'failed net.down']);
  });

  it('shows a message on over a new page, and takes a wrong one back', async () => {
    await start();
    journal(frame(1, order('c1', 'message.show', { when_busy: 'wait', lock: 'display', args: { text: '一', seconds: 60 } })));
    journal(frame(2, order('c2', 'message.show', { when_busy: 'wait', lock: 'display', args: { text: '二', seconds: 60 } })));
    await settle();
    journal(frame(3, order('c3', 'page.reload', { when_busy: 'reject', lock: 'display' })));
    await settle(1000);
    expect(overlay).toMatchObject({ text: '一' });
    expect(told('c3')).toEqual(['rejected command.locked']);
    await start();
    expect(overlay).toMatchObject({ text: '一' });
    journal(frame(4, { cmd_id: 'c1' }, 'cmd_cancel'));
    await settle(1500);
    expect(told('c1')).toEqual(['accepted', 'running', 'succeeded withdrawn']);
    expect(overlay).toMatchObject({ text: '二' });
    expect(told('c2')).toEqual(['accepted', 'accepted lock', 'running']);
    await settle(61000);
    expect(overlay).toBeNull();
    expect(told('c2').pop()).toBe('succeeded time');
  });

  it('shows the notice before it takes the picture, and takes none when somebody comes', async () => {
    await start();
    journal(frame(1, order('c1', 'screenshot', { when_busy: 'reject', args: { reason: '检查画面' } })));
    await settle(1000);
    expect(overlay).toMatchObject({ kind: 'notice', reason: '检查画面' });
    expect(uploads).toEqual([]);
    await settle(3000);
    expect(uploads).toEqual(['/commands/c1/file png']);
    expect(overlay).toBeNull();
    expect(stored.filter((f) => f.t === 'log_meta').map((f) => f.b)).toEqual([
      { cmd_id: 'c1', kind: 'screenshot', object_id: 'o1', size: 3, sha256: createHash('sha256').update('png').digest('hex') },
    ]);
    expect(told('c1').pop()).toBe('succeeded');
    journal(frame(2, order('c2', 'screenshot', { when_busy: 'reject', args: { reason: '检查' } })));
    await settle(1000);
    busy = true;
    await settle(4000);
    expect(told('c2').pop()).toBe('failed device.serving');
    expect(uploads.length).toBe(1);
  });

  it('brings its log, tries again for a while, and says what was refused', async () => {
    await start();
    refuse = new ApiError(0, 'net.down');
    journal(frame(1, order('c1', 'log.fetch', { args: { since_at: 0, max_bytes: 4096 } })));
    await settle(1000);
    refuse = null;
    await settle(3000);
    expect(uploads[0]).toMatch(/^\/commands\/c1\/file .*page stb 1 b1/);
    expect(told('c1').pop()).toBe('succeeded');
    refuse = new ApiError(409, 'command.over');
    journal(frame(2, order('c2', 'log.fetch', { args: { since_at: 0, max_bytes: 4096 } })));
    await settle(1000);
    expect(told('c2').pop()).toBe('failed command.over');
    journal(frame(3, order('c3', 'rm.rf')));
    await settle();
    expect(told('c3')).toEqual(['rejected command.unsupported']);
  });

  it('lets the newest of a kind win and begins anew after a gap', async () => {
    await start();
    fresh = false;
    journal(frame(1, order('c1', 'volume.set', { coalesce: true, args: { level: 1 } })));
    journal(frame(2, order('c2', 'volume.set', { coalesce: true, args: { level: 2 } })));
    await settle();
    fresh = true;
    await settle(1100);
    expect(told('c1')).toEqual(['accepted', 'superseded']);
    expect(levels).toEqual([2]);
    journal(frame(9, order('c9', 'volume.set', { args: { level: 9 } })));
    await settle(1100);
    expect(levels).toEqual([2]);
    expect(redials).toBe(2); // its first start, and the gap
  });

  it('says it again when connect said less than what is written down', async () => {
    await start();
    journal(frame(1, order('c1', 'volume.set', { args: { level: 1 } })));
    await settle();
    const s = said();
    shelf.set('heyi.journal.stb', JSON.stringify({ ...s, resume: { ...s.resume, down: { stream: 'd1', seq: 0 } } })); // killed in between
    acked = 0;
    redials = 0;
    await start();
    expect(redials).toBe(1);
    expect(said().resume.down).toEqual({ stream: 'd1', seq: 1 });
    journal(welcome());
    await settle();
    expect(levels).toEqual([1]);
  });

  it('reads and writes frames as the golden vectors do', async () => {
    const vectors = JSON.parse(readFileSync('../gateway/wire/testdata/vectors.json', 'utf8')) as { name: string; frame: Frame<Record<string, unknown>> }[];
    const of = (name: string) => vectors.find((v) => v.name === name)!.frame;
    await start();
    const cmd = of('cmd');
    vi.setSystemTime(1790000000000);
    journal({ ...cmd, seq: 1 });
    await settle(1500);
    expect(levels).toEqual([35]);
    journal({ ...of('cmd_cancel'), seq: 2 });
    await settle();
    expect(acked).toBe(2);
    const fields = (b: Record<string, unknown>) => Object.keys(b).every((k) => k in of('cmd_status').b!);
    expect(stored.filter((f) => f.t === 'cmd_status').every((f) => fields(f.b))).toBe(true);
    journal(frame(3, order('c3', 'log.fetch', { args: { since_at: 0, max_bytes: 4096 } })));
    await settle(1000);
    expect(Object.keys(stored.find((f) => f.t === 'log_meta')!.b).sort()).toEqual(Object.keys(of('log_meta').b!).sort());
  });
});

describe('memory, log, picture', () => {
  it('forgets the oldest ends, and those of last week', () => {
    const rec = (id: string, at: number, state: Rec['state'] = 'succeeded'): Rec => ({ id, at, state, name: '', args: {}, notAfter: 0, lock: '', coalesce: false, whenBusy: '', waiting: '', n: 0, until: 0 });
    const week = 7 * 24 * 3600_000;
    expect(forgettable([rec('old', 0), rec('open', 0, 'accepted'), rec('new', week)], week + 1).map((r) => r.id)).toEqual(['old']);
    const many = Array.from({ length: 1002 }, (_, i) => rec(`${i}`, i + 1));
    expect(forgettable(many, 1100).map((r) => r.id).sort()).toEqual(['0', '1']);
  });

  it('keeps the newest lines within the size', () => {
    vi.useFakeTimers();
    const store = new Map<string, string>();
    vi.stubGlobal('localStorage', { getItem: (k: string) => store.get(k) ?? null, setItem: (k: string, v: string) => { store.set(k, v); } });
    let now = 1e15;
    const log = createLog('k', () => now);
    for (let i = 0; i < 700; i++) {
      now += 1e6;
      log.note(`line ${i}\nmore`);
    }
    vi.advanceTimersByTime(1000);
    const again = createLog('k', () => now);
    const all = again.text(0, 1 << 20).trim().split('\n');
    expect([all.length, all[0]!.slice(-13), all[599]!.slice(-13)]).toEqual([600, 'line 100 more', 'line 699 more']);
    expect(again.text(now - 1e6, 1 << 20).trim().split('\n').length).toBe(2);
    const few = again.text(0, 1024);
    expect(few.length).toBeLessThanOrEqual(1024);
    expect(few).toContain('line 699 more');
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('draws what is typed but no password, no script and no film', () => {
    document.head.innerHTML = '<style>:root { background: #123; } .f:focus { color: red; }</style>';
    document.body.innerHTML = '<p class="a">您好</p><input><input type="password"><video class="v"></video><script>1</script>';
    (document.querySelectorAll('input')[0] as HTMLInputElement).value = '赤峰';
    (document.querySelectorAll('input')[1] as HTMLInputElement).value = 'secret';
    const svg = pageSvg();
    expect(svg).toMatch(/^<svg [^>]*><foreignObject/);
    expect(svg).toContain('您好');
    expect(svg).toContain('赤峰');
    expect(svg).not.toMatch(/secret|<script|<video/);
    expect(svg).toMatch(/html ?\{[^}]*background/);
    expect(svg).toContain('.f[data-focus]');
  });
});
