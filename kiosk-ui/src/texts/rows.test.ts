import { describe, expect, it } from 'vitest';
import { linkOf, masked, people, pieces, type Text } from './rows';

const row = (o: Partial<Text>): Text => ({ at: 1, to: '14900000001', text: '', link: '', ...o });

describe('the demo phone', () => {
  it('lists people by their newest text', () => expect(people([row({ to: 'b' }), row({ to: 'a' }), row({ to: 'b' })])).toEqual(['b', 'a']));
  it('says a word for the address that is the button', () => {
    const link = 'https://x.example/join/AbC';
    expect(pieces(row({ text: `请点 ${link}，进来谈。`, link }), '〔链接〕')).toEqual([{ text: '请点 ', href: '' }, { text: '〔链接〕', href: '' }, { text: '，进来谈。', href: '' }]);
  });
  it('makes other addresses links and ends them before the Chinese stop', () => {
    expect(pieces(row({ text: '看 http://a.example/b。好' }), '〔链接〕')).toEqual([{ text: '看 ', href: '' }, { text: 'http://a.example/b', href: 'http://a.example/b' }, { text: '。好', href: '' }]);
  });
  it('opens web addresses and own paths, nothing else', () => {
    expect(['https://a/b', '/join/x', 'javascript:alert(1)', '//evil.example', 'data:text/html,x', ''].map((link) => linkOf(row({ link })))).toEqual(['https://a/b', '/join/x', '', '', '', '']);
  });
  it('shows a number as its owner knows it', () => expect([masked('14900000001'), masked('+8614900000001'), masked('张三')]).toEqual(['149****0001', '149****0001', '张三']));
});
