// Keys: one table for all remotes, and what a press means. The second layer, command -> focus, is dpad.ts.
//
// OK acts when the key comes up, and only if the press began on the screen that is showing now: a press held over a
// screen change does nothing on the new screen. A held arrow moves once in `moveEveryMs`.

export type Dir = 'l' | 'u' | 'r' | 'd';
export type Command =
  | { cmd: 'move'; dir: Dir }
  | { cmd: 'ok' }
  | { cmd: 'back' }
  | { cmd: 'digit'; n: number }
  | { cmd: 'play' }
  | { cmd: 'pause' };

const MOVES: Record<number, Dir> = { 37: 'l', 38: 'u', 39: 'r', 40: 'd' };
// 4 Android, 27 Escape, 8 Backspace, 461 webOS, 10009 Tizen, 166 HbbTV. OK: 13, and 23 of the Android D-pad centre.
const OK = [13, 23];
const BACK = [4, 27, 8, 461, 10009, 166];
const PLAY = [415, 10252];
const PAUSE = [19];

/** commandOf names what a key of any remote means; null for keys that are none of ours (volume, power, menu). */
export function commandOf(keyCode: number): Command | null {
  const dir = MOVES[keyCode];
  if (dir) return { cmd: 'move', dir };
  if (OK.indexOf(keyCode) >= 0) return { cmd: 'ok' };
  if (BACK.indexOf(keyCode) >= 0) return { cmd: 'back' };
  if (keyCode >= 48 && keyCode <= 57) return { cmd: 'digit', n: keyCode - 48 };
  if (keyCode >= 96 && keyCode <= 105) return { cmd: 'digit', n: keyCode - 96 };
  if (PLAY.indexOf(keyCode) >= 0) return { cmd: 'play' };
  if (PAUSE.indexOf(keyCode) >= 0) return { cmd: 'pause' };
  return null;
}

export interface KeysOptions {
  /** The name of the screen that shows now; it changes when a dialog opens or closes. */
  screen: () => string;
  /** Milliseconds on a clock that does not jump. */
  now: () => number;
  /** Called first for every press that is not a repeat; true swallows the press (the hidden bar of the call). */
  first?: (c: Command) => boolean;
  move: (dir: Dir) => void;
  ok: () => void;
  back: () => void;
  digit: (n: number) => void;
  /** A held arrow moves once in this many milliseconds; 120 by default. */
  moveEveryMs?: number;
}

/** bindKeys turns the key events of `target` into commands until the returned function is called. */
export function bindKeys(target: EventTarget, o: KeysOptions): () => void {
  const every = o.moveEveryMs === undefined ? 120 : o.moveEveryMs;
  const down: Record<number, boolean> = {}; // some remotes repeat keydown without setting `repeat`
  let lastMove = -every;
  let okOn: string | null = null;

  const onDown = (ev: Event): void => {
    const e = ev as KeyboardEvent;
    const c = commandOf(e.keyCode);
    if (!c || typing(e.target)) return;
    e.preventDefault();
    const repeat = e.repeat || down[e.keyCode] === true;
    down[e.keyCode] = true;
    if (!repeat && o.first && o.first(c)) return;
    if (c.cmd === 'move') {
      if (repeat && o.now() - lastMove < every) return;
      lastMove = o.now();
      o.move(c.dir);
    } else if (!repeat) {
      if (c.cmd === 'ok') okOn = o.screen();
      else if (c.cmd === 'back') o.back();
      else if (c.cmd === 'digit') o.digit(c.n);
    }
  };
  const onUp = (ev: Event): void => {
    const e = ev as KeyboardEvent;
    down[e.keyCode] = false;
    const c = commandOf(e.keyCode);
    if (!c || c.cmd !== 'ok') return;
    e.preventDefault();
    const began = okOn;
    okOn = null;
    if (began !== null && began === o.screen()) o.ok();
  };
  const onBlur = (): void => {
    for (const k in down) down[k] = false;
    okOn = null;
  };
  target.addEventListener('keydown', onDown);
  target.addEventListener('keyup', onUp);
  target.addEventListener('blur', onBlur);
  return () => {
    target.removeEventListener('keydown', onDown);
    target.removeEventListener('keyup', onUp);
    target.removeEventListener('blur', onBlur);
  };
}

/** typing tells whether the event belongs to a text field, which keeps its own arrows and digits. */
function typing(t: EventTarget | null): boolean {
  const tag = t && (t as HTMLElement).tagName;
  return tag === 'INPUT' || tag === 'TEXTAREA' || tag === 'SELECT';
}
