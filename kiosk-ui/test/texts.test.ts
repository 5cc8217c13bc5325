import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import common from '../locales/zh-CN/common.json';
import kiosk from '../locales/zh-CN/kiosk.json';
import phone from '../locales/zh-CN/phone.json';
import tablet from '../locales/zh-CN/tablet.json';
import terminal from '../locales/zh-CN/terminal.json';
import texts from '../locales/zh-CN/texts.json';
import verify from '../locales/zh-CN/verify.json';
import tiles from '../tiles/categories.json';
import { errText, fill, makeT, spoken, spokenDigits } from '../src/core/t';

describe('t', () => {
  it('fills what it is given and leaves the rest to be seen', () => {
    expect(fill('还有 {n} 位，{x}', { n: 3 })).toBe('还有 3 位，{x}');
    const t = makeT({ a: '{n} 秒' });
    expect(t('a', { n: 5 })).toBe('5 秒');
  });
  it('gives every error three parts and the number', () => {
    for (const code of ['queue.already_waiting', 'capture.spent', 'net.down', 'no.such_code']) {
      const e = errText(common, code);
      expect(e.what).not.toBe('');
      expect(e.todo).not.toBe('');
      expect(e.call).toContain('12348');
    }
    expect(errText(common, 'no.such_code')).toEqual(errText(common, 'unknown'));
  });
  it('says numbers as people do', () => {
    expect([spoken(2, true), spoken(2), spoken(10), spoken(12), spoken(20), spoken(37)]).toEqual(['两', '二', '十', '十二', '二十', '三十七']);
    expect(spokenDigits('482916')).toBe('四八二、九一六');
  });
});

// what t() cannot see: keys that are put together at run time
const source = (dir: string): string => readdirSync(dir, { withFileTypes: true }).map((e) => (e.isDirectory() ? source(join(dir, e.name)) : /\.tsx?$/.test(e.name) ? readFileSync(join(dir, e.name), 'utf8') : '')).join('\n');

describe('texts', () => {
  it('has a word for every tile', () => {
    for (const x of tiles.tiles) for (const c of [x.category, ...x.covers]) expect(common).toHaveProperty([`cat.${c}`]);
    expect(common).toHaveProperty([`cat.${tiles.unsure}`]);
  });
  it('covers each of the 18 categories with exactly one tile', () => {
    const all = ['family', 'neighbours', 'housing', 'contract', 'business', 'damage', 'land', 'expropriation', 'environment', 'wages', 'labour', 'medical', 'traffic', 'property', 'consumer', 'tourism', 'ecommerce', 'other'];
    expect(tiles.tiles.flatMap((x) => x.covers).sort()).toEqual(all.sort());
  });
  it.each([['kiosk', kiosk, 'src/kiosk'], ['phone', phone, 'src/phone'], ['tablet', tablet, 'src/tablet'], ['terminal', terminal, 'src/light'], ['verify', verify, 'src/verify'], ['texts', texts, 'src/texts']] as const)('%s.json holds no text that nobody shows', (_, dict, dir) => {
    const text = source(dir);
    const unused = Object.keys(dict).filter((key) => {
      if (text.includes(`'${key}'`) || key.startsWith('err.')) return false; // codes come from the server
      // `cam.state.${x}` and the like: some prefix of the key, up to a dot, is built with a template
      const parts = key.split('.');
      return !parts.some((_p, i) => i > 0 && text.includes(`\`${parts.slice(0, i).join('.')}.\${`)) && !parts.some((_p, i) => text.includes(`\`\${${'scene'}}.${parts.slice(i).join('.')}\``));
    });
    expect(unused).toEqual([]);
  });
});
