import { useEffect, useState } from 'react';
import { useStore } from '../core/hooks.react';
import { createStore } from '../core/store';
import { openRoom, type Room, type RoomView } from '../core/rtc/room';
import type { RoomReady } from '../core/types';
import type { Staff } from '../staff/gate';

export type Call = { room: Room | null; view: RoomView | null };

const nothing = createStore<RoomView | null>(null);

/**
 * The desk's place in the video room of a session: entered as soon as the session exists, left when `session` is ''.
 * Own camera and microphone are sent at once; the room itself comes back after any break.
 */
export function useCall(staff: Staff, session: string, fence: number, stream: MediaStream | null, reread: () => void): Call {
  const [room, setRoom] = useState<Room | null>(null);
  useEffect(() => {
    if (session === '') return;
    const r = openRoom({
      attach: 'full',
      entry: () => staff.api.post<RoomReady>(`/sessions/${session}/media-tickets`, { attach: 'full' }),
      onReread: reread,
    });
    setRoom(r);
    return () => {
      r.close();
      setRoom(null);
    };
  }, [staff, session, reread]);

  useEffect(() => {
    if (room !== null && (stream !== null || room.get().publishing)) void room.publish(stream);
  }, [room, stream]);

  useEffect(() => {
    if (room !== null) room.placed(fence);
  }, [room, fence]);

  const view = useStore<RoomView | null>(room ?? nothing);
  return { room, view };
}
