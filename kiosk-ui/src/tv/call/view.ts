// What the call screen draws, worked out of the room: pure, so that who hears whom is tested without a browser.
import type { RoomView } from '../../core/rtc/room';

export interface Remote { participant: string; name: string; role: string; stream: MediaStream | null; picture: boolean; talking: boolean }

/** remotes lists the others, the mediator first, then by name of participant: tiles never change places by themselves. */
export function remotes(v: RoomView): Remote[] {
  const ids: string[] = [];
  const add = (id: string): void => { if (id && id !== v.self && ids.indexOf(id) < 0) ids.push(id); };
  v.members.filter((m) => m.present).forEach((m) => add(m.participant));
  v.tiles.forEach((x) => add(x.participant));
  const rank = (id: string): number => (/mediator|lawyer/.test(roleOf(v, id)) ? 0 : 1);
  ids.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return ids.map((id) => ({
    participant: id,
    name: nameOf(v, id),
    role: roleOf(v, id),
    stream: v.streams[id] || null,
    picture: v.tiles.some((x) => x.participant === id && x.kind === 'cam' && x.live && !x.muted && x.track !== null),
    talking: (v.levels[id] || 0) > 8,
  }));
}

/** hearers are the names of those who hear this person now: as the room's live gates say, never guessed. */
export const hearers = (v: RoomView): string[] => ((v.phase && v.phase.can_hear) || []).filter((name) => name !== '');

/** phoneUp tells whether this person's phone is on air: the room knows first, the situation knows when the room does not. */
export function phoneUp(v: RoomView, situation: boolean): boolean {
  const me = v.members.filter((m) => m.participant === v.self)[0];
  return v.state === 'live' && me ? (me.attach || []).indexOf('capture') >= 0 : situation;
}

/** silenced tells that this person's own microphone is off, by himself, by his phone or by the room. */
export function silenced(v: RoomView): boolean {
  return v.muted.mic || v.members.some((m) => m.participant === v.self && m.mic_muted);
}

const nameOf = (v: RoomView, id: string): string => {
  const m = v.members.filter((x) => x.participant === id)[0];
  const x = v.tiles.filter((y) => y.participant === id)[0];
  return (m && m.name) || (x && x.name) || '';
};

const roleOf = (v: RoomView, id: string): string => {
  const m = v.members.filter((x) => x.participant === id)[0];
  return m ? m.role : '';
};

const CAPTION_MS = 20_000;

/** caption is the line that stands under the picture: the last one, for 20 s. */
export function caption(v: RoomView, now: number): { name: string; text: string } | null {
  const last = v.captions[v.captions.length - 1];
  return last && now - last.at < CAPTION_MS ? { name: last.name, text: last.text } : null;
}

/** Own is what the card of one's own camera says. */
export type Own = 'phone' | 'phone-wait' | 'phone-lost' | 'camera' | 'camera-opening' | 'sound-only' | 'none' | 'broken';

const PHONE_MS = 15_000; // a paired phone that is not up by then is called lost

export function ownCard(o: { attach: 'full' | 'view'; paired: boolean; live: boolean; seenLive: boolean; waitedMs: number; stream: boolean; picture: boolean; problem: boolean }): Own {
  if (o.paired) return o.live ? 'phone' : o.seenLive || o.waitedMs > PHONE_MS ? 'phone-lost' : 'phone-wait';
  if (o.seenLive) return 'phone-lost'; // the phone gave up its place
  if (o.attach === 'full') return !o.stream ? 'camera-opening' : o.picture ? 'camera' : 'sound-only';
  return o.problem ? 'broken' : 'none';
}
