// What a call does when the net goes, step by step (media.md §13). Pure: it is told what was seen, and says what to do
// through `act`; the timers are given, so that a test can walk every edge. One ladder a connection; the link has its own.

export type Words = '' | 'reconnecting' | 'blip' | 'audio' | 'told';

export type Step = 'good' | 'wobble' | 'restarting' | 'renewing';

export interface LadderActs {
  /** ICE restart on the same connection. */
  restart(): void;
  /** A new connection; `whole` = a new media line with a fresh ticket as well. Nothing while that line is on its way. */
  renew(whole: boolean): void;
  /** Stop or resume video, sound first. */
  audioOnly(on: boolean): void;
  /** Is the connection up at this moment? A restart of a line that never broke brings no new state. */
  alive(): boolean;
  /** Something to say has changed. */
  said(words: Words): void;
}

export interface LadderTimers {
  set(ms: number, cb: () => void): unknown;
  clear(id: unknown): void;
}

export const limits = { open: 10000, wobble: 3000, restart: 5000, silence: 10000, audio: 30000, told: 60000, line: 3000 } as const;

export interface Ladder {
  readonly step: Step;
  readonly words: Words;
  /** A connection was begun: it must be up within limits.open. */
  opening(): void;
  ice(state: RTCIceConnectionState): void;
  /** The signalling line went or came. Media stays up meanwhile. */
  line(up: boolean): void;
  /** Network change or wake-up: look at once. */
  shaken(): void;
  /** Media that should flow did not flow for limits.silence. */
  silent(): void;
  /** Everything flows again, or the call is over. */
  close(): void;
}

export function createLadder(act: LadderActs, timers: LadderTimers = { set: (ms, cb) => setTimeout(cb, ms), clear: (id) => clearTimeout(id as number) }): Ladder {
  let step: Step = 'good';
  let words: Words = '';
  let lineUp = true;
  let lineSaid = false;
  let level: '' | 'blip' | 'audio' | 'told' = '';
  let renewals = 0;
  let audio = false;
  let closed = false;
  let stepTimer: unknown;
  let audioTimer: unknown;
  let toldTimer: unknown;
  let lineTimer: unknown;

  function say(): void {
    const next: Words = level || (lineSaid ? 'reconnecting' : '');
    if (next === words) return;
    words = next;
    act.said(words);
  }

  function arm(ms: number, cb: () => void): void {
    timers.clear(stepTimer);
    stepTimer = timers.set(ms, cb);
  }

  function trouble(): void {
    if (audioTimer !== undefined) return;
    audioTimer = timers.set(limits.audio, () => {
      level = 'audio';
      audio = true;
      act.audioOnly(true);
      say();
    });
    toldTimer = timers.set(limits.told, () => {
      level = 'told';
      say();
    });
  }

  function restart(broken: boolean): void {
    step = 'restarting';
    if (broken) {
      if (level === '') level = 'blip';
      say();
      trouble();
    }
    arm(limits.restart, () => {
      if (act.alive()) good();
      else renew();
    });
    act.restart();
  }

  function renew(): void {
    step = 'renewing';
    if (level === '') level = 'blip';
    say();
    trouble();
    const whole = renewals % 2 === 1; // a new connection first; if that does not help, a new line with a new ticket
    renewals++;
    arm(Math.min(limits.silence, limits.restart * (1 + Math.floor(renewals / 2))), renew);
    act.renew(whole);
  }

  function good(): void {
    step = 'good';
    level = '';
    renewals = 0;
    timers.clear(stepTimer);
    timers.clear(audioTimer);
    timers.clear(toldTimer);
    audioTimer = toldTimer = undefined;
    if (audio) {
      audio = false;
      act.audioOnly(false);
    }
    say();
  }

  return {
    opening() {
      if (!closed && step === 'good') arm(limits.open, () => { if (!act.alive()) renew(); });
    },
    get step() { return step; },
    get words() { return words; },
    ice(state) {
      if (closed) return;
      switch (state) {
        case 'connected':
        case 'completed':
          good();
          break;
        case 'disconnected':
          if (step === 'good') {
            step = 'wobble';
            arm(limits.wobble, () => restart(true));
          }
          break;
        case 'failed':
          if (step !== 'renewing') renew();
          break;
      }
    },
    line(up) {
      if (closed) return;
      if (up && step === 'renewing') { // a new line builds new connections by itself: it gets its time
        renewals = 0;
        arm(limits.open, renew);
      }
      if (up === lineUp) return;
      lineUp = up;
      timers.clear(lineTimer);
      if (up) {
        lineSaid = false;
        say();
      } else {
        lineTimer = timers.set(limits.line, () => {
          lineSaid = true;
          say();
        });
      }
    },
    shaken() {
      if (!closed && (step === 'good' || step === 'wobble')) restart(step === 'wobble');
    },
    silent() {
      if (!closed && (step === 'good' || step === 'wobble')) renew();
    },
    close() {
      closed = true;
      for (const id of [stepTimer, audioTimer, toldTimer, lineTimer]) timers.clear(id);
    },
  };
}
