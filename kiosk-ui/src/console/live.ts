import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { Link } from '../core/link';
import { applyDeltas, EMPTY_VIEW, fromSnapshot, moved, rejoin, type Delta, type Snapshot, type View } from './rows';

export type Filter = { unit: string; chip: string; kind: string };
export const WINDOW = 200;

/** Frames of the live view, handed on by whoever owns the link. */
export type ViewFeed = { onDelta: ((d: Delta) => void) | null };

export type Live = View & { moved: number; loading: boolean; reorder: () => void };

/**
 * The live device list: a snapshot over the link, then deltas, painted at most once a frame. A missed delta or a new
 * link opens the view again without moving rows; `reorder` asks for the server's order.
 */
export function useLiveDevices(link: Link | null, up: boolean, feed: ViewFeed, filter: Filter, on: boolean): Live {
  const [view, setView] = useState<View>(EMPTY_VIEW);
  const [loading, setLoading] = useState(true);
  const [round, setRound] = useState(0);
  const fresh = useRef(true); // the next snapshot may make a new order
  const { unit, chip, kind } = filter;

  const fullKey = `${unit}|${chip}|${kind}`;
  const lastKey = useRef('');

  useEffect(() => {
    if (!on || link === null || !up) return;
    let over = false;
    const buffer: Delta[] = [];
    let frame = 0;
    let opened = false;
    if (lastKey.current !== fullKey) {
      lastKey.current = fullKey;
      fresh.current = true;
      setLoading(true);
    }
    const paint = () => {
      frame = 0;
      if (!opened) return;
      const ds = buffer.splice(0);
      setView((v) => applyDeltas(v, ds, Date.now() * 1000));
    };
    feed.onDelta = (d) => {
      buffer.push(d);
      if (frame === 0) frame = requestAnimationFrame(paint);
    };
    link
      .request<Snapshot>('view.open', { view: 'devices', unit, chip, kind, limit: WINDOW })
      .then((raw) => {
        if (over) return;
        const snap: Snapshot = { rows: raw.rows ?? [], total: raw.total, vseq: raw.vseq };
        const now = Date.now() * 1000;
        const renew = fresh.current;
        fresh.current = false;
        setView((v) => (renew ? fromSnapshot(snap, now) : rejoin(v, snap, now)));
        setLoading(false);
        opened = true;
        if (buffer.length > 0 && frame === 0) frame = requestAnimationFrame(paint);
      })
      .catch(() => {
        if (!over) retry.current = setTimeout(() => setRound((n) => n + 1), 2000);
      });
    return () => {
      over = true;
      feed.onDelta = null;
      cancelAnimationFrame(frame);
      clearTimeout(retry.current);
    };
  }, [on, link, up, feed, unit, chip, kind, fullKey, round]);
  const retry = useRef<ReturnType<typeof setTimeout>>(undefined);

  const { broken } = view;
  useEffect(() => {
    if (broken) setRound((n) => n + 1);
  }, [broken]);

  const reorder = useCallback(() => {
    fresh.current = true;
    setRound((n) => n + 1);
  }, []);
  return useMemo(() => ({ ...view, moved: moved(view), loading, reorder }), [view, loading, reorder]);
}
