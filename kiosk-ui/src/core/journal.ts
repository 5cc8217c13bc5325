// What a browser terminal has to tell the service and must not lose: what it consists of, that it started, what broke on
// its page (docs/protocol.md §4, "Streams"). Entries lie in IndexedDB until the service has stored them; where they stand
// lies beside them in localStorage, because connect must say it before this script is there (terminal.ts). No person's
// data: names of errors and places in our own scripts, never their texts.
import type { Api } from './api';
import { createCommands, forgettable, type Rec, type Said } from './commands';
import type { Link } from './link';
import { createLog } from './log';
import { probe, tierOf } from './tier';
import type { AppInfo, DeviceKind, Frame, Overlay, Resume, Situation, Welcome } from './types';

/**
 * Hears that a link is up, how far the service says it has the journal, a frame of the down stream, and that something at
 * the terminal changed, in a word for the log ('' says nothing).
 */
export type Journal = (heard: Welcome | number | Frame | string) => void;

export interface JournalOpts {
  kind: DeviceKind;
  app: AppInfo;
  boot: string;
  /** A fresh id. Handed in, as all of this: the script imports nothing of the first screen's. */
  id: () => string;
  link: () => Link | null;
  /** Of the link that is up already. */
  welcome: Welcome;
  api: Api;
  nowUs: () => number;
  situation: () => Situation | null;
  busy: () => boolean;
  /** The situation was fetched after the link came up. */
  fresh: () => boolean;
  show: (o: Overlay | null) => void;
  loud: (level: number) => void;
}

interface Entry { seq: number; t: string; b: object }
/** Where the down stream stands: written in one transaction with what its last frame did. */
interface Place { stream: string; seq: number }
interface Head { stream: string; last: number; boot?: string; down?: Place }
interface Told { resume: Resume; hashes?: { inventory: string } }

const inFlight = 16;
const ackWithinMs = 30000;
const errorsMost = 10; // of one page load
const ackPaceMs = 200;

/** One transaction over the journal; `use` may make many requests and resolves with what it sets. */
function inLog<T>(mode: IDBTransactionMode, use: (log: IDBObjectStore, done: (v: T) => void) => void): Promise<T> {
  return new Promise((ok, no) => {
    const open = indexedDB.open('heyi.journal', 1);
    open.onupgradeneeded = () => { open.result.createObjectStore('log'); };
    open.onerror = () => no(open.error);
    open.onsuccess = () => {
      const base = open.result;
      const tx = base.transaction('log', mode);
      let out: T;
      use(tx.objectStore('log'), (v) => { out = v; });
      tx.oncomplete = () => { base.close(); ok(out); };
      tx.onabort = () => { base.close(); no(tx.error); };
    };
  });
}

async function digest(bytes: ArrayBuffer | Uint8Array<ArrayBuffer>): Promise<string> {
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(sum, (x) => (x + 256).toString(16).slice(1)).join('');
}

/** Hex SHA-256 of a document as it travels. */
export const documentHash = (text: string): Promise<string> => digest(new TextEncoder().encode(text));

/** Where an error came from: the path of a script of ours, line and column. Addresses may hold tokens behind "?". */
export function placeOf(file: string | undefined, line?: number, column?: number): string {
  const path = (file || '').replace(/^[a-z]+:\/\/[^/]*/, '').replace(/[?#].*$/, '');
  return `${path.slice(-80)}:${line || 0}:${column || 0}`;
}

async function inventoryOf(app: AppInfo): Promise<object> {
  let inputs: MediaDeviceInfo[] = [];
  try {
    inputs = await navigator.mediaDevices.enumerateDevices();
  } catch {
    // no media at all on this engine
  }
  const has = (kind: string) => inputs.some((d) => d.kind === kind);
  return {
    ...app, tier: tierOf(probe()), screen: [screen.width, screen.height].map((n) => Math.round(n * devicePixelRatio)),
    camera: has('videoinput'), microphone: has('audioinput'),
  };
}

export function openJournal(o: JournalOpts): Journal {
  const key = `heyi.journal.${o.kind}`;
  /** The entries between two of them, both included; none where the range is empty (seq 0 is the head). */
  const entries = (from: number, to: number) => IDBKeyRange.bound([o.kind, from - 0.5], [o.kind, to + 0.5]);
  const read = (): Told => JSON.parse(localStorage.getItem(key) || '{"resume":{"up":{}}}') as Told;
  const save = (s: Told) => localStorage.setItem(key, JSON.stringify(s));
  let stream = ''; // of the journal on this disk; '' until it is read
  let acked = 0;
  let sent = 0;
  let since = 0; // local time at which the oldest entry on the line was sent; 0: none is
  let up = false; // the link that is up speaks for this journal
  let chain: Promise<unknown> = Promise.resolve(); // one thing after the other
  let errors = 0;
  let place: Place = { stream: '', seq: 0 };
  let tail = 0; // frames that waited at connect: nothing begins before they are known
  let owed = false; // the service was not told of the place yet
  let ackTimer: ReturnType<typeof setTimeout> | undefined;
  let shown = ''; // the situation as the log has it

  const next = <T>(f: () => Promise<T>): Promise<T> => {
    const p = chain.then(f);
    chain = p.catch(() => undefined);
    return p;
  };

  const log = createLog(`heyi.log.${o.kind}`, o.nowUs);
  const commands = createCommands({
    api: o.api, log, digest, nowUs: o.nowUs, busy: o.busy, show: o.show, loud: o.loud,
    ready: () => up && place.seq >= tail && o.fresh(),
    leave: () => { const l = o.link(); if (l) l.send('going_away', { why: 'reboot' }); },
    reload: () => location.reload(),
    next: (f) => { next(f).catch(() => undefined); },
    write: record,
  });

  /** Begins a journal that the service does not know: what is in it is told again from 1, on a new link. */
  async function renew(): Promise<void> {
    stream = o.id();
    acked = 0;
    up = false;
    await inLog<void>('readwrite', (log) => {
      const got = log.getAll(entries(1, Infinity));
      got.onsuccess = () => {
        log.delete(entries(1, Infinity));
        const list = got.result as Entry[];
        list.forEach((e, i) => { log.put({ ...e, seq: i + 1 }, [o.kind, i + 1]); });
        const head = log.get([o.kind, 0]);
        head.onsuccess = () => { log.put({ ...(head.result as Head | undefined), stream, last: list.length }, [o.kind, 0]); };
      };
    });
    settle();
    const l = o.link();
    if (l) l.redial();
  }

  /** Reads the head; localStorage and IndexedDB must speak of one journal. */
  async function start(): Promise<void> {
    const s = read();
    let head: Head | undefined;
    let recs: Rec[] = [];
    await inLog<void>('readonly', (log) => {
      const got = log.get([o.kind, 0]);
      got.onsuccess = () => { head = got.result as Head | undefined; };
      const list = log.getAll(IDBKeyRange.bound([o.kind, ''], [o.kind, '\uffff'])); // ids lie behind every number
      list.onsuccess = () => { recs = list.result as Rec[]; };
    });
    const old = forgettable(recs, Date.now());
    stream = s.resume.up.stream;
    acked = s.resume.up.seq || 0;
    if (head && head.down) place = head.down;
    log.note(`page ${o.app.name} ${o.app.ver} ${o.boot}`);
    const fresh = !head || head.boot !== o.boot;
    const first = !head || head.stream !== stream; // its first start, or what lay here or there was lost: the service shall know
    if (first) await renew();
    if (old.length) await inLog<void>('readwrite', (log) => { for (const r of old) log.delete([o.kind, r.id]); });
    await commands.load(recs.filter((r) => old.indexOf(r) < 0));
    if (!first) await begin(o.welcome);
    if (fresh) await event('boot', { app: o.app.ver, engine: o.app.engine }, o.boot);
    await pump();
  }

  /** Takes the service's side; from here on entries are sent. */
  async function begin(w: Welcome): Promise<void> {
    up = false;
    since = 0;
    if (!w.up || !w.down || w.up.stream !== stream) return; // takes no journal, or speaks of a former one
    const last = await inLog<number>('readwrite', (log, done) => {
      const got = log.get([o.kind, 0]);
      got.onsuccess = () => done((got.result as Head).last);
      log.delete(entries(1, w.up!.acked));
    });
    if (w.up.acked > last) { // this is an old copy of a journal that went on elsewhere
      await renew();
      return;
    }
    if (w.down.stream === place.stream && place.seq >= w.down.next) { // connect said less than what is written down here
      settle();
      o.link()!.redial();
      return;
    }
    acked = sent = w.up.acked;
    const other = place.stream !== '' && place.stream !== w.down.stream;
    place = { stream: w.down.stream, seq: w.down.next - 1 };
    tail = w.down.tail || 0;
    owed = false;
    await record([], [], place.seq);
    if (other) await commands.drop(); // enrolled anew, or the service is an older copy of itself
    up = true;
    commands.run();
    if ((w.want || []).indexOf('inventory') >= 0) {
      setTimeout(() => void next(() => take(true)), Math.random() * w.want_within_ms!);
    }
  }

  /** Says in localStorage where both streams stand; connect reads it before this script is there. */
  function settle(): void {
    const s = read();
    save({ ...s, resume: { down: place.stream ? place : s.resume.down, up: { stream, seq: acked } } });
  }

  /** One transaction: what is known of commands, entries to tell, the place of the down stream. */
  async function record(recs: Rec[], said: Said[], seq?: number): Promise<void> {
    const at = seq === undefined ? place : { stream: place.stream, seq };
    await inLog<void>('readwrite', (log) => {
      for (const r of recs) log.put({ ...r }, [o.kind, r.id]);
      const got = log.get([o.kind, 0]);
      got.onsuccess = () => {
        const head = got.result as Head;
        let { last } = head;
        for (const { t, b } of said) log.put({ seq: ++last, t, b }, [o.kind, last]);
        log.put({ ...head, last, down: at }, [o.kind, 0]);
      };
    });
    place = at;
    if (seq !== undefined) settle();
    await pump();
  }

  async function write(t: string, b: object, boot?: string): Promise<void> {
    await inLog<void>('readwrite', (log) => {
      const got = log.get([o.kind, 0]);
      got.onsuccess = () => {
        const head = got.result as Head;
        const seq = head.last + 1;
        log.put({ seq, t, b }, [o.kind, seq]);
        log.put({ ...head, last: seq, boot: boot || head.boot }, [o.kind, 0]);
      };
    });
  }

  /** A frame of the down stream; one that came before is acked again, after a gap the line is begun anew. */
  async function obey(f: Frame): Promise<void> {
    const seq = f.seq || 0;
    const l = o.link();
    if (!up || !l) return;
    if (seq > place.seq + 1) {
      up = false;
      l.redial();
      return;
    }
    owed = true;
    if (seq === place.seq + 1) await commands.take(f, seq);
    if (!ackTimer) {
      ackTimer = setTimeout(() => {
        ackTimer = undefined;
        const line = o.link();
        if (owed && up && line && line.send('ack', undefined, undefined, place.seq)) owed = false;
      }, ackPaceMs);
    }
  }

  /** Sends what may be on the line: at most 16 entries that are not acked. */
  async function pump(): Promise<void> {
    const l = o.link();
    if (!up || !l || sent >= acked + inFlight) return;
    const list = await inLog<Entry[]>('readonly', (log, done) => {
      const got = log.getAll(entries(sent + 1, acked + inFlight));
      got.onsuccess = () => done(got.result as Entry[]);
    });
    for (const e of list) {
      if (!up || !l.send(e.t, e.b, e.seq, owed ? place.seq : undefined)) return;
      owed = false;
      sent = e.seq;
      since = since || Date.now();
    }
  }

  /** Writes the inventory down when it is wanted, or is another than connect said. */
  async function take(wanted: boolean): Promise<void> {
    const document = await inventoryOf(o.app);
    const hash = await documentHash(JSON.stringify(document));
    const s = read();
    const known = s.hashes ? s.hashes.inventory : '';
    if (known !== hash) save({ ...s, hashes: { inventory: hash } });
    if (wanted || (known !== '' && known !== hash)) await write('inventory', { hash, document });
    await pump();
  }

  /** Notes in states what the terminal is at. */
  function situated(): void {
    const s = o.situation();
    const word = s ? `situation visit ${s.visit ? 'open' : '-'} ticket ${s.ticket ? s.ticket.state : '-'} session ${s.session ? s.session.state : '-'}` : 'situation -';
    if (word !== shown) log.note(word);
    shown = word;
  }

  const event = (kind: string, data: object, boot?: string) => write('event', { kind, happened_at: Date.now() * 1000, data }, boot);

  const broke = (what: unknown, at: string): void => {
    log.note(`error ${what instanceof Error ? what.name : 'unknown'} ${at}`);
    if (errors++ < errorsMost) next(() => event('page_error', { name: what instanceof Error ? what.name.slice(0, 60) : 'unknown', at }).then(pump)).catch(() => undefined);
  };
  window.addEventListener('error', (e) => broke(e.error, placeOf(e.filename, e.lineno, e.colno)));
  window.addEventListener('unhandledrejection', (e) => broke(e.reason, ''));
  setInterval(() => {
    const l = o.link();
    if (l && up && since && Date.now() - since > ackWithinMs) {
      up = false;
      l.redial();
    }
  }, 5000);
  setInterval(commands.run, 1000); // ends and people come and go

  next(start).then(() => next(() => take(false))).catch(() => undefined); // a disk that takes nothing: no journal in this load

  return (heard) => {
    if (typeof heard === 'string') {
      if (heard) log.note(heard);
      else situated();
      commands.run();
      return;
    }
    next(async () => {
      if (typeof heard !== 'number' && 't' in heard) await obey(heard);
      else if (typeof heard !== 'number') await begin(heard);
      else if (up && heard > acked && heard <= sent) {
        acked = heard;
        since = sent > acked ? Date.now() : 0;
        settle();
        await inLog<void>('readwrite', (log) => { log.delete(entries(1, acked)); });
      }
      await pump();
    }).catch(() => undefined);
  };
}
