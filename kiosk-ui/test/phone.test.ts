import { describe, expect, it } from 'vitest';
import type { DisputeView, MyDispute } from '../src/core/dispute';
import { refusedWait } from '../src/core/rtc/room';
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
