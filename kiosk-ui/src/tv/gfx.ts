// Boxes that paint slowly get plain backgrounds: the first ten moves are measured from key to painted frame (ui.md §16).
const MOVES = 10;
const SLOW_MS = 80;
const KEY = 'heyi.gfx';

/** p95 of a few samples. */
export function p95(samples: number[]): number {
  const sorted = samples.slice().sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * 0.95) - 1)]! : 0;
}

export function probeGraphics(now: () => number): { moved(): void } {
  const html = document.documentElement;
  const lite = (): void => { html.setAttribute('data-gfx', 'lite'); };
  const samples: number[] = [];
  try {
    if (sessionStorage.getItem(KEY) === 'lite') lite();
  } catch {
    // measured again at each load
  }
  return {
    moved() {
      if (samples.length >= MOVES) return;
      const at = now();
      requestAnimationFrame(() => requestAnimationFrame(() => {
        samples.push(now() - at);
        if (samples.length !== MOVES || p95(samples) <= SLOW_MS) return;
        lite();
        try {
          sessionStorage.setItem(KEY, 'lite');
        } catch {
          // as above
        }
      }));
    },
  };
}
