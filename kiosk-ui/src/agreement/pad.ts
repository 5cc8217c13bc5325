// A field to sign in, for finger, pen or mouse: a canvas of any size draws what createHand collects. Without a framework,
// for engines from Chromium 66 on.
import { createHand, type Mark } from './mark';

export interface Pad {
  clear(): void;
  readonly enough: boolean;
  mark(): Mark;
  /** Lets go of the canvas. */
  close(): void;
}

export interface PadOpts { ink?: string; onChange?: () => void; now?: () => number }

/** The field's units: 600 wide, as high as the canvas's shape asks for. */
const WIDTH = 600;

export function openPad(canvas: HTMLCanvasElement, opts: PadOpts = {}): Pad {
  const now = opts.now || (() => Date.now());
  const box = canvas.getBoundingClientRect();
  const h = Math.max(60, Math.round((WIDTH * (box.height || 200)) / (box.width || 600)));
  const hand = createHand(WIDTH, h);
  const ctx = canvas.getContext('2d');
  let pen = -1; // the pointer that draws; a second finger is not a second pen
  let last: [number, number] | null = null;

  const scale = Math.max(1, Math.min(2, window.devicePixelRatio || 1));
  canvas.width = Math.round((box.width || 600) * scale);
  canvas.height = Math.round((box.height || 200) * scale);
  canvas.style.touchAction = 'none';
  const unit = canvas.width / WIDTH;

  const at = (e: PointerEvent): [number, number] => {
    const r = canvas.getBoundingClientRect();
    return [((e.clientX - r.left) / (r.width || 1)) * WIDTH, ((e.clientY - r.top) / (r.height || 1)) * h];
  };
  const line = (to: [number, number]): void => {
    if (ctx === null) return;
    const from = last || to;
    ctx.strokeStyle = opts.ink || '#1c2a2e';
    ctx.lineWidth = 4 * unit;
    ctx.lineCap = 'round';
    ctx.lineJoin = 'round';
    ctx.beginPath();
    ctx.moveTo(from[0] * unit, from[1] * unit);
    ctx.lineTo(to[0] * unit + (last ? 0 : 0.1), to[1] * unit);
    ctx.stroke();
    last = to;
  };
  const down = (e: PointerEvent): void => {
    if (pen !== -1 || (e.pointerType === 'mouse' && e.button !== 0)) return;
    const p = at(e);
    if (!hand.down(p[0], p[1], now())) return;
    e.preventDefault();
    pen = e.pointerId;
    try {
      canvas.setPointerCapture(pen);
    } catch {
      // the pointer is gone already, or was made by a test
    }
    last = null;
    line(p);
    if (opts.onChange) opts.onChange();
  };
  const move = (e: PointerEvent): void => {
    if (e.pointerId !== pen) return;
    e.preventDefault();
    const p = at(e);
    if (hand.move(p[0], p[1], now())) line(p);
    if (opts.onChange) opts.onChange();
  };
  const up = (e: PointerEvent): void => {
    if (e.pointerId !== pen) return;
    pen = -1;
    hand.up();
    if (opts.onChange) opts.onChange();
  };
  canvas.addEventListener('pointerdown', down);
  canvas.addEventListener('pointermove', move);
  canvas.addEventListener('pointerup', up);
  canvas.addEventListener('pointercancel', up);

  return {
    clear() {
      hand.clear();
      pen = -1;
      if (ctx !== null) ctx.clearRect(0, 0, canvas.width, canvas.height);
      if (opts.onChange) opts.onChange();
    },
    get enough() {
      return hand.enough;
    },
    mark: hand.mark,
    close() {
      canvas.removeEventListener('pointerdown', down);
      canvas.removeEventListener('pointermove', move);
      canvas.removeEventListener('pointerup', up);
      canvas.removeEventListener('pointercancel', up);
    },
  };
}
