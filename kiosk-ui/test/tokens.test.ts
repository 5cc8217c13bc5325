import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

const css = readFileSync('src/core/tokens.css', 'utf8');

function tokens(selector: string): Record<string, string> {
  const at = css.indexOf(`${selector} {`);
  const body = css.slice(at, css.indexOf('}', at));
  return Object.fromEntries(Array.from(body.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g), (m) => [m[1]!, m[2]!]));
}

const luminance = (hex: string): number => {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};

/** WCAG 2.2 contrast ratio. */
const ratio = (a: string, b: string): number => {
  const [x, y] = [luminance(a), luminance(b)].sort((p, q) => q - p) as [number, number];
  return (x + 0.05) / (y + 0.05);
};

// text on ground, and the least ratio that ui.md §15.1 promises
const pairs: [string, string, number][] = [
  ['ink', 'bg', 7], ['ink', 'surf', 7], ['ink', 'raised', 7], ['ink', 'well', 7], ['ink', 'warn-bg', 7],
  ['ink2', 'bg', 6], ['ink2', 'surf', 6], ['ink2', 'raised', 5],
  ['on-press', 'press', 7], ['on-press2', 'press', 6],
  ['on-red', 'red', 5], ['on-ok', 'ok', 5], ['focus', 'bg', 3], ['focus', 'surf', 3],
];

describe.each([':root', '[data-theme="dark"]'])('tokens of %s', (selector) => {
  const t = { ...tokens(':root'), ...tokens(selector) };
  it.each(pairs)('%s on %s is at least %f', (text, ground, least) => {
    expect(ratio(t[text]!, t[ground]!)).toBeGreaterThanOrEqual(least);
  });
});

describe('tokens', () => {
  it('both themes name the same tokens', () => {
    expect(Object.keys(tokens('[data-theme="dark"]')).sort()).toEqual(Object.keys(tokens(':root')).sort());
  });
  it('red letters and lines stand out on light ground', () => {
    const t = tokens(':root');
    expect(ratio(t.red!, t.surf!)).toBeGreaterThanOrEqual(5);
    expect(ratio(t.ok!, t.surf!)).toBeGreaterThanOrEqual(5);
    expect(ratio(t.warn!, t['warn-bg']!)).toBeGreaterThanOrEqual(5);
  });
});
