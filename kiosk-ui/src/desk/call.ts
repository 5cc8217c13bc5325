import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { createStore } from '../core/store';
import { openRoom, type Room, type RoomView } from '../core/rtc/room';
import type { RoomReady } from '../core/types';
import type { Staff } from '../staff/gate';

/** The room itself; what it says is read by who shows it, so that the rest of the desk stays still while people talk. */
export type Call = { room: Room | null };

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

  return useMemo(() => ({ room }), [room]);
}

/** Equal but for the levels of sound, which change many times a second. */
export function calm(a: RoomView, b: RoomView): boolean {
  return (Object.keys(b) as (keyof RoomView)[]).every((k) => k === 'levels' || a[k] === b[k]);
}

/** What the room says, without the levels: redrawn when anything else changes. */
export function useView(room: Room | null): RoomView | null {
  const get = useMemo(() => {
    let last: RoomView | null = null;
    return () => {
      const now = room === null ? null : room.get();
      if (now === null || last === null || !calm(last, now)) last = now;
      return last;
    };
  }, [room]);
  return useSyncExternalStore((room ?? nothing).subscribe, get);
}

/** One small thing of the room: redrawn when this changes. */
export function useOf<T extends string | number | boolean>(room: Room | null, read: (v: RoomView) => T, none: T): T {
  return useSyncExternalStore((room ?? nothing).subscribe, () => (room === null ? none : read(room.get())));
}

/** The zone of the room the mediator is in, '' while there is none. */
export const useZone = (room: Room | null): string => useOf(room, (v) => v.phase?.zone ?? '', '');
