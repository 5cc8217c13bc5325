import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError } from '../src/core/api';
import { createFact, type Fact } from '../src/core/facts';

interface V { ver: number; x: string }

/** A server that changes and a line that may lose what it pushes. */
class Server {
  v: V = { ver: 1, x: 'a' };
  asked = 0;
  gates: (() => void)[] = [];
  held = false;
  fail: ApiError | null = null;
  change(x: string) { this.v = { ver: this.v.ver + 1, x }; }
  fetch = async (): Promise<V> => {
    this.asked++;
    const seen = this.v; // what a real answer holds: the state when it was read
    const fail = this.fail;
    if (this.held) await new Promise<void>((r) => this.gates.push(r));
    if (fail) throw fail;
    return seen;
  };
}

const settle = () => vi.advanceTimersByTimeAsync(0);
let server: Server;
let fact: Fact<V>;

describe('fact', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    server = new Server();
  });
  afterEach(() => {
    fact.close();
    vi.useRealTimers();
  });
  const make = (pollMs = 0) => { fact = createFact({ fetch: server.fetch, ver: (v) => v.ver, pollMs }); };

  it('shows the newest state although every nudge is lost', async () => {
    make(5000);
    fact.nudge();
    await settle();
    for (const x of ['waiting', 'ringing', 'serving', 'done']) {
      server.change(x); // no nudge
      await vi.advanceTimersByTimeAsync(5000);
      expect(fact.get().value!.x).toBe(x);
    }
  });

  it('makes one more fetch of many nudges during a fetch', async () => {
    make();
    server.held = true;
    fact.nudge();
    await settle();
    server.change('b');
    for (let i = 0; i < 50; i++) fact.nudge();
    server.held = false;
    server.gates.forEach((g) => g());
    await settle();
    expect(server.asked).toBe(2);
    expect(fact.get().value!.x).toBe('b');
  });

  it('resolves refetch with a fetch that began after the call', async () => {
    make();
    server.held = true;
    fact.nudge();
    await settle();
    server.change('b');
    const got = fact.refetch();
    server.held = false;
    server.gates.forEach((g) => g());
    await expect(got).resolves.toEqual({ ver: 2, x: 'b' });
  });

  it('does not let an older answer overwrite the one a command brought', async () => {
    make();
    server.held = true;
    fact.nudge(); // reads version 1
    await settle();
    server.change('b');
    fact.set(server.v);
    const shown: string[] = [];
    fact.subscribe(() => shown.push(fact.get().value!.x));
    server.held = false;
    server.gates.forEach((g) => g());
    await settle();
    expect(shown).not.toContain('a');
    expect(fact.get().value!.x).toBe('b');
    expect(server.asked).toBe(2); // looked again
  });

  it('follows a server whose version starts again (a restored backup)', async () => {
    make();
    server.v = { ver: 900, x: 'old' };
    fact.nudge();
    await settle();
    server.v = { ver: 3, x: 'new' };
    fact.nudge();
    await settle();
    expect(fact.get().value!.x).toBe('new');
  });

  it('does not bring back what was wiped', async () => {
    make();
    server.held = true;
    fact.nudge();
    await settle();
    fact.clear();
    server.v = { ver: 5, x: 'nobody' };
    server.held = false;
    server.gates.forEach((g) => g());
    await settle();
    expect(fact.get().value!.x).toBe('nobody');
  });

  it('keeps the value during an outage and retries 1, 2, 4, 8, 8 s', async () => {
    make();
    fact.nudge();
    await settle();
    server.fail = new ApiError(0, 'net.down');
    fact.nudge();
    await settle();
    expect(fact.get()).toMatchObject({ value: { x: 'a' }, error: { code: 'net.down' } });
    for (const s of [1, 2, 4, 8, 8]) {
      const n = server.asked;
      await vi.advanceTimersByTimeAsync(s * 1000 - 1);
      expect(server.asked).toBe(n);
      await vi.advanceTimersByTimeAsync(1);
      expect(server.asked).toBe(n + 1);
    }
    server.fail = null;
    server.change('back');
    await vi.advanceTimersByTimeAsync(8000);
    expect(fact.get()).toMatchObject({ value: { x: 'back' }, error: null });
  });

  it('waits as long as a busy server asks', async () => {
    make();
    server.fail = new ApiError(503, 'store.unavailable', '', '', 7000);
    fact.nudge();
    await vi.advanceTimersByTimeAsync(6999);
    expect(server.asked).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(server.asked).toBe(2);
  });

  it('is silent after close and refuses waiters', async () => {
    make(1000);
    fact.nudge();
    await settle();
    const n = server.asked;
    fact.close();
    fact.nudge();
    await expect(fact.refetch()).rejects.toMatchObject({ code: 'net.down' });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(server.asked).toBe(n);
    expect(vi.getTimerCount()).toBe(0);
  });
});
