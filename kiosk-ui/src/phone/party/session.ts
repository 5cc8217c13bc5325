// The phone of a party who came by a link: his dispute, his link to the server and, with a join link, his place in the room.
import { type Api, type ApiError, createApi } from '../../core/api';
import { type Clock, createClock } from '../../core/clock';
import { type DisputeView, openDispute, type PartyDispute, stepOf } from '../../core/dispute';
import { type Keeper, keepRoom } from '../../core/rtc/keeper';
import type { Readable } from '../../core/store';
import { createEye, type Camera } from '../eye';
import { openLine, type LineState } from '../line';

export type Purpose = 'join' | 'sign';
export interface PartyGrant { link_id: string; purpose: Purpose; csrf: string }

export interface PartySession {
  purpose: Purpose;
  api: Api;
  clock: Clock;
  dispute: PartyDispute;
  room: Keeper;
  camera: Readable<Camera>;
  line: Readable<LineState>;
  openCamera(): Promise<void>;
  resume(): void;
  close(): void;
}

/** The server says that there is no such meeting now: it has ended, or waits for another day. */
const refused = (code: string): boolean => code === 'session.state' || code === 'session.none';

/**
 * The session whose room should be open. Nothing is left to do only when the dispute is over and the room has refused
 * us too: after a failed mediation the mediator still reads the other ways out to everybody in it.
 */
export function meetingOf(v: DisputeView, code: string, over: string): string | null {
  const id = v.d && v.d.session_id ? v.d.session_id : null;
  const step = stepOf(v);
  return id && (id === over || (step && (step.at === 'closed' || step.at === 'done') && refused(code))) ? null : id;
}

export function openParty(grant: PartyGrant, onOver: (e: ApiError) => void): PartySession {
  const api = createApi({ csrf: () => grant.csrf });
  const clock = createClock();
  const dispute = openDispute({ api, always: true });
  const room = keepRoom({ api, attach: 'full', onReread: () => dispute.nudge() });
  let closed = false;
  let over = ''; // the session that was left for good
  const eye = createEye((stream) => {
    const r = room.get();
    if (r) void r.publish(stream);
  });
  const publish = (): void => {
    const r = room.get();
    const { stream } = eye.view.get();
    if (r && stream && !r.get().publishing) void r.publish(stream);
  };
  const look = (topic: string, why?: string): void => {
    const r = room.get();
    if (r && topic === 'rtc.move' && why === 'lost') r.placed(Infinity); // the dispute does not say where its room is
    if (r && topic && refused(r.get().code)) r.resume(); // it may be open again
    dispute.nudge();
  };
  const line = openLine({ api, clock, tokens: '/links/mine/link-tokens', screen: 'phone', look });

  const offs = [
    dispute.subscribe(() => {
      const v = dispute.get();
      const { error } = v;
      if (error && (error.status === 401 || error.status === 410)) {
        if (!closed) onOver(error);
        return;
      }
      // the button of the page was the yes to camera and microphone; who hears whom is the room's to say
      if (grant.purpose !== 'join') return;
      const r = room.get();
      const next = meetingOf(v, r ? r.get().code : '', over);
      if (!next && v.d && v.d.session_id) {
        over = v.d.session_id;
        eye.close(); // nobody looks any more
      }
      room.enter(next);
    }),
    room.subscribe(publish),
  ];

  return {
    purpose: grant.purpose,
    api,
    clock,
    dispute,
    room,
    camera: eye.view,
    line: line.state,
    openCamera: eye.open,
    resume: () => line.resume(),
    close() {
      closed = true;
      for (const off of offs) off();
      dispute.close();
      room.close();
      line.close();
      eye.close();
    },
  };
}
