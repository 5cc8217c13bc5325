// A stack of screens with the Back key in mind. The page keeps at most one extra history entry, the trap: while
// there is something to go back to (a layer, or a screen that guards its leaving), the browser's or the shell's Back
// lands on the trap and becomes our Back; on the first screen there is no trap and Back leaves to the portal.

/** The part of window.history we use. */
export interface HistoryLike { state: unknown; pushState(s: unknown, t: string): void; back(): void }

export interface Screens<L> {
  /** layers from bottom to top; never changed in place. */
  layers(): readonly L[];
  top(): L | null;
  push(l: L): void;
  /** pop removes the top layer; false when there was none. */
  pop(): boolean;
  replace(l: L): void;
  clear(): void;
  /** guard keeps the trap set although no layer lies open. */
  guard(on: boolean): void;
  /** popped is to be called on `popstate`; a Back of the browser ends up in onBack. */
  popped(): void;
}

const TRAP = 'heyi-trap';

/** createScreens keeps the layers; `start` restores those of the same page before a reload. */
export function createScreens<L>(o: { history: HistoryLike; onChange: () => void; onBack: () => void; start?: readonly L[] }): Screens<L> {
  let layers: readonly L[] = o.start || [];
  let guarded = false;
  let trapped = o.history.state === TRAP;
  let leaving = 0; // pops we caused ourselves

  const sync = (): void => {
    if (leaving > 0) return; // wait for our own pop, popped() comes back here
    const want = guarded || layers.length > 0;
    if (want && !trapped) {
      trapped = true;
      o.history.pushState(TRAP, '');
    } else if (!want && trapped) {
      trapped = false;
      leaving++;
      o.history.back();
    }
  };
  const set = (next: readonly L[]): void => {
    layers = next;
    sync();
    o.onChange();
  };
  sync();
  return {
    layers: () => layers,
    top: () => (layers.length ? layers[layers.length - 1]! : null),
    push: (l) => set(layers.concat([l])),
    pop() {
      if (layers.length === 0) return false;
      set(layers.slice(0, -1));
      return true;
    },
    replace: (l) => set(layers.slice(0, -1).concat([l])),
    clear() { if (layers.length) set([]); },
    guard(on) {
      guarded = on;
      sync();
    },
    popped() {
      trapped = o.history.state === TRAP;
      if (leaving > 0) leaving--;
      else if (!trapped) o.onBack(); // else: forward onto our own entry
      sync();
    },
  };
}
