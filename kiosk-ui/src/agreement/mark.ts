// A mark drawn by hand: strokes of [x,y,t, x,y,t, ...], integers; x and y in units of the field, t in ms since the first
// point. At most 20 strokes and 4,000 points (docs/protocol.md). Pure.

export interface Mark { w: number; h: number; strokes: number[][] }

export const MAX_STROKES = 20;
export const MAX_POINTS = 4000;

export interface Hand {
  /** Pen down; false when no more strokes fit. */
  down(x: number, y: number, ms: number): boolean;
  /** Pen moves; false when the point was left out: too near the last one, or the mark is full. */
  move(x: number, y: number, ms: number): boolean;
  up(): void;
  clear(): void;
  readonly empty: boolean;
  /** Enough ink to be a name and not a slip of the finger. */
  readonly enough: boolean;
  mark(): Mark;
}

/** Collects a mark on a field of w × h; points nearer than 2 units to the last one carry nothing and are left out. */
export function createHand(w: number, h: number): Hand {
  let strokes: number[][] = [];
  let points = 0;
  let first = 0;
  let drawing = false;
  const inside = (v: number, max: number): number => Math.max(0, Math.min(max, Math.round(v)));
  const put = (s: number[], x: number, y: number, ms: number): void => {
    s.push(inside(x, w), inside(y, h), Math.max(0, Math.round(ms - first)));
    points++;
  };
  const ink = (): number => {
    let sum = 0;
    for (const s of strokes) for (let i = 3; i < s.length; i += 3) sum += Math.abs(s[i]! - s[i - 3]!) + Math.abs(s[i + 1]! - s[i - 2]!);
    return sum;
  };
  return {
    down(x, y, ms) {
      drawing = strokes.length < MAX_STROKES && points < MAX_POINTS;
      if (!drawing) return false;
      if (points === 0) first = ms;
      const s: number[] = [];
      strokes.push(s);
      put(s, x, y, ms);
      return true;
    },
    move(x, y, ms) {
      const s = strokes[strokes.length - 1];
      if (!drawing || s === undefined || points >= MAX_POINTS) return false;
      const dx = inside(x, w) - s[s.length - 3]!;
      const dy = inside(y, h) - s[s.length - 2]!;
      if (dx * dx + dy * dy < 4) return false;
      put(s, x, y, ms);
      return true;
    },
    up() {
      drawing = false;
    },
    clear() {
      strokes = [];
      points = 0;
      drawing = false;
    },
    get empty() {
      return points === 0;
    },
    get enough() {
      return points >= 6 && ink() >= Math.max(w, h) / 4;
    },
    mark: () => ({ w, h, strokes: strokes.map((s) => s.slice()) }),
  };
}
