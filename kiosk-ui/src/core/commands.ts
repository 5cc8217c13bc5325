// What a terminal does with an operator's commands (docs/protocol.md §4, "Commands"). Each is written down before it is
// done and remembered after it, so that it is done once over reloads, killed pages and repeated frames. Nothing begins
// while somebody is served, unless it disturbs nobody. A pure browser page can do all of this; with a native shell the
// restart is the box's.
import type { Api } from './api';
import type { Log } from './log';
import { takePicture } from './picture';
import { shell } from './shell';
import type { CmdCancel, CmdOrder, CmdState, Frame, Overlay } from './types';

/** A command as it is written down. */
export interface Rec {
  id: string; name: string; args: Record<string, unknown>; notAfter: number; lock: string; coalesce: boolean; whenBusy: string;
  state: CmdState; waiting: string;
  /** Order of arrival. */
  n: number;
  /** Local time of the last change, ms. */
  at: number;
  /** Local time at which a message leaves the screen, ms. */
  until: number;
}

interface Result { detail?: string; said?: Said[] }

/** An entry of the journal. */
export interface Said { t: string; b: object }

export interface CommandHost {
  api: Api;
  log: Log;
  nowUs: () => number;
  /** Hex SHA-256. */
  digest: (bytes: ArrayBuffer) => Promise<string>;
  /** A ticket, visit or room is open, or somebody is at the keys. */
  busy: () => boolean;
  /** All that was said before this link came up is known: nothing begins earlier. */
  ready: () => boolean;
  show: (o: Overlay | null) => void;
  loud: (level: number) => void;
  /** Tells the service why the line ends, and lets what waits go out. */
  leave: () => void;
  reload: () => void;
  /** One thing after the other. */
  next: (f: () => Promise<void>) => void;
  /** One transaction: commands, entries of the journal, and the place in the down stream when a frame moved it. */
  write: (recs: Rec[], said: Said[], seq?: number) => Promise<void>;
}

export interface Commands {
  /** What lay on the disk at the start of the page: what ran then is over, goes on, or begins again. */
  load(list: Rec[]): Promise<void>;
  /** A frame of the down stream. */
  take(f: Frame, seq: number): Promise<void>;
  /** Another down stream counts: what was accepted under the former one is over. */
  drop(): Promise<void>;
  /** Begins what may begin. */
  run(): void;
}

const noticeMs = 3000; // the notice stands before the picture is taken
const tries = 3;
const kept = 1000;
const keptMs = 7 * 24 * 3600_000;
const isOver = (s: CmdState): boolean => s !== 'accepted' && s !== 'running';
const fail = (code: string): never => { throw { code }; };
const pause = (ms: number) => new Promise<void>((r) => { setTimeout(r, ms); });

/** Which of the finished commands may be forgotten: the oldest, and those that no repeat can name any more. */
export function forgettable(list: Rec[], now: number): Rec[] {
  const over = list.filter((r) => isOver(r.state)).sort((a, b) => b.at - a.at);
  return over.filter((r, i) => i >= kept || now - r.at > keptMs);
}

export function createCommands(h: CommandHost): Commands {
  const memory = new Map<string, Rec>();
  const close: { [id: string]: (how: string) => void } = {}; // messages on the screen
  const shown: Overlay[] = [];
  let n = 0;

  const lay = (o: Overlay): void => {
    shown.push(o);
    h.show(o);
  };
  const lift = (id: string): void => {
    const i = shown.map((o) => o.id).indexOf(id);
    if (i >= 0) shown.splice(i, 1);
    h.show(shown[shown.length - 1] || null);
  };
  const status = (r: Rec, more: object = {}): Said => ({ t: 'cmd_status', b: { cmd_id: r.id, state: r.state, ...more } });
  const order = (): Rec[] => Array.from(memory.values()).sort((a, b) => a.n - b.n);

  /** Writes a state down and tells it. */
  async function move(r: Rec, state: CmdState, more: object = {}, before: Said[] = []): Promise<void> {
    r.state = state;
    r.at = Date.now();
    h.log.note(`command ${r.name} ${r.id} ${state} ${(more as { code?: string }).code || ''}`);
    await h.write([r], before.concat(status(r, isOver(state) ? { ...more, done_at: Math.round(h.nowUs()) } : more)));
  }

  async function waits(r: Rec, what: string): Promise<void> {
    if (r.waiting === what) return;
    r.waiting = what;
    await move(r, 'accepted', { waiting: what });
  }

  function locked(r: Rec): boolean {
    return r.lock !== '' && order().some((o) => o !== r && o.state === 'running' && o.lock === r.lock);
  }

  /** Why a command cannot begin now; '' when it can. */
  function refusal(r: Rec): string {
    if (r.whenBusy !== 'run' && h.busy()) return 'device.serving';
    return locked(r) ? 'command.locked' : '';
  }

  async function take(f: Frame, seq: number): Promise<void> {
    if (f.t === 'cmd_cancel') {
      const id = (f.b as CmdCancel).cmd_id;
      const r = memory.get(id);
      if (r && r.state === 'accepted') {
        r.state = 'cancelled';
        r.at = Date.now();
        await h.write([r], [status(r)], seq);
      } else {
        if (r && close[id]) close[id]!('withdrawn'); // a message on the screen is taken away; its end tells so
        await h.write([], [], seq);
      }
      return;
    }
    const c = f.b as CmdOrder;
    const was = memory.get(c.cmd_id);
    if (was) { // it came before: its memory outlives the place in the stream
      await h.write([], isOver(was.state) ? [status(was)] : [], seq);
      return;
    }
    const r: Rec = {
      id: c.cmd_id, name: c.name, args: c.args || {}, notAfter: c.not_after_at, lock: c.lock || '', coalesce: !!c.coalesce,
      whenBusy: c.when_busy, state: 'accepted', waiting: '', n: ++n, at: Date.now(), until: 0,
    };
    const changed = [r];
    const said: Said[] = [];
    const no = !effects[r.name] ? 'command.unsupported' : r.whenBusy === 'reject' && h.ready() ? refusal(r) : '';
    if (no) {
      r.state = 'rejected';
      said.push(status(r, { code: no }));
    } else {
      for (const o of order()) {
        if (!r.coalesce || o.name !== r.name || o.state !== 'accepted') continue;
        o.state = 'superseded';
        o.at = r.at;
        changed.push(o);
        said.push(status(o));
      }
      said.push(status(r));
    }
    h.log.note(`command ${r.name} ${r.id} ${r.state} ${no}`);
    memory.set(r.id, r);
    await h.write(changed, said, seq);
    run();
  }

  function run(): void {
    h.next(async () => {
      for (const r of order()) {
        if (r.state !== 'accepted' || !h.ready()) continue;
        const no = refusal(r);
        if (h.nowUs() > r.notAfter) await move(r, 'expired');
        else if (no && r.whenBusy === 'reject') await move(r, 'rejected', { code: no });
        else if (no) await waits(r, no === 'command.locked' ? 'lock' : 'visit');
        else await begin(r);
      }
    });
  }

  async function begin(r: Rec): Promise<void> {
    r.waiting = '';
    if (r.name === 'message.show') r.until = Date.now() + Number(r.args.seconds) * 1000;
    await move(r, 'running');
    perform(r);
  }

  /** Does it; how it ended is written down in its turn. */
  function perform(r: Rec): void {
    const end = (state: CmdState, more: object = {}, before: Said[] = []) => h.next(async () => {
      await move(r, state, more, before);
      run(); // somebody may wait for the lock
    });
    effects[r.name]!(r).then(
      ({ detail, said }) => end('succeeded', { detail }, said),
      (e: unknown) => end('failed', { code: (e as { code?: string }).code || 'device.failed' }),
    );
  }

  const effects: { [name: string]: (r: Rec) => Promise<Result> } = {
    async 'volume.set'(r) {
      h.loud(Number(r.args.level));
      return {};
    },
    'message.show': message,
    async 'log.fetch'(r) {
      const text = h.log.text(Number(r.args.since_at), Number(r.args.max_bytes));
      return upload(r, new Blob([text || '-'], { type: 'text/plain' }), 'log');
    },
    screenshot,
    reboot: leave,
    'page.reload': leave,
  };

  function message(r: Rec): Promise<Result> {
    return new Promise((ok) => {
      const timer = setTimeout(() => close[r.id]!('time'), Math.max(0, r.until - Date.now()));
      close[r.id] = (how) => {
        clearTimeout(timer);
        delete close[r.id];
        lift(r.id);
        ok({ detail: how });
      };
      lay({ kind: 'message', id: r.id, text: String(r.args.text), speak: !!r.args.speak, until: r.until, ok: () => close[r.id] && close[r.id]!('ok') });
    });
  }

  /** Whoever stands there sees the notice first; if somebody begins meanwhile, no picture is taken. */
  async function screenshot(r: Rec): Promise<Result> {
    lay({ kind: 'notice', id: r.id, reason: String(r.args.reason) });
    try {
      await new Promise((ok) => { requestAnimationFrame(() => requestAnimationFrame(ok)); });
      await pause(noticeMs);
      if (h.busy()) fail('device.serving');
      const png = await takePicture().catch(() => fail('device.no_picture'));
      return await upload(r, png, 'screenshot');
    } finally {
      lift(r.id);
    }
  }

  async function upload(r: Rec, file: Blob, kind: string): Promise<Result> {
    const sum = await h.digest(await new Response(file).arrayBuffer());
    for (let i = 1; ; i++) {
      const form = new FormData();
      form.append('sha256', sum);
      form.append('file', file);
      try {
        const got = await h.api.post<{ object_id: string; size: number }>(`/commands/${r.id}/file`, form, { timeoutMs: 60000 });
        return { said: [{ t: 'log_meta', b: { cmd_id: r.id, kind, object_id: got.object_id, size: got.size, sha256: sum } }] };
      } catch (e) {
        if (!(e as { temporary?: boolean }).temporary || i === tries) throw e;
        await pause(i * 2000);
      }
    }
  }

  /** Ends this page; the next one says that it came up. One that nobody answers would stay an error page, so it asks first. */
  async function leave(r: Rec): Promise<Result> {
    const box = r.name === 'reboot' && shell();
    const res = await fetch(location.href, { cache: 'no-store' }).catch(() => null);
    if (!res || !res.ok) fail('net.down');
    if (r.name === 'reboot') h.leave();
    await pause(500); // the journal's last entries go out
    if (box && box.reboot) await box.reboot();
    else h.reload();
    return new Promise(() => undefined);
  }

  return {
    async load(list) {
      for (const r of list) {
        memory.set(r.id, r);
        n = Math.max(n, r.n);
      }
      for (const r of order()) {
        if (r.state !== 'running') continue;
        if (r.name === 'reboot' || r.name === 'page.reload') await move(r, 'succeeded');
        else if (r.name !== 'message.show') r.state = 'accepted'; // it may begin again, in its time
        else if (r.until > Date.now()) perform(r);
        else await move(r, 'succeeded', { detail: 'time' });
      }
    },
    take,
    async drop() {
      for (const r of order()) if (r.state === 'accepted') await move(r, 'cancelled');
    },
    run,
  };
}
