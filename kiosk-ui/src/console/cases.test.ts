import { describe, expect, test } from 'vitest';
import page from '../../locales/zh-CN/console.json';
import { CASE_STATES, casesPath, dayOf, daysLeft, dayWord, errorCode, fileHref, handoffsPath, HANDOFF_STATES, mayRetry, packageHref, sayingOfCase, shelves, sizeText, tally, targetHost, urgency, type Case, type Paper } from './cases';
import { joined, refreshed } from './paged';
import { hrefOf, isPrivate, parsePlace } from './url';

const at = (y: number, mo: number, d: number, h = 12) => Date.UTC(y, mo - 1, d, h - 8) * 1000; // UTC+8
const now = at(2026, 11, 22);
const file = (paper: number, name: string, version = 1): Paper => ({ paper, name, digest: `d-${name}-${version}`, size: 1, media_type: 'application/pdf', version });
const made = (c: Partial<Case> = {}): Case => ({
  id: 'c1', subject: 's1', kind: 'dossier', number: '(2026)赤红西人调字第000123号', receipt_no: 'R-150402000000-20261122-000001', category: 'land', unit: '红山区', state: 'verified', parties: ['张某', '李某'],
  received_at: now, effective_at: now, confirm_last_on: '2026-12-22', followup_on: '2026-12-22', closing_code: '1', rating: null,
  versions: [{ version: 1, delivery_id: 'x', receipt_no: 'R', received_at: now, seal: { kid: 'k', alg: 'sm2', ok: true } }], papers: [], checklist: [], ...c,
});

describe('days that run out', () => {
  test.each([['2026-12-22', 30], ['2026-11-22', 0], ['2026-11-21', -1], ['2027-01-01', 40]])('until %s are %i days', (on, n) => expect(daysLeft(on, now)).toBe(n));
  test('a day begins at midnight of the country, not of the machine', () => {
    expect(daysLeft('2026-11-23', at(2026, 11, 22, 0))).toBe(1);
    expect(daysLeft('2026-11-23', at(2026, 11, 22, 23.9))).toBe(1);
    expect(daysLeft('2026-11-23', at(2026, 11, 23, 0))).toBe(0);
  });
  test('what is no day is none', () => {
    expect([daysLeft(null, now), daysLeft('', now), dayWord('soon', now), urgency(null, now)]).toEqual([null, null, '–', 'none']);
  });
  test('the year stands where it is another one', () => expect([dayWord('2026-12-02', now), dayWord('2027-01-04', now), dayOf(at(2026, 1, 1, 0.5), now)]).toEqual(['12月2日', '2027年1月4日', '1月1日']));
  test.each([['2026-12-03', 'calm'], ['2026-12-02', 'soon'], ['2026-11-22', 'soon'], ['2026-11-21', 'over']] as const)('%s is %s', (on, want) => expect(urgency(on, now)).toBe(want));
});

describe('the sentence of a case', () => {
  const say = (c: Partial<Case>) => sayingOfCase(made(c), '一方不签字', now);
  test('an agreement says its day and the last day at court', () => expect(say({})).toMatchObject({ tone: 'good', keys: ['ca.say.effective', 'ca.say.confirm'], vars: { day: '11月22日', last: '12月22日', n: 30 } }));
  test('few days are a warning', () => expect(say({ confirm_last_on: '2026-11-25' })).toMatchObject({ tone: 'warn', keys: ['ca.say.effective', 'ca.say.confirm'] }));
  test('the last day is called so', () => expect(say({ confirm_last_on: '2026-11-22' }).keys).toEqual(['ca.say.effective', 'ca.say.confirm.today']));
  test('a day gone by is over', () => expect(say({ confirm_last_on: '2026-11-01' })).toMatchObject({ tone: 'good', keys: ['ca.say.effective', 'ca.say.confirm.over'] }));
  test('a kind without confirmation says that', () => expect(say({ confirm_last_on: null }).keys).toEqual(['ca.say.effective', 'ca.say.confirm.none']));
  test('a failed dispute says why', () => expect(say({ effective_at: null, closing_code: '7' })).toMatchObject({ tone: 'warn', keys: ['ca.say.failed'], vars: { closing: '一方不签字' } }));
  test('a consult is a consult', () => expect(say({ kind: 'consult', effective_at: null, closing_code: '' }).keys).toEqual(['ca.say.consult']));
  test('a seal that does not hold comes before all else', () => {
    const bad = { version: 2, delivery_id: 'y', receipt_no: 'R', received_at: now, seal: { kid: 'k', alg: 'sm2', ok: false } };
    expect(say({ versions: [...made().versions!, bad] })).toMatchObject({ tone: 'bad', keys: ['ca.say.seal'] });
  });
});

describe('the papers of a dossier', () => {
  const checklist = [{ paper: 13, title: '封底', must: true, present: false }, { paper: 8, title: '调解协议书', must: true, present: true }, { paper: 1, title: '受理登记表', must: true, present: false }, { paper: 9, title: '履行凭证', must: false, present: false }];
  test('stand in order, newest version first, the rest last', () => {
    const got = shelves({ checklist, papers: [file(8, '签署本'), file(0, 'events.json'), file(8, '签署本', 2), file(8, '协议书')] });
    expect(got.map((s) => [s.paper, s.files.map((f) => `${f.name}${f.version}`)])).toEqual([[1, []], [8, ['签署本2', '签署本1', '协议书1']], [9, []], [13, []], [0, ['events.json1']]]);
  });
  test('no file is lost without a checklist', () => expect(shelves({ checklist: null, papers: [file(3, 'a'), file(0, 'b')] }).flatMap((s) => s.files).map((f) => f.name)).toEqual(['a', 'b']));
  test('the tally names what must be there and is not; the last papers are asked for at archiving', () => {
    expect(tally(checklist, 'verified')).toEqual({ there: 1, all: 4, missing: ['受理登记表'] });
    expect(tally(checklist, 'archived').missing).toEqual(['封底', '受理登记表']);
  });
  test.each([[0, '0 B'], [1023, '1023 B'], [1024, '1 KB'], [98_304, '96 KB'], [1024 * 1000, '1.0 MB'], [1_258_291, '1.2 MB']])('%i bytes are %s', (n, want) => expect(sizeText(n)).toBe(want));
});

describe('a list that is looked at again', () => {
  const r = (id: string, v = 0) => ({ id, v });
  test('changes rows where they stand and counts what is new', () => expect(refreshed([r('a'), r('b')], [r('c'), r('b', 1)])).toEqual({ rows: [r('a'), r('b', 1)], fresh: 1 }));
  test('a row that moved between pages stands once', () => expect(joined([r('a'), r('b')], [r('b', 1), r('c')])).toEqual([r('a'), r('b'), r('c')]));
});

describe('addresses', () => {
  test('names and id numbers stay out of the address, numbers of cases do not', () => {
    expect(hrefOf({ view: 'cases', q: '张三' })).toBe('/console?view=cases');
    expect(hrefOf({ view: 'cases', q: '150402199001011234', unit: 'u' })).toBe('/console?view=cases&unit=u');
    expect(hrefOf({ view: 'cases', q: 'R-150402000000-20261122-000001' })).toContain('q=R-150402000000');
    expect(isPrivate({ view: 'cases', q: '(2026)赤红西人调字第000123号' })).toBe(false);
    expect(isPrivate({ view: 'devices', q: 'WEB-1' })).toBe(false);
    expect(parsePlace('/console', '?view=cases', '张三').q).toBe('张三');
  });
  test('a place comes back from its address', () => {
    const p = parsePlace('/console', 'view=cases&unit=u1&kind=dossier&state=verified&case=c1');
    expect(p).toMatchObject({ view: 'cases', unit: 'u1', kind: 'dossier', state: 'verified', case: 'c1' });
    expect(parsePlace('/console', hrefOf(p).split('?')[1] ?? '')).toEqual(p);
  });
  test('what is asked of the server', () => {
    expect(casesPath({ unit: 'u', q: ' 张三 ', kind: '', state: 'verified' })).toBe(`/cases?unit=u&q=${encodeURIComponent('张三')}&state=verified&limit=50`);
    expect([handoffsPath({ unit: '', state: 'dead' }), handoffsPath({ unit: '', state: '' })]).toEqual(['/handoffs?state=dead', '/handoffs']);
    expect([fileHref('a/b', 'd'), packageHref('c', 2)]).toEqual(['/api/v1/cases/a%2Fb/files/d', '/api/v1/cases/c/package?version=2']);
  });
});

describe('hand-offs', () => {
  test('a target is named by its host, our own store by nothing', () => expect([targetHost('https://cases.example:8443/x'), targetHost('embedded'), targetHost('')]).toEqual(['cases.example:8443', '', '']));
  test('the code of an error stands at its head', () => expect([errorCode('handoff.digest_conflict: another digest'), errorCode('dial tcp: refused'), errorCode('')]).toEqual(['handoff.digest_conflict', '', '']));
  test('only what failed is sent again by hand', () => expect(HANDOFF_STATES.filter(mayRetry)).toEqual(['failed', 'dead']));
  test('every state and closing code has a word', () => {
    const keys = [...CASE_STATES.map((s) => `cstate.${s}`), ...HANDOFF_STATES.map((s) => `hstate.${s}`), ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => `closing.${n}`)];
    for (const k of keys) expect(page).toHaveProperty([k]);
  });
});
