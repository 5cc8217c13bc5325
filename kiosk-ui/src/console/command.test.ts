import { describe, expect, it } from 'vitest';
import { DRAFT, isOverdue, mayCancel, orderOf, span, steps, summary, toneOf, type Command } from './command';

const c = (more: Partial<Command> = {}): Command => ({
  id: 'c', name: 'reboot', args: {}, when_busy: 'reject', state: 'queued', waiting: '', pct: 0, code: '', detail: '', sent: false, by: '值守员戊',
  queued_at: 1e15, delivered_at: 0, accepted_at: 0, finished_at: 0, done_at: 0, not_after_at: 1e15 + 600e6, cancel_at: 0, file: null, ...more,
});

describe('commands', () => {
  it('tells the four instants since the first', () => {
    const list = steps(c({ state: 'succeeded', delivered_at: 1e15 + 120_000, accepted_at: 1e15 + 130_000, finished_at: 1e15 + 95e6 }));
    expect(list.map((s) => s.after)).toEqual(['', '+0.1 秒', '+0.1 秒', '+2 分钟']);
    expect(steps(c()).map((s) => s.after)).toEqual(['', '', '', '']);
    expect([5.04, 42, 5400, 200_000, -1].map(span)).toEqual(['5.0 秒', '42 秒', '2 小时', '2 天', '0.0 秒']);
  });

  it('may be taken back until it is over, asked for, or running', () => {
    expect(mayCancel(c())).toBe(true);
    expect(mayCancel(c({ state: 'accepted' }))).toBe(true);
    expect(mayCancel(c({ state: 'accepted', cancel_at: 5 }))).toBe(false);
    expect(mayCancel(c({ state: 'running' }))).toBe(false);
    expect(mayCancel(c({ state: 'running', name: 'message.show' }))).toBe(true);
    expect(mayCancel(c({ state: 'succeeded' }))).toBe(false);
  });

  it('says when its end went by in silence', () => {
    expect(isOverdue(c(), 1e15 + 601e6)).toBe(true);
    expect(isOverdue(c(), 1e15 + 599e6)).toBe(false);
    expect(isOverdue(c({ state: 'expired' }), 1e15 + 601e6)).toBe(false);
    expect(['succeeded', 'failed', 'expired', 'queued'].map((s) => toneOf(s as Command['state']))).toEqual(['good', 'bad', 'off', 'wait']);
  });

  it('sends what is whole', () => {
    expect(orderOf('message.show', DRAFT, 0)).toBeNull();
    expect(orderOf('message.show', { ...DRAFT, text: ' 明天\n停水 ' }, 0)).toEqual({ name: 'message.show', args: { text: '明天 停水', seconds: 60, speak: true } });
    expect(orderOf('screenshot', { ...DRAFT, reason: ' ' }, 0)).toBeNull();
    expect(orderOf('reboot', { ...DRAFT, wait: true, life: 60 }, 5)).toEqual({ name: 'reboot', args: {}, when_busy: 'wait', not_after_at: 60e6 + 5 });
    expect(orderOf('volume.set', { ...DRAFT, level: 0, wait: true }, 5)).toEqual({ name: 'volume.set', args: { level: 0 } });
    expect([summary(c()), summary(c({ name: 'volume.set', args: { level: 30 } })), summary(c({ name: 'screenshot', args: { reason: '看看' } }))]).toEqual(['', '30 %', '看看']);
  });
});
