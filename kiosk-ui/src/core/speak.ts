// Voice and small sounds. Every spoken line is the caption of the say-bar, from the same text. Order: the shell's voice,
// then a local Chinese voice of the browser, then a chime with the caption. Speech never delays anything.
import { shell } from './shell';
import { createStore, type Readable } from './store';
import { loudness } from './volume';

export interface Speaker {
  /** The line of the say-bar. */
  said: Readable<string>;
  /** Shows and speaks a line; the same line again is not spoken twice unless `again`. */
  say(text: string, again?: boolean): void;
  hush(): void;
  /** Call from the first key or touch: browsers play nothing before. */
  unlock(): void;
  ding(): void;
  /** A short tick for an edge. */
  tick(): void;
  ring(on: boolean): void;
  /** Speech off, captions on: during a call nothing is spoken over people. */
  quiet(on: boolean): void;
}

export function createSpeaker(): Speaker {
  const said = createStore('');
  let ctx: AudioContext | null = null;
  let muted = false;
  let ringTimer: ReturnType<typeof setInterval> | undefined;

  function context(): AudioContext | null {
    if (!ctx && typeof AudioContext !== 'undefined') ctx = new AudioContext();
    return ctx && ctx.state === 'running' ? ctx : null;
  }

  function tone(freq: number, at: number, length: number, gain: number): void {
    const c = context();
    if (!c) return;
    const osc = c.createOscillator();
    const vol = c.createGain();
    osc.type = 'sine';
    osc.frequency.value = freq;
    const start = c.currentTime + at;
    vol.gain.setValueAtTime(0, start);
    vol.gain.linearRampToValueAtTime((gain * loudness.get()) / 75 + 0.0001, start + 0.02);
    vol.gain.exponentialRampToValueAtTime(0.001, start + length);
    osc.connect(vol);
    vol.connect(c.destination);
    osc.start(start);
    osc.stop(start + length + 0.05);
  }

  function voice(): SpeechSynthesisVoice | null {
    if (typeof speechSynthesis === 'undefined') return null;
    const zh = speechSynthesis.getVoices().filter((v) => /^(zh|cmn)/i.test(v.lang) && v.localService);
    return zh[0] || null;
  }

  function hush(): void {
    const s = shell();
    if (s && s.hush) s.hush();
    if (typeof speechSynthesis !== 'undefined') speechSynthesis.cancel();
  }

  function ding(): void {
    tone(880, 0, 0.5, 0.2);
    tone(1320, 0.16, 0.7, 0.16);
  }

  function speak(text: string): void {
    hush();
    const s = shell();
    if (s && s.speak) {
      s.speak(text, 'zh-CN').catch(ding);
      return;
    }
    const v = voice();
    if (v) {
      const u = new SpeechSynthesisUtterance(text);
      u.voice = v;
      u.lang = v.lang;
      u.rate = 0.9;
      u.volume = loudness.get() / 100;
      speechSynthesis.speak(u);
    } else ding();
  }

  return {
    said,
    say(text, again = false) {
      const same = said.get() === text;
      said.set(text);
      if (!text || muted || (same && !again)) return;
      speak(text);
    },
    hush,
    unlock() {
      if (!ctx && typeof AudioContext !== 'undefined') ctx = new AudioContext();
      if (ctx && ctx.state === 'suspended') void ctx.resume();
    },
    ding,
    tick: () => tone(220, 0, 0.06, 0.08),
    ring(on) {
      clearInterval(ringTimer);
      if (!on) return;
      const once = () => {
        tone(784, 0, 0.9, 0.22);
        tone(988, 0.28, 0.9, 0.2);
        tone(1175, 0.56, 1.1, 0.18);
      };
      once();
      ringTimer = setInterval(once, 2600);
    },
    quiet(on) {
      muted = on;
      if (on) hush();
    },
  };
}
