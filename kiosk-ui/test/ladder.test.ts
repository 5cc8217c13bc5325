import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createLadder, type Ladder, limits } from '../src/core/rtc/ladder';

let did: string[];
let up: boolean;
let ladder: Ladder;
const after = (ms: number) => vi.advanceTimersByTime(ms);

describe('ladder', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    did = [];
    up = true;
    ladder = createLadder({
      restart: () => did.push('restart'),
      renew: (whole) => did.push(whole ? 'renew line' : 'renew'),
      audioOnly: (on) => did.push(on ? 'audio only' : 'video again'),
      alive: () => up,
      said: (w) => did.push(`say ${w || 'nothing'}`),
    });
    ladder.ice('connected');
  });
  afterEach(() => {
    ladder.close();
    expect(vi.getTimerCount()).toBe(0); // a closed ladder leaves nothing behind
    vi.useRealTimers();
  });

  it('does nothing for a wobble shorter than 3 s', () => {
    ladder.ice('disconnected');
    after(limits.wobble - 1);
    ladder.ice('connected');
    after(60_000);
    expect(did).toEqual([]);
  });

  it('disconnected 3 s: ICE restart, and it says so', () => {
    ladder.ice('disconnected');
    after(limits.wobble);
    expect(did).toEqual(['say blip', 'restart']);
    ladder.ice('connected');
    expect(did.slice(2)).toEqual(['say nothing']);
    expect(ladder.step).toBe('good');
  });

  it('restart not up in 5 s: new connection, then a new line, never limbo', () => {
    up = false;
    ladder.ice('disconnected');
    after(limits.wobble + limits.restart);
    expect(did).toEqual(['say blip', 'restart', 'renew']);
    after(limits.silence);
    expect(did.filter((d) => d === 'renew line').length).toBeGreaterThan(0);
    const before = did.length;
    after(120_000);
    expect(did.length).toBeGreaterThan(before + 5); // still climbing after two minutes
  });

  it('a restart of a line that never broke is good when it is alive', () => {
    ladder.shaken();
    expect(did).toEqual(['restart']); // wake-up or network change: looked at once, said nothing
    after(limits.restart);
    expect(ladder.step).toBe('good');
    after(60_000);
    expect(did).toEqual(['restart']);
  });

  it('network change on a dead line climbs on', () => {
    up = false;
    ladder.shaken();
    after(limits.restart);
    expect(did).toEqual(['restart', 'say blip', 'renew']);
  });

  it('failed: new connection at once', () => {
    up = false;
    ladder.ice('failed');
    expect(did).toEqual(['say blip', 'renew']);
    ladder.ice('failed'); // the old one dies once more: no second renewal
    expect(did.length).toBe(2);
  });

  it('no bytes for 10 s: new connection', () => {
    ladder.silent();
    expect(did).toEqual(['say blip', 'renew']);
  });

  it('30 s: sound first; 60 s: the desk knows; then everything comes back', () => {
    up = false;
    ladder.ice('failed');
    after(limits.audio - 1);
    expect(did).not.toContain('audio only');
    after(1);
    expect(did.slice(-2)).toEqual(['audio only', 'say audio']);
    after(limits.told - limits.audio);
    expect(ladder.words).toBe('told');
    ladder.ice('connected');
    expect(did.slice(-2)).toEqual(['video again', 'say nothing']);
    did = [];
    after(300_000);
    expect(did).toEqual([]);
  });

  it('a second break starts from the first step again', () => {
    up = false;
    ladder.ice('failed');
    after(limits.audio);
    ladder.ice('connected');
    did = [];
    ladder.ice('disconnected');
    after(limits.wobble);
    expect(did).toEqual(['say blip', 'restart']);
  });

  it('line lost: nothing for 3 s, then a sentence; media is left alone', () => {
    ladder.line(false);
    after(limits.line - 1);
    expect(did).toEqual([]);
    after(1);
    expect(did).toEqual(['say reconnecting']);
    ladder.line(true);
    expect(did).toEqual(['say reconnecting', 'say nothing']);
    ladder.line(false);
    after(1000);
    ladder.line(true);
    after(10_000);
    expect(did.length).toBe(2);
  });

  it('a line that came back gets its time before anything is renewed once more', () => {
    up = false;
    ladder.ice('failed');
    ladder.line(false);
    after(limits.restart - 1);
    ladder.line(true);
    did = [];
    after(limits.open - 1);
    expect(did).toEqual([]);
    after(1);
    expect(did).toEqual(['renew']);
  });

  it('a broken picture is said before a broken line', () => {
    up = false;
    ladder.line(false);
    after(limits.line);
    ladder.ice('failed');
    expect(ladder.words).toBe('blip');
    ladder.line(true);
    expect(ladder.words).toBe('blip');
  });

  it('a connection that never comes up is renewed', () => {
    up = false;
    ladder.opening();
    after(limits.open);
    expect(did).toEqual(['say blip', 'renew']);
  });

  it('a connection that came up in time is left alone', () => {
    ladder.opening();
    ladder.ice('checking');
    ladder.ice('connected');
    after(60_000);
    expect(did).toEqual([]);
  });

  it('does nothing after close', () => {
    ladder.ice('disconnected');
    ladder.close();
    ladder.ice('failed');
    ladder.shaken();
    ladder.silent();
    ladder.line(false);
    after(120_000);
    expect(did).toEqual([]);
  });
});
