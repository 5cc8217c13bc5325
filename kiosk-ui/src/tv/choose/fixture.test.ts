import { expect, test } from 'vitest';
import common from '../../../locales/zh-CN/common.json';
import fixture from '../../../tiles/categories.json';

// The 18 lines of the statistics form (domain.md §5.8), as in mediation.Categories.
const LINES = [
  'family', 'neighbours', 'housing', 'contract', 'business', 'damage', 'land', 'expropriation', 'environment', 'wages', 'labour',
  'medical', 'traffic', 'property', 'consumer', 'tourism', 'ecommerce', 'other',
];

test('the nine tiles cover every category exactly once', () => {
  const covered = fixture.tiles.reduce<string[]>((all, x) => all.concat(x.covers), []);
  expect(covered.slice().sort()).toEqual(LINES.slice().sort());
});

test('nine tiles, digits 1 to 9 in order, each asks for a category it covers', () => {
  expect(fixture.tiles.map((x) => x.key)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
  for (const x of fixture.tiles) expect(x.covers).toContain(x.category);
});

test('every category has a name', () => {
  for (const c of LINES.concat([fixture.unsure])) expect(common).toHaveProperty([`cat.${c}`]);
});
