import { describe, expect, it } from 'vitest';
import { ApiError, createApi, newKey } from '../src/core/api';
import { b64url, signedText, unb64url, utf8 } from '../src/core/bytes';
import { createClock, dayText, hourMinute, minuteSecond, secondsLeft } from '../src/core/clock';
import { engineName, tierOf } from '../src/core/probe';
import { sessionId, trackIds } from '../src/core/rtc/sdp';
import { quality } from '../src/core/rtc/stats';
import { problemOf } from '../src/core/rtc/media';
import { cleanCode, showCode } from '../src/phone/home';
import { tokenOf } from '../src/phone/phone';

const hex = (b: Uint8Array) => Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');

describe('signed text', () => {
  it('equals gateway/wire.ClaimProof byte for byte', () => {
    // Go: ClaimProof([]byte{4,1,2,255}, "WEB-1")
    expect(hex(signedText('heyi.v1 claim', [new Uint8Array([4, 1, 2, 255]), utf8('WEB-1')]))).toBe('686579692e763120636c61696d000004040102ff00055745422d31');
  });
  it('takes base64url both ways, without padding', () => {
    const all = new Uint8Array(256).map((_, i) => i);
    expect(unb64url(b64url(all))).toEqual(all);
    expect(b64url(new Uint8Array([251, 255, 254]))).toBe('-__-');
    expect(b64url(new Uint8Array([1]))).toBe('AQ');
  });
});

describe('api', () => {
  const answer = (status: number, body: string, headers: Record<string, string> = {}) => () => Promise.resolve(new Response(body || null, { status, headers }));
  it('sends JSON, key headers and If-Match', async () => {
    let seen: { url: string; init: RequestInit } | null = null;
    const api = createApi({ csrf: () => 'c', bearer: () => Promise.resolve('tok'), fetch: ((url: string, init: RequestInit) => { seen = { url, init }; return answer(200, '{"x":1}')(); }) as typeof fetch });
    await expect(api.put('/sessions/s/note', { matter: 'm' }, { ifMatch: 4 })).resolves.toEqual({ x: 1 });
    expect(seen!.url).toBe('/api/v1/sessions/s/note');
    expect(seen!.init.headers).toMatchObject({ 'X-CSRF-Token': 'c', Authorization: 'Bearer tok', 'If-Match': '"4"', 'Content-Type': 'application/json' });
    expect(seen!.init).toMatchObject({ method: 'PUT', body: '{"matter":"m"}', credentials: 'same-origin', cache: 'no-store' });
  });
  it('turns problems, foreign answers and silence into one kind of error', async () => {
    const call = (f: () => Promise<Response>) => createApi({ fetch: f as typeof fetch }).get('/x').catch((e: ApiError) => e);
    expect(await call(answer(409, '{"code":"queue.already_waiting","ref":"t1"}'))).toMatchObject({ status: 409, code: 'queue.already_waiting', ref: 't1', temporary: false });
    expect(await call(answer(503, '<html>', { 'Retry-After': '3' }))).toMatchObject({ status: 503, code: 'http.503', retryMs: 3000, temporary: true });
    expect(await call(() => Promise.reject(new TypeError('net')))).toMatchObject({ status: 0, code: 'net.down', temporary: true });
    expect(await call(answer(204, ''))).toBe(undefined);
  });
  it('makes UUIDv7 keys that sort by time', () => {
    const a = newKey(1_790_000_000_000);
    expect(a).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(parseInt(a.replace(/-/g, '').slice(0, 12), 16)).toBe(1_790_000_000_000);
    expect(newKey(1)).not.toBe(newKey(1));
  });
});

describe('clock', () => {
  it('keeps the time of the server and of the country', () => {
    const c = createClock(() => 0); // a box that booted in 1970
    c.sync(1_795_300_000_000_000);
    expect(c.nowUs()).toBe(1_795_300_000_000_000);
    expect([hourMinute(1_795_300_000_000_000), dayText(1_795_300_000_000_000)]).toEqual(['06:26', '11月22日 周日']);
    expect([secondsLeft(3_000_000, 500_000), secondsLeft(1, 5)]).toEqual([3, 0]);
    expect(minuteSecond(67e6)).toBe('1:07');
  });
});

describe('sdp', () => {
  const offer = 'v=0\r\no=- 4711 2 IN IP4 0.0.0.0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=msid:p2 p2:mic\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=msid:p2 p2:cam\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\na=inactive\r\n';
  it('names the connection and the tracks of the m-lines', () => {
    expect(sessionId(offer)).toBe('4711');
    expect(Array.from(trackIds(offer))).toEqual([['0', 'p2:mic'], ['1', 'p2:cam']]);
  });
});

describe('small rules', () => {
  it('reads codes as people type them', () => {
    expect([cleanCode(' h3kd-7pwm '), cleanCode('oil0 uuuu'), showCode('H3KD7PWM'), showCode('H3K')]).toEqual(['H3KD7PWM', '0110', 'H3KD-7PWM', 'H3K']);
  });
  it('finds the token of a one-time link only', () => {
    expect([tokenOf('/c/AbC_-1'), tokenOf('/c/'), tokenOf('/c/a/b'), tokenOf('/phone')]).toEqual(['AbC_-1', '', '', '']);
  });
  it('names engines and tiers', () => {
    expect(engineName('Mozilla/5.0 (Linux; Android 9) Chrome/66.0.3359.158 Safari/537.36')).toBe('Chrome 66');
    const f = { crypto: true, rtc: true, camera: true, transceiver: true, restartIce: true, gap: true, secure: true };
    expect([tierOf(f), tierOf({ ...f, restartIce: false }), tierOf({ ...f, transceiver: false }), tierOf({ ...f, crypto: false })]).toEqual(['A', 'B', 'C', 'D']);
  });
  it('judges a line by loss and distance', () => {
    expect([quality(50, 0), quality(250, 0), quality(50, 6), quality(null, 0)]).toEqual(['good', 'fair', 'weak', 'good']);
  });
  it('knows why a camera did not open', () => {
    const named = (name: string) => problemOf(new DOMException('', name));
    expect(['NotAllowedError', 'NotFoundError', 'NotReadableError', 'OverconstrainedError', 'SecurityError', 'WhatError'].map(named)).toEqual(['denied', 'missing', 'busy', 'constraints', 'insecure', 'unsupported']);
  });
});
