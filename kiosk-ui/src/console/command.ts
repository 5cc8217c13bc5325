// A command to a device as an operator reads it: its four instants, what became of it, what may still be done. Pure; instants are
// Unix microseconds, 0 = not yet.
export type CommandName = 'message.show' | 'volume.set' | 'screenshot' | 'log.fetch' | 'page.reload' | 'reboot';
export type State = 'queued' | 'delivered' | 'accepted' | 'running' | 'succeeded' | 'failed' | 'rejected' | 'expired' | 'cancelled' | 'superseded' | 'unknown';
export type FileRow = { id: string; kind: 'screenshot' | 'log'; media_type: string; size: number; sha256: string; at: number };
export type Command = {
  id: string; name: string; args: Record<string, unknown>; when_busy: string; state: State; waiting: string; pct: number; code: string; detail: string; sent: boolean; by: string;
  queued_at: number; delivered_at: number; accepted_at: number; finished_at: number; done_at: number; not_after_at: number; cancel_at: number; file: FileRow | null;
};

export const NAMES: readonly CommandName[] = ['message.show', 'volume.set', 'screenshot', 'log.fetch', 'page.reload', 'reboot'];

/** What may wait until nobody is served; the others run beside a visit, or are refused in one. */
export const mayWait = (name: CommandName): boolean => name === 'page.reload' || name === 'reboot';

export const isOver = (c: Pick<Command, 'state'>): boolean => !['queued', 'delivered', 'accepted', 'running'].includes(c.state);
export const mayCancel = (c: Command): boolean => !isOver(c) && c.cancel_at === 0 && (c.state !== 'running' || c.name === 'message.show');
/** Its end is over and the device has not told how it went. */
export const isOverdue = (c: Command, now: number): boolean => !isOver(c) && c.state !== 'running' && now > c.not_after_at;

export type Tone = 'good' | 'bad' | 'wait' | 'off';
export function toneOf(state: State): Tone {
  if (state === 'succeeded') return 'good';
  if (state === 'failed' || state === 'rejected' || state === 'unknown') return 'bad';
  if (state === 'expired' || state === 'cancelled' || state === 'superseded') return 'off';
  return 'wait';
}

export type Step = { key: 'queued' | 'delivered' | 'accepted' | 'finished'; at: number; after: string };

/** The four instants in order; each later one as the time since the first. */
export function steps(c: Command): Step[] {
  const since = (at: number) => (at === 0 ? '' : `+${span((at - c.queued_at) / 1e6)}`);
  return [
    { key: 'queued', at: c.queued_at, after: '' },
    { key: 'delivered', at: c.delivered_at, after: since(c.delivered_at) },
    { key: 'accepted', at: c.accepted_at, after: since(c.accepted_at) },
    { key: 'finished', at: c.finished_at, after: since(c.finished_at) },
  ];
}

/** "0.1 秒", "12 秒", "3 分钟", "2 小时", "4 天". */
export function span(seconds: number): string {
  const s = Math.max(0, seconds);
  if (s < 10) return `${s.toFixed(1)} 秒`;
  if (s < 60) return `${Math.round(s)} 秒`;
  if (s < 3600) return `${Math.round(s / 60)} 分钟`;
  if (s < 86_400) return `${Math.round(s / 3600)} 小时`;
  return `${Math.round(s / 86_400)} 天`;
}

/** What was asked for, in the operator's own words; '' when the name says it all. */
export function summary(c: Pick<Command, 'name' | 'args'>): string {
  if (c.name === 'message.show') return String(c.args.text ?? '');
  if (c.name === 'volume.set') return `${Number(c.args.level ?? 0)} %`;
  if (c.name === 'screenshot') return String(c.args.reason ?? '');
  return '';
}

export type Draft = { text: string; seconds: number; speak: boolean; level: number; reason: string; wait: boolean; life: number };
export const DRAFT: Draft = { text: '', seconds: 60, speak: true, level: 60, reason: '', wait: false, life: 0 };

/** The order as it is sent; null while something is missing. `life` in seconds, 0: the default of the name. */
export function orderOf(name: CommandName, d: Draft, now: number): { name: string; args: object; when_busy?: string; not_after_at?: number } | null {
  const args: Record<CommandName, object | null> = {
    'message.show': d.text.trim() === '' ? null : { text: d.text.trim().replace(/\s+/g, ' '), seconds: d.seconds, speak: d.speak },
    'volume.set': { level: d.level },
    screenshot: d.reason.trim() === '' ? null : { reason: d.reason.trim() },
    'log.fetch': {},
    'page.reload': {},
    reboot: {},
  };
  const a = args[name];
  if (a === null) return null;
  return { name, args: a, ...(mayWait(name) && d.wait ? { when_busy: 'wait' } : {}), ...(d.life > 0 ? { not_after_at: Math.round(now + d.life * 1e6) } : {}) };
}
