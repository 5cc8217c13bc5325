import { describe, expect, test } from 'vitest';
import { facts, timeline } from './timeline';

const min = 60e6;

describe('the time line of a device', () => {
  const lines = timeline(
    [{ type: 'device.offline', at: 10 * min, actor: 'system/fleet-sweeper' }, { type: 'device.enrolled', at: min, actor: 'staff/s1' }],
    [
      { id: 3, kind: 'page_error', data: { name: 'TypeError', at: '/assets/tv.js:3:7', engine: 'Chrome 92', more: { x: 1 } }, device_at: 5 * min, at: 20 * min },
      { id: 2, kind: 'journal_lost', data: {}, device_at: 0, at: 15 * min },
      { id: 1, kind: 'boot', data: { app: '1', boot_id: 'b' }, device_at: 2 * min, at: 2 * min },
    ],
  );
  test('is one list, newest first', () => expect(lines.map((l) => l.word.join('.'))).toEqual(['rep.page_error', 'rep.journal_lost', 'ev.device.offline', 'rep.boot', 'ev.device.enrolled']));
  test('says who says it', () => expect(lines.map((l) => l.actor)).toEqual(['device', 'system', 'system', 'device', 'staff']));
  test('tells what was reported late by the time of the device', () => expect(lines.map((l) => l.late)).toEqual([5 * min, 0, 0, 0, 0]));
  test('shows details that a person can use', () => expect(lines.map((l) => l.detail)).toEqual(['TypeError /assets/tv.js:3:7', '', '', '', '']));
  test('has keys that differ', () => expect(new Set(lines.map((l) => l.key)).size).toBe(lines.length));
});

test('an inventory is facts in order, unknown ones last', () => {
  expect(facts({ zebra: 3, camera: false, microphone: true, screen: [3840, 2160], tier: 'A', serial: 'S', kind: 'stb', os: '', storage_free_mb: 2048, panel: { hz: 60 } }, '有', '没有')).toEqual([
    ['tier', 'A'], ['screen', '3840 × 2160'], ['camera', '没有'], ['microphone', '有'], ['storage_free_mb', '2.0 GB'], ['panel', '{"hz":60}'], ['zebra', '3'],
  ]);
});
