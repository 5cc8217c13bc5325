// The sound of an offer: two soft notes every two seconds, made on the spot. A browser plays nothing before the first
// press on the page, so the state says whether a press is still missing.

export type Ring = { blocked: () => boolean; unlock: () => Promise<void>; start: () => void; stop: () => void };

export function createRing(): Ring {
  let ctx: AudioContext | null = null;
  let timer: ReturnType<typeof setInterval> | undefined;

  const context = () => (ctx ??= new AudioContext());

  function note(at: number, hz: number): void {
    const c = context();
    const tone = c.createOscillator();
    const loud = c.createGain();
    tone.frequency.value = hz;
    loud.gain.setValueAtTime(0, at);
    loud.gain.linearRampToValueAtTime(0.22, at + 0.03);
    loud.gain.exponentialRampToValueAtTime(0.001, at + 0.7);
    tone.connect(loud).connect(c.destination);
    tone.start(at);
    tone.stop(at + 0.75);
  }

  function chime(): void {
    const c = context();
    if (c.state !== 'running') return;
    note(c.currentTime, 659.3);
    note(c.currentTime + 0.28, 523.3);
  }

  return {
    blocked: () => context().state !== 'running',
    unlock: () => context().resume(),
    start() {
      if (timer !== undefined) return;
      chime();
      timer = setInterval(chime, 2000);
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
    },
  };
}
