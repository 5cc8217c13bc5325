// Six boxes for a code: keyed digit by digit, or turned up and down where a remote has no digit keys. Pure.

export interface Boxes { d: readonly (number | null)[]; at: number }

export const emptyBoxes = (n = 6): Boxes => ({ d: new Array<number | null>(n).fill(null), at: 0 });

const put = (b: Boxes, i: number, n: number | null, at: number): Boxes => ({
  d: b.d.map((x, k) => (k === i ? n : x)),
  at: Math.max(0, Math.min(b.d.length - 1, at)),
});

/** A digit key: fills the box where the cursor stands and goes on to the next. */
export const typed = (b: Boxes, n: number): Boxes => put(b, b.at, n, b.at + 1);

/** ▲ or ▼ on box i: 0 to 9 in a circle; an empty box begins with 0. */
export const turned = (b: Boxes, i: number, by: 1 | -1): Boxes => {
  const now = b.d[i];
  return put(b, i, now === null || now === undefined ? (by === 1 ? 0 : 9) : (now + by + 10) % 10, i);
};

/** Takes the last digit back. */
export function erased(b: Boxes): Boxes {
  let last = -1;
  b.d.forEach((x, i) => { if (x !== null) last = i; });
  return last < 0 ? b : put(b, last, null, last);
}

export const moved = (b: Boxes, at: number): Boxes => put(b, -1, null, at);

/** The whole code, '' while a box is empty. */
export const codeOf = (b: Boxes): string => (b.d.some((x) => x === null) ? '' : b.d.join(''));

export const isEmpty = (b: Boxes): boolean => b.d.every((x) => x === null);
