import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { blocksDigest, codeOf, recordDigest } from '../agreement/digest';
import { ApiError, type Api } from './api';
import { mayWithdraw, openDispute, stepKey, stepOf, type Ask, type MyDispute, type PartyAgreement, type PartyDispute, type Proof } from './dispute';

const blocks = [{ n: 1, t: 'title' as const, lines: ['人民调解协议书'] }, { n: 2, t: 'clause' as const, lines: ['第一条 付一百元。'] }];

async function paper(over: Partial<PartyAgreement> = {}): Promise<PartyAgreement> {
  const blocks_sha256 = await blocksDigest(blocks);
  const pdf_sha256 = 'ab'.repeat(32);
  const digest = await recordDigest({ blocks_sha256, pdf_sha256, v: 1 });
  return {
    v: 1, state: 'frozen', sign_mode: 'electronic', blocks, blocks_sha256, pdf_sha256, digest, code: codeOf(digest), read: [], unclear: [], readback_ok: false, tries: 0,
    mediator_called: false, may_sign: false, effective_at: null, ...over,
  };
}
const ask = (id: string): Ask => ({ id, kind: 'convert', version: 'v', title: 't', lines: [], items: [] });
const matter = (over: Partial<MyDispute> = {}): MyDispute => ({
  id: 'd', ver: 1, session_id: 's', number: '', state: 'mediating', category: 'land', mediator: '丙', unit: 'u', me: { party: 'p', name: '甲', side: 'A', signed_at: null, withdrawn_at: null },
  others: [], asks: [], phone_code_wanted: false, agreement: null, closing: null, receipt_no: '', confirm_last_on: null, files: [], ...over,
});
const at = (d: MyDispute | null, proof: Proof = 'good'): string => stepKey(stepOf({ d, proof, error: null }));

test('the order of what a party is asked', async () => {
  expect(at(null)).toBe('');
  expect(at(matter())).toBe('');
  expect(at(matter({ asks: [ask('1'), ask('2')], phone_code_wanted: true }))).toBe('ask:1');
  expect(at(matter({ phone_code_wanted: true }))).toBe('phone-code');
  expect(at(matter({ agreement: await paper({ state: 'draft' }) }))).toBe('');
  expect(at(matter({ agreement: await paper() }))).toBe('read');
  expect(at(matter({ agreement: await paper({ read: [1] }) }))).toBe('read');
  expect(at(matter({ agreement: await paper({ read: [2, 1] }) }))).toBe('code');
  const done = { read: [1, 2], readback_ok: true };
  expect(at(matter({ agreement: await paper({ ...done, may_sign: true }) }))).toBe('sign');
  expect(at(matter({ agreement: await paper(done) }))).toBe('held');
  expect(at(matter({ agreement: await paper({ ...done, sign_mode: 'paper' }) }))).toBe('paper');
  const signed = { party: 'p', name: '甲', side: 'A', signed_at: 1, withdrawn_at: null };
  expect(at(matter({ me: signed, agreement: await paper({ ...done, state: 'mediator_signed' }) }))).toBe('signed');
  expect(at(matter({ me: signed, agreement: await paper({ ...done, state: 'effective', effective_at: 2 }) }))).toBe('done');
});

test('what is over stays over: no question and no paper after it', async () => {
  for (const state of ['terminated', 'guided', 'not_accepted', 'closed']) expect(at(matter({ state, asks: [ask('1')], agreement: await paper() }))).toBe('closed');
  expect(at(matter({ state: 'handed_off', closing: { code: '7', routes: [] } }))).toBe('closed');
  expect(at(matter({ me: { party: 'p', name: '甲', side: 'A', signed_at: null, withdrawn_at: 5 } }))).toBe('closed');
});

test('without a good proof neither code nor signature is offered', async () => {
  const ready = matter({ agreement: await paper({ read: [1, 2], readback_ok: true, may_sign: true }) });
  expect(at(ready, 'bad')).toBe('mismatch');
  expect(at(ready, 'checking')).toBe('checking-proof');
  expect(at(ready, 'none')).toBe('checking-proof');
});

test('leaving is open until the agreement is in force or the mediation over', async () => {
  expect(mayWithdraw(null)).toBe(false);
  expect(mayWithdraw(matter())).toBe(true);
  expect(mayWithdraw(matter({ agreement: await paper() }))).toBe(true);
  expect(mayWithdraw(matter({ agreement: await paper({ state: 'effective', effective_at: 1 }) }))).toBe(false);
  expect(mayWithdraw(matter({ state: 'terminated' }))).toBe(false);
});

// ---- the fact and its commands

let server: MyDispute | ApiError;
let calls: { path: string; body: Record<string, unknown> }[];
let gets: number;
let c: PartyDispute;
const api: Api = {
  async get<T>() {
    gets++;
    if (server instanceof ApiError) throw server;
    return server as T;
  },
  async post<T>(path: string, body: object = {}) {
    calls.push({ path, body: body as Record<string, unknown> });
    if (server instanceof ApiError) throw server;
    server = { ...server, ver: server.ver + 1 };
    return server as T;
  },
  put: () => Promise.reject(new ApiError(404, 'not_found')),
};
/** proved waits until the digest was worked out: by SubtleCrypto, so real promises. */
const proved = (want: Proof): Promise<void> => vi.waitFor(() => expect(c.get().proof).toBe(want));

beforeEach(() => {
  calls = [];
  gets = 0;
  server = matter();
  c = openDispute({ api });
});
afterEach(() => c.close());

test('nothing is asked of the server before the situation names a dispute, and no more after it ended', async () => {
  c.nudge();
  c.follow(null);
  expect(gets).toBe(0);
  c.follow({ id: 'd', ver: 1 });
  await vi.waitFor(() => expect(c.get().d).not.toBeNull());
  c.follow(null);
  expect(c.get().d).toBeNull();
  c.nudge();
  expect(gets).toBe(1);
});

test('a version that is held already is not fetched again, a newer one is', async () => {
  c.follow({ id: 'd', ver: 1 });
  await vi.waitFor(() => expect(c.get().d).not.toBeNull());
  c.follow({ id: 'd', ver: 1 });
  expect(gets).toBe(1);
  server = matter({ ver: 2, number: '1' });
  c.follow({ id: 'd', ver: 2 });
  await vi.waitFor(() => expect(c.get().d!.number).toBe('1'));
});

test('no dispute is no error', async () => {
  server = new ApiError(404, 'dispute.none');
  c.follow({ id: 'd', ver: 1 });
  await vi.waitFor(() => expect(gets).toBe(1));
  expect(c.get()).toMatchObject({ d: null, error: null });
});

test('the frozen text proves itself; one changed character, hash or version does not', async () => {
  const good = await paper();
  server = matter({ agreement: good });
  c.follow({ id: 'd', ver: 1 });
  await proved('good');
  const forged: Partial<PartyAgreement>[] = [
    { blocks: [blocks[0]!, { ...blocks[1]!, lines: ['第一条 付一千元。'] }] }, { pdf_sha256: 'ac'.repeat(32) }, { v: 2 }, { code: good.code === '000000' ? '000001' : '000000' }, { blocks_sha256: good.pdf_sha256 },
  ];
  let ver = 1;
  for (const f of forged) {
    server = matter({ ver: ++ver, agreement: { ...good, ...f } });
    c.follow({ id: 'd', ver });
    await proved('bad');
    server = matter({ ver: ++ver, agreement: good });
    c.follow({ id: 'd', ver });
    await proved('good');
  }
});

test('reading is told block by block, a signature goes up with the digest that stands here', async () => {
  const good = await paper();
  server = matter({ agreement: good });
  c.follow({ id: 'd', ver: 1 });
  await proved('good');
  await c.read([1, 2]);
  await c.sign({ w: 600, h: 200, strokes: [[1, 2, 3]] });
  expect(calls.map((x) => [x.path, x.body.clause, x.body.digest])).toEqual([
    ['/dispute/agreement/read', 1, good.digest], ['/dispute/agreement/read', 2, good.digest], ['/dispute/agreement/sign', undefined, good.digest],
  ]);
  expect(new Set(calls.map((x) => x.body.key)).size).toBe(3);
  expect(c.get().d!.ver).toBe(4);
});

test('a refused command is thrown and the fact looked at again', async () => {
  c.follow({ id: 'd', ver: 1 });
  await vi.waitFor(() => expect(c.get().d).not.toBeNull());
  const before = gets;
  server = new ApiError(409, 'dispute.state');
  await expect(c.withdraw()).rejects.toMatchObject({ code: 'dispute.state' });
  await vi.waitFor(() => expect(gets).toBeGreaterThan(before));
});
