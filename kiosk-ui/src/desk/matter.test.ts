import { describe, expect, test } from 'vitest';
import { birthYearOf, checkedIn, daysLeft, dayWords, endStop, firstTab, goalOf, isIdNo, isMobile, kindOf, progress, sexOf, signStop, steps, tidy } from './matter';
import type { Agreement, Dispute, Party } from './types';

const party = (over: Partial<Party> = {}): Party => ({
  id: 'a', participant: 'p1', side: 'A', role: 'applicant', required: true, name: '甲', id_no_masked: '', phone_masked: '', sex: '', ethnic: '', birth_year: 0, address: '', occupation: '',
  here: true, channel: 'device', link: null, phone_code: 'none', identity: null, notice_at: null, consents: { online: null, esign: null, hand_off: null }, disclosure_ok: null,
  withdrawn_at: null, read: [], unclear: [], readback: { ok: false, tries: 0 }, signed_at: null, ...over,
});
const agreement = (over: Partial<Agreement> = {}): Agreement => ({
  id: 'g', v: 1, revision: 1, state: 'draft', sign_mode: 'electronic', form: 'written', facts: '', clauses: [], lint: [], blocks: [], blocks_sha256: '', pdf_sha256: '', digest: '', digest_sm3: '',
  code: '', signed: [], mediator_signed_at: null, effective_at: null, ...over,
});
const dispute = (over: Partial<Dispute> = {}): Dispute => ({
  id: 'd', ver: 1, session_id: 's', number: '', state: 'mediating', mediation_kind: 'people', category: 'land', facts: '', requests: [], accepted_at: null, deadline_on: null,
  parties: [party(), party({ id: 'b', side: 'B' })], disclosure: '', statements: [], blockers: [], agreement: null, closing: null, handoff: null, confirm_last_on: null, files: [], ...over,
});
const closing = { code: '5', reason: '', routes: [], guided_at: null };

describe('what a party has done', () => {
  const keys = (p: Party) => steps(p).map((s) => `${s.key}:${s.tone}`);
  test('nothing yet', () => expect(keys(party())).toEqual(['here:g', 'identity.none:', 'notice.none:', 'online.none:', 'esign.none:', 'hand_off.none:', 'disclosure.none:']));
  test('everything, with one no', () =>
    expect(keys(party({ identity: { methods: [], at: 1 }, notice_at: 1, consents: { online: true, esign: false, hand_off: true }, disclosure_ok: true }))).toEqual(['here:g', 'identity.yes:g', 'notice.yes:g', 'online.yes:g', 'esign.no:r', 'hand_off.yes:g', 'disclosure.yes:g']));
  test('who left is said alone', () => expect(keys(party({ withdrawn_at: 5 }))).toEqual(['withdrawn:r']));
  test.each([['inert', 'link.inert:y'], ['live', 'link.live:y'], ['spent', 'link.spent:y'], ['revoked', 'link.over:r'], ['over', 'link.over:r']] as const)('a link that is %s', (state, want) =>
    expect(keys(party({ here: false, channel: 'party', link: { id: 'l', state, url: '', code: '', qr_svg: '', expires_at: 0 } }))[0]).toBe(want));
  test('a television that went dark', () => expect(keys(party({ here: false }))[0]).toBe('away:y'));
});

test.each([['check:p1', 'p1'], ['joint', ''], ['', ''], ['caucus:A', '']])('zone %s checks "%s"', (zone, who) => expect(checkedIn(zone)).toBe(who));

describe('days', () => {
  const us = Date.parse('2026-11-22T23:30:00+08:00') * 1000;
  test.each([['2026-11-22', 0], ['2026-11-23', 1], ['2026-12-22', 30], ['2026-11-21', -1]])('to %s', (on, n) => expect(daysLeft(on, us)).toBe(n));
  test('in words', () => expect(dayWords('2026-01-05')).toBe('2026年1月5日'));
});

test.each([
  ['no dispute', null, ''],
  ['before acceptance', dispute({ state: 'contacting' }), 'open'],
  ['talking', dispute(), 'open'],
  ['frozen, signed electronically', dispute({ agreement: agreement({ state: 'frozen', digest: 'x' }) }), 'open'],
  ['handed out on paper', dispute({ agreement: agreement({ state: 'frozen', digest: 'x', sign_mode: 'paper' }) }), ''],
  ['a paper draft', dispute({ agreement: agreement({ sign_mode: 'paper' }) }), 'open'],
  ['being sealed', dispute({ agreement: agreement({ state: 'mediator_signed', digest: 'x' }) }), 'seal'],
  ['agreed', dispute({ state: 'agreed' }), ''],
  ['failed', dispute({ state: 'terminated', closing }), 'guide'],
  ['guided', dispute({ state: 'guided', closing: { ...closing, guided_at: 1 } }), ''],
  ['never accepted', dispute({ state: 'not_accepted', closing }), ''],
] as const)('the session may end: %s', (_, d, want) => expect(endStop(d)).toBe(want));

test.each([
  [dispute({ state: 'screening' }), 'matter'],
  [dispute(), 'agreement'],
  [dispute({ agreement: agreement() }), 'agreement'],
  [dispute({ agreement: agreement({ state: 'frozen' }) }), 'signing'],
  [dispute({ agreement: agreement({ state: 'effective' }), state: 'handed_off' }), 'dossier'],
  [dispute({ closing, state: 'terminated' }), 'dossier'],
])('the tab that is needed first', (d, want) => expect(firstTab(d)).toBe(want));

describe('signing', () => {
  const at = (state: Agreement['state'], signed: boolean[], mediator: number | null = null) =>
    signStop(dispute({ agreement: agreement({ state, mediator_signed_at: mediator }), parties: signed.map((s, i) => party({ id: `${i}`, signed_at: s ? 1 : null })) }));
  test('the mediator signs last', () => {
    expect([at('draft', [true, true]), at('signing', [true, false]), at('signing', [true, true]), at('mediator_signed', [true, true], 5)]).toEqual(['frozen', 'parties', '', 'done']);
    expect(signStop(dispute())).toBe('frozen');
  });
  test('progress counts blocks once', () => {
    const d = dispute({ agreement: agreement({ blocks: [1, 2, 3].map((n) => ({ n, t: 'clause', lines: [] })) }) });
    expect(progress(party({ read: [1, 1, 2] }), d)).toMatchObject({ read: 2, all: 3 });
  });
});

describe('numbers of people', () => {
  test.each([['11010519491231002X', true], ['11010519491231002x', true], ['110105194912310021', false], ['11010519491231', false], ['', false]])('id %s', (s, ok) => expect(isIdNo(s)).toBe(ok));
  test('say year and sex', () => expect([birthYearOf('11010519491231002X'), sexOf('11010519491231002X'), sexOf('110105194912310038')]).toEqual([1949, '女', '男']));
  test.each([['138 0013 8000', true], ['12800138000', false], ['1380013800', false]])('mobile %s', (s, ok) => expect(isMobile(s)).toBe(ok));
});

test('a blocker leads to where the mediator removes it, or waits for somebody else', () =>
  expect([{ code: 'dispute.respondent_missing' }, { code: 'dispute.disclosure_missing' }, { code: 'session.identity_missing', party: 'b' }, { code: 'session.notice_missing', party: 'b' }].map(goalOf)).toEqual(['invite', 'disclosure', 'b', '']));

test('kind by category', () => expect(['land', 'labour', 'traffic', 'family'].map(kindOf)).toEqual(['people', 'labour', 'trade', 'people']));

test('absent lists are empty lists', () => {
  const bare = { ...dispute(), requests: null, statements: null, blockers: null, files: null, parties: [{ ...party(), read: null, unclear: null }], closing: { ...closing, routes: null }, agreement: { ...agreement(), lint: null, signed: null, blocks: null, clauses: [{ id: 'c', instalments: null, tags: null }] } };
  const d = tidy(bare as unknown as Dispute);
  expect([d.requests, d.statements, d.blockers, d.files, d.parties[0]?.read, d.parties[0]?.unclear, d.closing?.routes, d.agreement?.lint, d.agreement?.signed, d.agreement?.blocks, d.agreement?.clauses[0]?.tags]).toEqual(Array.from({ length: 11 }, () => []));
});
