// The server's clock on this page. Boxes boot in 1970; every instant on the wire is the server's, so are ours.
import { createStore, type Readable } from './store';

export interface Clock extends Readable<number> {
  /** Now in Unix microseconds, by the server's clock. */
  nowUs(): number;
  /** Takes the server's `now_at`. */
  sync(nowAt: number): void;
}

/** `get()` is the offset in ms, for redraws after a sync. */
export function createClock(local: () => number = Date.now): Clock {
  const offset = createStore(0);
  return {
    get: offset.get,
    subscribe: offset.subscribe,
    nowUs: () => (local() + offset.get()) * 1000,
    sync(nowAt) {
      const next = nowAt / 1000 - local();
      if (Math.abs(next - offset.get()) > 250) offset.set(next);
    },
  };
}

/** Whole seconds left until an instant, never below 0. */
export const secondsLeft = (untilAt: number, nowUs: number): number => Math.max(0, Math.ceil((untilAt - nowUs) / 1e6));

const two = (n: number) => (n < 10 ? `0${n}` : `${n}`);

// The whole country keeps one time, UTC+8 without summer time, whatever the box believes.
const wall = (us: number) => new Date(us / 1000 + 8 * 3600_000);

/** "14:35" */
export const hourMinute = (us: number): string => `${two(wall(us).getUTCHours())}:${two(wall(us).getUTCMinutes())}`;

/** "14:35:07" */
export const hourMinuteSecond = (us: number): string => `${hourMinute(us)}:${two(wall(us).getUTCSeconds())}`;

/** "11月21日 周六" */
export function dayText(us: number): string {
  const d = wall(us);
  return `${d.getUTCMonth() + 1}月${d.getUTCDate()}日 周${'日一二三四五六'[d.getUTCDay()]}`;
}

/** "3:07" for a call timer. */
export function minuteSecond(us: number): string {
  const s = Math.max(0, Math.floor(us / 1e6));
  return `${Math.floor(s / 60)}:${two(s % 60)}`;
}
