import { describe, expect, test } from 'vitest';
import type { Overview, UnitRow } from '../core/types';
import tiles from '../../tiles/1504.json';
import { engineTier, findNode, lanes, matching, pathOf, saying, shade, treeOf, within, worst } from './fleet';
import { hrefOf, parsePlace } from './url';

const unit = (code: string, name: string, parent_id: string, devices = 0, online = 0): UnitRow => ({ id: `u${code}`, code, name, level: '', parent_id, sample: false, devices, online });
const units = [
  unit('150430206', '萨力巴乡', 'u150430', 12, 3),
  unit('150430', '敖汉旗', 'u150400', 40, 30),
  unit('150402', '红山区', 'u150400', 20, 20),
  unit('150400', '赤峰市', '', 60, 50),
];

describe('the tree', () => {
  const roots = treeOf(units);
  test('is built in any order and sorted by code', () => {
    expect(roots.map((n) => n.name)).toEqual(['赤峰市']);
    expect(roots[0]?.kids.map((n) => n.name)).toEqual(['红山区', '敖汉旗']);
    expect(findNode(roots, 'u150430206')?.depth).toBe(2);
  });
  test('a subtree whose parent is out of sight is a root', () => expect(treeOf([unit('150430206', '萨力巴乡', 'u150430')]).map((n) => n.name)).toEqual(['萨力巴乡']));
  test('a path leads from the top', () => expect(pathOf(findNode(roots, 'u150430206')!).map((n) => n.name)).toEqual(['赤峰市', '敖汉旗', '萨力巴乡']));
  test('a place lies in a unit by its path of names', () => {
    const county = findNode(roots, 'u150430')!;
    expect(within(['赤峰市', '敖汉旗', '萨力巴乡'], county)).toBe(true);
    expect(within(['赤峰市', '红山区'], county)).toBe(false);
    expect(within(['别处'], roots[0]!)).toBe(true);
  });
  test('a search keeps what stands above a hit', () => {
    expect(matching(roots, '萨力')).toEqual(new Set(['u150400', 'u150430', 'u150430206']));
    expect(matching(roots, '')).toBeNull();
    expect(matching(roots, '没有')).toEqual(new Set());
  });
});

describe('what is said of a place', () => {
  const over = (o: Partial<Overview> = {}): Overview => ({
    devices: { total: 60, online: 50, suspect: 0, offline: 10, lost: 0, fault: 4, quarantined: 0 }, today: { met: 0, missed: 0, wait_p50_ms: 0, wait_p95_ms: 0 }, handoffs: { queued: 0, dead: 0 }, gateways: [], losses: [], tickets: { waiting: 0, ringing: 0, serving: 0 }, seats: { ready: 1, busy: 0, away: 0 }, sessions: { live: 0 }, rated: { count: 0, avg: 0 }, now_at: 0, ...o,
  });
  const city = { name: '赤峰市', devices: 60, online: 50 };
  const kids = [units[1]!, units[2]!];
  test('people who wait for nobody come first', () => expect(saying(over({ tickets: { waiting: 3, ringing: 0, serving: 0 }, seats: { ready: 0, busy: 0, away: 2 } }), city, kids)).toMatchObject({ tone: 'bad', key: 'say.waiting', vars: { n: 3 } }));
  test('the place with most devices off is named', () => expect(saying(over(), city, kids)).toMatchObject({ tone: 'bad', key: 'say.some', vars: { off: '10', worst: '敖汉旗', n: '10' } }));
  test('all online', () => expect(saying(over(), { ...city, online: 60 }, kids).key).toBe('say.fine'));
  test('a restart of the server is no alarm', () => expect(saying(over({ devices: { total: 60, online: 50, suspect: 10, offline: 0, lost: 0, fault: 0, quarantined: 0 } }), city, kids)).toMatchObject({ tone: 'warn', key: 'say.moving' }));
  test('a lost gateway is one sentence with its counts, until everybody has come back or is off', () => {
    const loss = { node: 'g3', why: 'lost', at: 1, links: 17412, back: 16900, moving: 512, off: 0, settled_at: 0 };
    expect(saying(over({ losses: [loss] }), city, kids)).toEqual({ tone: 'warn', key: 'say.lost', vars: { node: 'g3', links: '17,412', back: 97 } });
    expect(saying(over({ losses: [{ ...loss, settled_at: 9 }] }), city, kids).key).toBe('say.some');
  });
  test('the place named is the one beyond what is usual, not the largest', () => {
    const town = unit('150430206', '萨力巴乡', 'c', 150, 8);
    const big = unit('150402', '红山区', 'c', 3000, 2700);
    expect(saying(over(), { name: '赤峰市', devices: 3150, online: 2708 }, [big, town]).vars).toMatchObject({ worst: '萨力巴乡', n: '142' });
  });
  test('where inside it: the township that is dark', () => {
    const town = unit('150430206', '萨力巴乡', 'u150430', 150, 8);
    const county = { ...unit('150430', '敖汉旗', 'c', 1000, 800), kids: [town, unit('150430207', '别的镇', 'u150430', 850, 792)] };
    expect(saying(over(), { name: '赤峰市', devices: 4000, online: 3600 }, [county, unit('150402', '红山区', 'c', 3000, 2800)])).toMatchObject({ key: 'say.focus', vars: { worst: '敖汉旗', focus: '萨力巴乡', m: '142' } });
  });
  test('nothing enrolled yet', () => expect(saying(over(), { ...city, devices: 0, online: 0 }, []).key).toBe('say.none'));
  test.each([[98, 100, 'g3'], [95, 100, 'g2'], [85, 100, 'y'], [84, 100, 'r'], [0, 0, 'none']])('%s of %s is shaded %s', (o, d, want) => expect(shade(o, d)).toBe(want));
  test('worst leaves out who is well', () => expect(worst(kids, 5).map((u) => u.name)).toEqual(['敖汉旗']));
  test('lanes count who waits', () =>
    expect(lanes([{ category: 'land', waited_s: 5, state: 'waiting' }, { category: 'land', waited_s: 9, state: 'parked' }, { category: 'wages', waited_s: 99, state: 'serving' }])).toEqual([{ category: 'land', n: 2, longest: 9 }]));
});

describe('engines', () => {
  test.each([['Mozilla/5.0 Chrome/66.0.3359.1 Safari', 'C 66'], ['Chromium 156', 'A 156'], ['Chrome/80', 'B 80'], ['58', 'D 58'], ['', '–'], ['fleetsim', 'fleetsim']])('%s is %s', (e, want) => expect(engineTier(e)).toBe(want));
});

describe('the address', () => {
  test.each([
    ['/console', '', {}],
    ['/console', 'view=devices&chip=offline&unit=u1', { view: 'devices', chip: 'offline', unit: 'u1' }],
    ['/console', 'view=devices&q=%E7%A4%BA%E4%BE%8B&device=d1', { view: 'devices', q: '示例', device: 'd1' }],
    ['/console', 'view=enrol&c=K7QM-2F4T', { view: 'enrol', code: 'K7QM-2F4T' }],
  ])('%s?%s comes back the same', (path, search, want) => {
    const p = parsePlace(path, search);
    expect(p).toMatchObject({ view: 'overview', ...want });
    expect(parsePlace('/console', hrefOf(p).split('?')[1] ?? '')).toEqual(p);
  });
  test('the link of the screen code opens the claim page', () => expect(parsePlace('/claim', 'c=K7QM-2F4T')).toMatchObject({ view: 'enrol', code: 'K7QM-2F4T' }));
  test('an unknown view is the overview', () => expect(parsePlace('/console', 'view=x').view).toBe('overview'));
});

describe('the tile grid', () => {
  test('holds the twelve county units once, each on a cell of its own', () => {
    expect(tiles.cells).toHaveLength(12);
    expect(new Set(tiles.cells.map((c) => c.code)).size).toBe(12);
    expect(new Set(tiles.cells.map((c) => `${c.col}/${c.row}`)).size).toBe(12);
    expect(tiles.cells.every((c) => c.col >= 1 && c.col <= tiles.cols && c.row >= 1 && c.row <= tiles.rows)).toBe(true);
  });
});
