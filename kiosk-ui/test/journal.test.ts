import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Api } from '../src/core/api';
import { documentHash, openJournal, placeOf, type Journal } from '../src/core/journal';
import type { Link } from '../src/core/link';
import type { Welcome } from '../src/core/types';
import { Disk, keyRange } from './disk';

/** The other end: takes frames by the rules of the protocol and acks when it is told to. */
class Service {
  stream = '';
  stored: { t: string; b: { kind?: string; hash?: string } }[] = [];
  line: { t: string; b: object; seq: number }[] = [];
  redials = 0;
  listening = true;
  link = { send: (t: string, b: object, seq: number) => this.listening && this.line.push({ t, b, seq }) > 0, redial: () => { this.redials++; } } as unknown as Link;
  /** The welcome of a link whose connect said what lies in localStorage. */
  welcome(want: string[] = []): Welcome {
    const said = JSON.parse(localStorage.getItem('heyi.journal.stb') || '{}') as { resume?: { up: { stream: string } } };
    this.line = [];
    if (!said.resume) return { now_at: 1 } as Welcome;
    if (said.resume.up.stream !== this.stream) {
      this.stream = said.resume.up.stream;
      this.stored = [];
    }
    return { now_at: 1, down: { stream: 'd1', next: 1 }, up: { stream: this.stream, acked: this.stored.length }, want, want_within_ms: 1000 } as Welcome;
  }
  take(n = 99) {
    for (const f of this.line.splice(0, n)) {
      expect(f.seq).toBeLessThanOrEqual(this.stored.length + 1); // no gap
      if (f.seq === this.stored.length + 1) this.stored.push(f);
    }
    return this.stored.length;
  }
  kinds() { return this.stored.map((f) => f.b.kind || f.t); }
}

let disk: Disk;
let service: Service;
let shelf: Map<string, string>;
let ids = 0;
let handlers: Record<string, (e: unknown) => void>;
const app = { name: 'stb', ver: '1', engine: 'Chrome 92' };
const document = { ...app, tier: 'D', screen: [1920, 1080], camera: false, microphone: true };

function start(boot = 'b1', inputs = ['audioinput']): Journal {
  handlers = {};
  vi.stubGlobal('navigator', { mediaDevices: { enumerateDevices: () => Promise.resolve(inputs.map((kind) => ({ kind }))) } });
  return openJournal({
    kind: 'stb', app, boot, id: () => `j${++ids}`, link: () => service.link, welcome: service.welcome(),
    api: {} as Api, nowUs: () => Date.now() * 1000, situation: () => null, busy: () => false, fresh: () => true, show: () => undefined, loud: () => undefined,
  });
}

const settle = (ms = 50) => vi.advanceTimersByTimeAsync(ms);
const said = () => JSON.parse(shelf.get('heyi.journal.stb')!) as { resume: { up: { stream: string; seq: number }; down: { stream?: string } }; hashes?: { inventory: string } };
const pageError = (i = 0) => handlers.error!({ error: new TypeError('含有姓名'), filename: `https://h/assets/tv${i}.js?t=secret`, lineno: 3, colno: 7 });

describe('journal', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.spyOn(Math, 'random').mockReturnValue(1);
    disk = new Disk();
    service = new Service();
    shelf = new Map();
    vi.stubGlobal('localStorage', { getItem: (k: string) => shelf.get(k) ?? null, setItem: (k: string, v: string) => { shelf.set(k, v); } });
    vi.stubGlobal('indexedDB', disk);
    vi.stubGlobal('IDBKeyRange', keyRange);
    // the real digest, without a thread that fake timers do not wait for
    vi.stubGlobal('crypto', { subtle: { digest: (_: string, data: Uint8Array) => Promise.resolve(new Uint8Array(createHash('sha256').update(data).digest()).buffer) } });
    vi.stubGlobal('screen', { width: 960, height: 540 });
    vi.stubGlobal('devicePixelRatio', 2);
    vi.stubGlobal('isSecureContext', true);
    vi.stubGlobal('window', { addEventListener: (name: string, f: (e: unknown) => void) => { handlers[name] = f; } });
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('names itself at its first start, connects anew, and tells that it started', async () => {
    const j = start();
    await settle();
    expect(service.redials).toBe(1);
    j(service.welcome(['inventory']));
    await settle();
    expect(service.take()).toBe(1);
    j(1);
    await settle(1000); // the inventory goes after a random part of the time given
    service.take();
    j(2);
    await settle();
    expect(service.kinds()).toEqual(['boot', 'inventory']);
    expect(said().resume).toEqual({ down: { stream: 'd1', seq: 0 }, up: { stream: service.stream, seq: 2 } });
    expect(said().hashes!.inventory).toBe(await documentHash(JSON.stringify(document)));
    expect(disk.left()).toEqual([]);
  });

  it('tells everything once over broken lines and restarts, at most 16 on the line', async () => {
    let j = start();
    await settle();
    j(service.welcome());
    await settle();
    for (let i = 0; i < 9; i++) pageError(i);
    await settle();
    service.take(4); // the rest is lost with the line, and so are the acks
    j(service.welcome());
    await settle();
    expect(service.line.map((f) => f.seq)).toEqual([5, 6, 7, 8, 9, 10]);
    service.take();
    j = start('b1'); // the page is loaded again in the same browser: no second boot
    await settle();
    for (let i = 0; i < 10; i++) pageError(i);
    await settle();
    expect(service.line.length).toBe(10);
    service.listening = false; // nothing is taken: it stays on disk
    j(service.welcome());
    await settle();
    service.listening = true;
    j = start('b2');
    await settle();
    expect(service.line.map((f) => f.seq)).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]);
    j(service.take());
    await settle();
    expect(service.kinds()).toEqual(['boot', ...Array<string>(19).fill('page_error'), 'boot']);
    expect(disk.left()).toEqual([]);
  });

  it('keeps at most 16 on the line', async () => {
    let j = start();
    await settle();
    service.listening = false;
    for (let i = 0; i < 10; i++) pageError();
    await settle();
    j = start('b2');
    await settle();
    for (let i = 0; i < 10; i++) pageError();
    await settle();
    service.listening = true;
    j(service.welcome());
    await settle();
    expect(service.line.length).toBe(16);
    j(service.take(3));
    await settle();
    expect(service.line.map((f) => f.seq)).toEqual([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  it('says that its entries were lost by another id', async () => {
    let j = start();
    await settle();
    j(service.welcome());
    await settle();
    j(service.take());
    await settle();
    const first = said().resume.up.stream;
    disk.rows.clear();
    j = start('b1');
    await settle();
    expect(said().resume.up).toMatchObject({ seq: 0 });
    expect(said().resume.up.stream).not.toBe(first);
    expect(service.redials).toBe(2);
    j(service.welcome());
    await settle();
    expect(service.take()).toBe(1);
  });

  it('goes on under another id when the service has more than it wrote', async () => {
    const j = start();
    await settle();
    j(service.welcome());
    await settle();
    service.take();
    const w = service.welcome();
    j({ ...w, up: { stream: service.stream, acked: 7 } });
    await settle();
    expect(said().resume.up.stream).not.toBe(w.up!.stream);
    j(service.welcome());
    pageError();
    await settle();
    service.take();
    expect(service.kinds()).toEqual(['page_error']);
  });

  it('sends a changed inventory without being asked', async () => {
    let j = start();
    await settle();
    j(service.welcome());
    await settle();
    j(service.take());
    await settle();
    j = start('b1', ['videoinput']);
    await settle();
    j(service.take());
    expect(service.kinds()).toEqual(['boot', 'inventory']);
  });

  it('gives a line up that does not ack within 30 s', async () => {
    const j = start();
    await settle();
    j(service.welcome());
    await settle(29_000);
    expect(service.redials).toBe(1);
    await settle(10_000);
    expect(service.redials).toBe(2);
    j(service.welcome());
    await settle();
    j(service.take());
    await settle(60_000);
    expect(service.redials).toBe(2); // everything is acked
  });

  it('is silent where the disk takes nothing', async () => {
    disk.broken = true;
    const j = start();
    pageError();
    j(service.welcome());
    await settle(60_000);
    expect([service.line.length, service.redials]).toEqual([0, 0]);
  });

  it('tells where an error came from, not what it said', async () => {
    expect(placeOf('https://h:8480/assets/tv.js?x=token#y', 3, 7)).toBe('/assets/tv.js:3:7');
    expect(placeOf(undefined)).toBe(':0:0');
    const j = start();
    await settle();
    j(service.welcome());
    pageError();
    handlers.unhandledrejection!({ reason: '张三' });
    await settle();
    service.take();
    expect(service.stored.slice(1).map((f) => (f.b as { data?: object }).data)).toEqual([
      { name: 'TypeError', at: '/assets/tv0.js:3:7' }, { name: 'unknown', at: '' },
    ]);
  });

  it('writes frames as the golden vectors do', async () => {
    const vectors = JSON.parse(readFileSync('../gateway/wire/testdata/vectors.json', 'utf8')) as { name: string; frame: { b: Record<string, unknown> & { document?: object; hash?: string } } }[];
    const of = (name: string) => vectors.find((v) => v.name === name)!.frame.b;
    const j = start();
    await settle();
    j(service.welcome(['inventory']));
    await settle(1000);
    service.take();
    const [boot, inventory] = service.stored as { b: object }[];
    expect(Object.keys(boot!.b).sort()).toEqual(Object.keys(of('event')).sort());
    expect(Object.keys(inventory!.b).sort()).toEqual(Object.keys(of('inventory')).sort());
    expect(await documentHash(JSON.stringify(of('inventory').document))).toBe(of('inventory').hash);
    expect(Object.keys(said().resume).sort()).toEqual(Object.keys(of('connect').resume as object).sort());
    const w = of('welcome') as unknown as Welcome;
    expect(w).toMatchObject({ up: { stream: '019f', acked: 11 }, down: { stream: '019e', next: 5 }, want: ['inventory'], want_within_ms: 30000 });
  });
});
