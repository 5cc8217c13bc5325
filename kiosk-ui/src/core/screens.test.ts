import { expect, test } from 'vitest';
import { createScreens, type HistoryLike, type Screens } from './screens';

/** A history like the browser's: back() lands later, as a popstate. */
function browser(): HistoryLike & { depth(): number; settle(): void; userBack(): boolean; screens?: Screens<string> } {
  const entries: unknown[] = [null];
  let at = 0;
  let pending = 0;
  const h = {
    get state() { return entries[at]; },
    pushState(s: unknown) {
      entries.length = at + 1;
      entries.push(s);
      at++;
    },
    back() { pending++; },
    depth: () => at,
    settle() {
      while (pending > 0) {
        pending--;
        if (at > 0) {
          at--;
          h.screens!.popped();
        }
      }
    },
    /** The shell's Back key: false when the page is left. */
    userBack() {
      if (at === 0) return false;
      at--;
      h.screens!.popped();
      h.settle();
      return true;
    },
    screens: undefined as Screens<string> | undefined,
  };
  return h;
}

function setup(start: string[] = []) {
  const history = browser();
  const changes: string[] = [];
  const screens: Screens<string> = createScreens<string>({
    history,
    start,
    onChange: () => { changes.push(screens.layers().join('>')); },
    onBack: () => { screens.pop(); },
  });
  history.screens = screens;
  return { history, screens, changes };
}

test('push, replace, pop, clear', () => {
  const { screens, changes } = setup();
  screens.push('category');
  screens.push('help');
  screens.replace('phone');
  expect(screens.top()).toBe('phone');
  expect(screens.pop()).toBe(true);
  screens.clear();
  expect(screens.top()).toBeNull();
  expect(screens.pop()).toBe(false);
  expect(changes).toEqual(['category', 'category>help', 'category>phone', 'category', '']);
});

test('the browser\'s Back closes one layer each and then leaves', () => {
  const { history, screens } = setup();
  screens.push('category');
  screens.push('lang');
  expect(history.depth()).toBe(1); // one trap, however deep the layers
  expect(history.userBack()).toBe(true);
  expect(screens.layers()).toEqual(['category']);
  expect(history.userBack()).toBe(true);
  expect(screens.layers()).toEqual([]);
  expect(history.depth()).toBe(0);
  expect(history.userBack()).toBe(false);
});

test('closing the last layer ourselves removes the trap', () => {
  const { history, screens } = setup();
  screens.push('help');
  screens.pop();
  history.settle();
  expect(history.depth()).toBe(0);
});

test('a layer that opens while the trap is being removed gets its trap', () => {
  const { history, screens } = setup();
  screens.push('help');
  screens.pop();
  screens.push('phone');
  history.settle();
  expect(screens.layers()).toEqual(['phone']);
  expect(history.depth()).toBe(1);
  expect(history.userBack()).toBe(true);
  expect(screens.layers()).toEqual([]);
});

test('a guarded screen keeps the trap, so Back asks again and again', () => {
  const history = browser();
  let asked = 0;
  const screens: Screens<string> = createScreens<string>({ history, onChange: () => undefined, onBack: () => { asked++; } });
  history.screens = screens;
  screens.guard(true);
  history.userBack();
  history.userBack();
  expect(asked).toBe(2);
  expect(history.depth()).toBe(1);
  screens.guard(false);
  history.settle();
  expect(history.depth()).toBe(0);
});

test('a reload brings the layers back with one trap', () => {
  const { history, screens } = setup(['category', 'lang']);
  expect(screens.layers()).toEqual(['category', 'lang']);
  expect(history.depth()).toBe(1);
});
