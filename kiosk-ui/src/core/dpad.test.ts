// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createDpad, nearestBox, nextBox, type Box, type Dpad } from './dpad';
import type { Dir } from './keys';

const box = (left: number, top: number, w: number, h: number): Box => ({ left, top, right: left + w, bottom: top + h });

/** grid of the category screen: nine tiles and a bar under them. */
const nine: Box[] = [];
for (let i = 0; i < 9; i++) nine.push(box((i % 3) * 100, Math.floor(i / 3) * 50, 90, 40));
nine.push(box(0, 150, 290, 40));

/** the home: a tall hero, a tile and a strip at its right. */
const home = [box(0, 0, 58, 42), box(60, 0, 48, 23), box(60, 25, 48, 17)];

const step = (boxes: Box[], from: number, dir: Dir): number => {
  const rest = boxes.filter((_, i) => i !== from);
  const i = nextBox(boxes[from]!, rest, dir);
  return i < 0 ? from : boxes.indexOf(rest[i]!);
};

describe('geometry', () => {
  test.each<[string, Box[], number, Dir, number]>([
    ['right in a row', nine, 0, 'r', 1],
    ['down in a column', nine, 1, 'd', 4],
    ['no wrap at the right edge', nine, 2, 'r', 2],
    ['no wrap at the top edge', nine, 1, 'u', 1],
    ['from the last row to the bar', nine, 8, 'd', 9],
    ['nothing under the bar', nine, 9, 'd', 9],
    ['from the hero to the tile at its height', home, 0, 'r', 1],
    ['from the tile down to the strip', home, 1, 'd', 2],
    ['from the strip left to the hero', home, 2, 'l', 0],
    ['nothing above the hero', home, 0, 'u', 0],
  ])('%s', (_name, boxes, from, dir, want) => {
    expect(step(boxes, from, dir)).toBe(want);
  });

  test.each<[string, Box[]]>([['category', nine], ['home', home]])('every target of %s is at most 5 presses away, and home at most 3', (name, boxes) => {
    for (let a = 0; a < boxes.length; a++) {
      let reached = new Set([a]);
      let presses = 0;
      while (reached.size < boxes.length) {
        const wider = new Set(reached);
        for (const i of reached) for (const d of ['l', 'u', 'r', 'd'] as const) wider.add(step(boxes, i, d));
        expect(wider.size).toBeGreaterThan(reached.size);
        reached = wider;
        presses++;
      }
      expect(presses).toBeLessThanOrEqual(name === 'home' ? 3 : 5); // digits make it one press in the category screen
    }
  });

  test('the nearest box is by middles', () => {
    expect(nearestBox(box(95, 50, 90, 40), nine)).toBe(4);
    expect(nearestBox(box(0, 0, 1, 1), [])).toBe(-1);
  });
});

describe('focus', () => {
  let pad: Dpad;
  let root: HTMLElement;
  const place = (e: HTMLElement, b: Box): HTMLElement => {
    e.getBoundingClientRect = () => ({ ...b, width: b.right - b.left, height: b.bottom - b.top, x: b.left, y: b.top, toJSON: () => b }) as DOMRect;
    return e;
  };
  const screen = (name: string, boxes: Box[], level = 0): { el: HTMLElement; leave: () => void } => {
    const el = document.createElement('main');
    boxes.forEach((b, i) => {
      const e = document.createElement('button');
      e.setAttribute('data-f', name + i);
      e.setAttribute('data-k', String(i + 1));
      el.appendChild(place(e, b));
    });
    root.appendChild(el);
    return { el, leave: pad.enter(el, name, level) };
  };
  const at = (): string => (document.activeElement ? document.activeElement.getAttribute('data-f') || document.activeElement.tagName : 'none');
  const settled = (): Promise<void> => new Promise((r) => requestAnimationFrame(() => r()));

  beforeEach(() => {
    root = document.createElement('div');
    document.body.appendChild(root);
    pad = createDpad(root);
  });
  afterEach(() => {
    pad.stop();
    root.remove();
  });

  test('a screen starts at data-first and remembers where it was', () => {
    const a = screen('a', nine);
    expect(at()).toBe('a0');
    pad.move('r');
    pad.move('d');
    expect(at()).toBe('a4');
    a.leave();
    a.el.remove();
    screen('a', nine);
    expect(at()).toBe('a4');
  });

  test('a dialog holds the focus and gives it back', () => {
    screen('a', nine);
    pad.move('r');
    const dialog = screen('ask', [box(0, 0, 10, 10), box(20, 0, 10, 10)], 1);
    expect(at()).toBe('ask0');
    pad.move('d');
    expect(at()).toBe('ask0');
    const under = screen('b', nine); // the screen below changes while the dialog lies open
    expect(at()).toBe('ask0');
    dialog.leave();
    dialog.el.remove();
    expect(at()).toBe('b0');
    under.leave();
    under.el.remove();
    expect(at()).toBe('a1');
  });

  test('a screen that opens in the same place starts at its own data-first', () => {
    const a = screen('a', nine);
    pad.jump(5);
    a.leave();
    a.el.children[2]!.setAttribute('data-first', '');
    pad.enter(a.el, 'a-again');
    expect(at()).toBe('a2');
  });

  test('digits jump without pressing', () => {
    let pressed = 0;
    const { el } = screen('a', nine);
    el.addEventListener('click', () => pressed++);
    expect(pad.jump(7)).toBe(true);
    expect(at()).toBe('a6');
    expect(pad.jump(0)).toBe(false);
    expect(at()).toBe('a6');
    expect(pressed).toBe(0);
  });

  test('a target may keep an arrow for itself', () => {
    const { el } = screen('a', nine);
    const dirs: string[] = [];
    el.children[0]!.addEventListener('dpad', (e) => {
      dirs.push((e as CustomEvent<string>).detail);
      if ((e as CustomEvent<string>).detail === 'r') e.preventDefault();
    });
    pad.move('r');
    expect(at()).toBe('a0');
    pad.move('d');
    expect(at()).toBe('a3');
    expect(dirs).toEqual(['r', 'd']);
  });

  test.each<[string, (e: HTMLElement) => void]>([
    ['leaves the page', (e) => e.remove()],
    ['is disabled', (e) => e.setAttribute('disabled', '')],
    ['is hidden', (e) => e.setAttribute('hidden', '')],
    ['is blurred', (e) => e.blur()],
  ])('a focused target that %s: focus is in scope before the next frame', async (_name, lose) => {
    screen('a', nine);
    pad.jump(5);
    lose(document.activeElement as HTMLElement);
    await settled();
    expect(at()).toMatch(/^a\d$/);
    expect(pad.current()).not.toBeNull();
  });

  test('a screen without targets holds the focus itself until one comes', async () => {
    const { el } = screen('a', []);
    expect(document.activeElement).toBe(el);
    const e = place(document.createElement('button'), box(0, 0, 1, 1));
    e.setAttribute('data-f', 'late');
    el.appendChild(e);
    await settled();
    expect(at()).toBe('late');
  });

  test('500 random keys while targets come and go never lose the focus', async () => {
    let seed = 20260302;
    const rnd = (n: number): number => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed % n;
    };
    const { el } = screen('a', nine);
    let dialog: { el: HTMLElement; leave: () => void } | null = null;
    for (let i = 0; i < 500; i++) {
      const kind = rnd(10);
      if (kind < 6) pad.move((['l', 'u', 'r', 'd'] as const)[rnd(4)]!);
      else if (kind < 7) pad.jump(rnd(10));
      else if (kind < 8 && el.children.length > 1) el.children[rnd(el.children.length)]!.remove();
      else if (kind < 9) {
        const e = document.createElement('button');
        e.setAttribute('data-f', 'n' + i);
        el.appendChild(place(e, box(rnd(300), rnd(200), 60, 30)));
      } else if (dialog) {
        dialog.leave();
        dialog.el.remove();
        dialog = null;
      } else dialog = screen('ask' + i, [box(0, 0, 10, 10), box(20, 0, 10, 10)], 1);
      await Promise.resolve();
      await Promise.resolve();
      expect(pad.current(), `after step ${i}`).not.toBeNull();
    }
  });
});
