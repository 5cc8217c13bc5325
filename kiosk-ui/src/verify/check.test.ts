import { describe, expect, it } from 'vitest';
import { ApiError } from '../core/api';
import { added, byFile, check, cleanDigest, groups, type Finding } from './check';

const said = (file: string, ok: boolean, code = 'x'): Finding => ({ file, ok, code, text: `${file} ${code}` });

describe('the digest of an address', () => {
  const d = '0123456789abcdef'.repeat(4);
  it('is 64 hex digits in any writing', () => expect([cleanDigest(d), cleanDigest(d.toUpperCase()), cleanDigest(groups(d))]).toEqual([d, d, d]));
  it('is nothing else', () => expect([cleanDigest(''), cleanDigest(d.slice(1)), cleanDigest(`${d}0`), cleanDigest(d.replace('0', 'g')), cleanDigest('<b>')]).toEqual(['', '', '', '', '']));
  it('is shown in groups of four', () => expect(groups('0123456789ab')).toBe('0123 4567 89ab'));
});

describe('what came back', () => {
  it('stands by file, what is wrong first, then the whole; one bad finding makes a file bad', () => {
    const got = byFile([said('b.pdf', true), said('', true, 'seal'), said('a.pdf', true), said('b.pdf', false)]);
    expect(got.map((s) => [s.file, s.ok, s.lines.length])).toEqual([['b.pdf', false, 2], ['', true, 1], ['a.pdf', true, 1]]);
  });
});

describe('choosing files', () => {
  it('takes the same file once', () => {
    const a = new File(['1'], 'a.pdf', { lastModified: 1 });
    const b = new File(['22'], 'b.pdf', { lastModified: 1 });
    expect(added([a], [new File(['1'], 'a.pdf', { lastModified: 1 }), b]).map((f) => f.name)).toEqual(['a.pdf', 'b.pdf']);
  });
});

describe('sending', () => {
  const file = new File(['%PDF'], '08-签署本.pdf');
  it('sends every file with its name, and the digest when there is one', async () => {
    let sent: FormData | null = null;
    const answer = { ok: true, findings: [] };
    const post = ((_: string, o: RequestInit) => {
      sent = o.body as FormData;
      return Promise.resolve(new Response(JSON.stringify(answer)));
    }) as unknown as typeof fetch;
    expect(await check([file], 'ab', post)).toEqual(answer);
    expect(sent!.getAll('files').map((f) => (f as File).name)).toEqual(['08-签署本.pdf']);
    expect(sent!.get('digest')).toBe('ab');
    await check([file], '', post);
    expect(sent!.get('digest')).toBeNull();
  });
  const code = (res: Response | Error) => check([file], '', () => (res instanceof Error ? Promise.reject(res) : Promise.resolve(res))).catch((e: ApiError) => [e.status, e.code]);
  it('names what was refused', async () => expect(await code(new Response('{"code":"verify.no_files"}', { status: 422 }))).toEqual([422, 'verify.no_files']));
  it('knows a proxy that found it too large', async () => expect(await code(new Response('<html>', { status: 413 }))).toEqual([413, 'request.too_large']));
  it('says that no answer came', async () => expect(await code(new TypeError('failed'))).toEqual([0, 'net.down']));
});
