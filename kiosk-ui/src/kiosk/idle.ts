// 60 s untouched, then "您还在吗？" for 20 s, then the visit is wiped. One touch extends, as often as needed (WCAG 2.2.1).
import { createStore, type Readable } from '../core/store';

export const idleMs = 60_000;
export const askSeconds = 20;

export interface Idle extends Readable<number | null> {
  /** Seconds left of the question; null = not asked. */
  get(): number | null;
  touch(): void;
  /** Lets the clock run or stand still; standing still forgets what has passed. */
  run(on: boolean): void;
  close(): void;
}

export function createIdle(onOver: () => void): Idle {
  const left = createStore<number | null>(null);
  let on = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  function count(): void {
    const n = left.get();
    if (n === null) return;
    if (n <= 1) {
      stop();
      onOver();
      return;
    }
    left.set(n - 1);
    timer = setTimeout(count, 1000);
  }

  function stop(): void {
    clearTimeout(timer);
    on = false;
    left.set(null);
  }

  function start(): void {
    clearTimeout(timer);
    left.set(null);
    timer = setTimeout(() => {
      left.set(askSeconds);
      timer = setTimeout(count, 1000);
    }, idleMs);
  }

  return {
    get: left.get,
    subscribe: left.subscribe,
    touch() { if (on) start(); },
    run(next) {
      if (next === on) return;
      if (!next) stop();
      else {
        on = true;
        start();
      }
    },
    close: stop,
  };
}
