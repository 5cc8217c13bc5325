// D-pad focus: real DOM focus, chosen by geometry alone. A target is any element with `data-f="<id>"` that is not
// disabled or hidden; `data-first` marks where a screen starts, `data-k="1"` the digit that jumps to it.
//
// Rules (ui.md §5.4): no wrap-around; at an edge nothing moves; every scope remembers its last target by id, so a
// screen that is drawn again starts where it was left; a target that leaves the page gives its focus to the nearest
// one in scope before the next frame. Scopes stack: a dialog's scope lies above its screen's until it leaves.

import type { Dir } from './keys';

export interface Box { left: number; top: number; right: number; bottom: number }

/** nextBox returns the index of the box to go to from `a`, or -1 at an edge. Overlap counts first, then distance. */
export function nextBox(a: Box, boxes: Box[], dir: Dir): number {
  const across = dir === 'l' || dir === 'r';
  const slack = 4 + 0.06 * (across ? a.right - a.left : a.bottom - a.top); // the focused target is drawn 3.5 % larger
  let best = -1;
  let score = Infinity;
  boxes.forEach((b, i) => {
    const gap = dir === 'l' ? a.left - b.right : dir === 'r' ? b.left - a.right : dir === 'u' ? a.top - b.bottom : b.top - a.bottom;
    if (gap < -slack) return;
    const off = across
      ? Math.max(0, Math.max(a.top, b.top) - Math.min(a.bottom, b.bottom))
      : Math.max(0, Math.max(a.left, b.left) - Math.min(a.right, b.right));
    const drift = across ? Math.abs(a.top - b.top) : Math.abs(a.left - b.left);
    const s = Math.max(0, gap) + off * 8 + drift * 0.3;
    if (s < score) { score = s; best = i; }
  });
  return best;
}

/** nearestBox returns the index of the box whose middle is nearest to the middle of `a`; -1 when there is none. */
export function nearestBox(a: Box, boxes: Box[]): number {
  let best = -1;
  let score = Infinity;
  boxes.forEach((b, i) => {
    const dx = b.left + b.right - a.left - a.right;
    const dy = b.top + b.bottom - a.top - a.bottom;
    const s = dx * dx + dy * dy;
    if (s < score) { score = s; best = i; }
  });
  return best;
}

export interface Dpad {
  /** enter opens a scope; of several the one with the highest level rules, then the latest. Returns leave. */
  enter(el: HTMLElement, name: string, level?: number): () => void;
  move(dir: Dir): void;
  /** jump focuses the target of a digit without pressing it; false when there is none. */
  jump(n: number): boolean;
  focus(id: string): boolean;
  /** current is the focused target; null while the scope has none. */
  current(): HTMLElement | null;
  /** screen names the ruling scope; empty when there is none. */
  screen(): string;
  stop(): void;
}

export interface DpadOptions {
  /** Called when a move changed nothing (soft tick). */
  edge?: () => void;
  /** Called after a person's key moved the focus, and once when a scope opens. */
  focused?: (el: HTMLElement, byKey: boolean) => void;
  /** Called when another scope rules: a screen changed, a dialog opened or closed. */
  ruled?: () => void;
}

interface Scope { el: HTMLElement; name: string; level: number }

const TARGETS = '[data-f]:not([disabled]):not([hidden])';

/** createDpad owns the focus of `root` until stop(). A target may take an arrow for itself by cancelling its `dpad` event. */
export function createDpad(root: HTMLElement, o: DpadOptions = {}): Dpad {
  const scopes: Scope[] = [];
  const memory: Record<string, string> = {};
  let lastBox: Box | null = null;
  let byKey = false;

  const top = (): Scope | null => scopes.reduce<Scope | null>((t, s) => (t && t.level > s.level ? t : s), null);
  const items = (): HTMLElement[] => {
    const s = top();
    return s ? [].slice.call(s.el.querySelectorAll<HTMLElement>(TARGETS)) : [];
  };
  const put = (el: HTMLElement): void => { el.focus({ preventScroll: true }); };
  const current = (): HTMLElement | null => {
    const a = document.activeElement as HTMLElement | null;
    return a && items().indexOf(a) >= 0 ? a : null;
  };

  // settle gives the focus back to the ruling scope whenever it is anywhere else; `fresh` when a scope has just opened.
  const settle = (fresh = false): void => {
    if (!fresh && current()) return;
    const s = top();
    if (!s) return;
    const list = items();
    if (list.length === 0) {
      if (document.activeElement !== s.el) put(s.el); // a screen with nothing to press still holds the focus
      return;
    }
    const kept = list.filter((e) => e.getAttribute('data-f') === memory[s.name])[0];
    const near = lastBox ? list[nearestBox(lastBox, list.map((e) => e.getBoundingClientRect()))] : undefined;
    const first = list.filter((e) => e.hasAttribute('data-first'))[0];
    put(kept || near || first || list[0]!);
  };

  const onFocusIn = (e: Event): void => {
    const el = e.target as HTMLElement;
    const s = top();
    if (!s || items().indexOf(el) < 0) { settle(); return; }
    memory[s.name] = el.getAttribute('data-f') || '';
    lastBox = el.getBoundingClientRect();
    if (o.focused) o.focused(el, byKey);
  };
  const onFocusOut = (): void => { void Promise.resolve().then(() => settle()); };
  const watch = new MutationObserver(() => settle());
  watch.observe(root, { childList: true, subtree: true, attributes: true, attributeFilter: ['disabled', 'hidden', 'data-f'] });
  document.addEventListener('focusin', onFocusIn);
  document.addEventListener('focusout', onFocusOut);

  const go = (el: HTMLElement | undefined): boolean => {
    if (!el) return false;
    byKey = true;
    put(el);
    byKey = false;
    return true;
  };

  return {
    enter(el, name, level = 0) {
      const s = { el, name, level };
      scopes.push(s);
      el.tabIndex = -1;
      if (top() === s) {
        lastBox = null;
        if (o.ruled) o.ruled();
        settle(true);
      }
      return () => {
        const i = scopes.indexOf(s);
        if (i < 0) return;
        scopes.splice(i, 1);
        lastBox = null;
        if (o.ruled) o.ruled();
        settle();
      };
    },
    move(dir) {
      const from = current();
      if (!from) { settle(); return; }
      const own = new CustomEvent('dpad', { detail: dir, cancelable: true });
      if (!from.dispatchEvent(own)) return;
      const list = items().filter((e) => e !== from);
      const i = nextBox(from.getBoundingClientRect(), list.map((e) => e.getBoundingClientRect()), dir);
      if (!go(list[i]) && o.edge) o.edge();
    },
    jump: (n) => go(items().filter((e) => e.getAttribute('data-k') === String(n))[0]),
    focus: (id) => go(items().filter((e) => e.getAttribute('data-f') === id)[0]),
    current,
    screen() {
      const s = top();
      return s ? s.name : '';
    },
    stop() {
      watch.disconnect();
      document.removeEventListener('focusin', onFocusIn);
      document.removeEventListener('focusout', onFocusOut);
      scopes.length = 0;
    },
  };
}
