// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Api, ApiError } from '../src/core/api';
import type { DisputeView, MyDispute } from '../src/core/dispute';
import { refusedWait } from '../src/core/rtc/room';
import { createEye } from '../src/phone/eye';
import { createPress } from '../src/phone/paired';
import { meetingOf } from '../src/phone/party/session';

describe('the meeting of a party', () => {
  const view = (over: Partial<MyDispute> = {}): DisputeView => ({
    d: {
      id: 'd', ver: 1, session_id: 's', number: '', state: 'mediating', category: 'land', mediator: '调解员丙', unit: '',
      me: { party: 'p', name: '申请人甲', side: 'applicant', signed_at: null, withdrawn_at: null }, others: [], asks: [], phone_code_wanted: false,
      agreement: null, closing: null, receipt_no: '', confirm_last_on: null, files: [], ...over,
    },
    proof: 'none', error: null,
  });
  const ended = view({ state: 'terminated', closing: { code: 'failed', routes: [] } });

  it.each<[string, DisputeView, string, string, string | null]>([
    ['no dispute yet', { d: null, proof: 'none', error: null }, '', '', null],
    ['they talk', view(), '', '', 's'],
    ['it waits for another day', view(), 'session.state', '', 's'],
    ['the other ways out are being read in the room', ended, '', '', 's'],
    ['the room is over too', ended, 'session.state', '', null],
    ['the line breaks meanwhile', ended, 'net.down', '', 's'],
    ['once left for good', ended, '', 's', null],
    ['a later meeting', view({ session_id: 's2' }), '', 's', 's2'],
  ])('%s', (_, v, code, over, want) => expect(meetingOf(v, code, over)).toBe(want));

  it('asks rarely for a session that stays over', () => {
    expect([1, 3].map((n) => refusedWait('session.state', n, 0.5))).toEqual([1500, 1500]);
    expect([0, 0.5, 1].map((r) => refusedWait('session.none', 4, r))).toEqual([15000, 22500, 30000]);
    expect(refusedWait('session.full_attached', 9, 0.5)).toBe(1500);
  });
});

describe('pairing', () => {
  const refuse = (status: number, code: string) => () => Promise.reject(new ApiError(status, code));
  const nobody = refuse(401, 'auth.required');
  const grant = (id: string) => () => Promise.resolve({ grant_id: id, csrf: 'c' });
  function press(mine: (() => Promise<unknown>)[], redeem: (() => Promise<unknown>)[]) {
    const api = { get: () => mine.shift()!(), post: () => redeem.shift()!() } as unknown as Api;
    return createPress(api, { code: '1234-5678' });
  }

  it('gives the new grant', () => expect(press([nobody], [grant('b')])()).resolves.toMatchObject({ grant_id: 'b' }));
  it('never takes the grant of another terminal for a refused code', () =>
    expect(press([grant('a'), grant('a')], [refuse(409, 'token.spent')])()).rejects.toMatchObject({ code: 'token.spent' }));
  it('finds the grant of a press whose answer was lost', async () => {
    const p = press([grant('a'), refuse(0, 'net.down'), grant('b')], [refuse(0, 'net.down'), refuse(409, 'token.spent')]);
    await expect(p()).rejects.toMatchObject({ code: 'net.down' });
    await expect(p()).resolves.toMatchObject({ grant_id: 'b' });
  });
  it('spends nothing before it knows what it held', async () => {
    const redeem = [grant('b')];
    const p = press([refuse(0, 'net.down'), grant('a')], redeem);
    await expect(p()).rejects.toMatchObject({ code: 'net.down' });
    expect(redeem).toHaveLength(1);
    await expect(p()).resolves.toMatchObject({ grant_id: 'b' });
  });
});

describe('camera', () => {
  type Track = { stopped: boolean; onended: (() => void) | null; stop: () => void };
  const asks: ((s: MediaStream) => void)[] = [];
  const made: Track[] = [];
  const stream = () => {
    const list = [0, 1].map((): Track => {
      const t: Track = { stopped: false, onended: null, stop: () => { t.stopped = true; } };
      return t;
    });
    made.push(...list);
    return { getTracks: () => list } as unknown as MediaStream;
  };
  const answer = async (n: number) => {
    asks[n]!(stream());
    await new Promise((r) => setTimeout(r));
  };
  beforeEach(() => {
    asks.length = made.length = 0;
    vi.stubGlobal('navigator', { mediaDevices: { getUserMedia: () => new Promise<MediaStream>((ok) => { asks.push(ok); }) } });
  });
  afterEach(() => { vi.unstubAllGlobals(); });

  it('is asked for once when both tracks end', async () => {
    const eye = createEye(() => undefined);
    void eye.open();
    await answer(0);
    for (const t of made) t.onended!();
    expect(asks).toHaveLength(2);
    await answer(1);
    expect(eye.view.get().state).toBe('on');
    eye.close();
    expect(made.every((t) => t.stopped)).toBe(true);
  });
  it('keeps the last answer only, whichever comes first, and none after it was closed', async () => {
    const heard: MediaStream[] = [];
    const eye = createEye((s) => heard.push(s));
    void eye.open();
    void eye.open();
    await answer(1);
    await answer(0);
    expect(heard).toHaveLength(1);
    expect(made.map((t) => t.stopped)).toEqual([false, false, true, true]);
    void eye.open();
    eye.close();
    await answer(2);
    expect(made.every((t) => t.stopped)).toBe(true);
    void eye.open();
    expect(asks).toHaveLength(3);
  });
});
