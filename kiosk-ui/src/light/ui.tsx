// Small parts that kiosk, phone and tablet share.
import { useEffect, useRef, useState } from 'preact/hooks';
import { useStore } from '../core/hooks.preact';
import { play } from '../core/rtc/media';
import { loudness } from '../core/volume';

/** A code made by the server, as an image: no markup of a foreign answer enters the page. */
export const Qr = ({ svg, label }: { svg: string; label: string }) => (
  <img class="qr" src={`data:image/svg+xml;utf8,${encodeURIComponent(svg)}`} alt={label} />
);

/** Plays a stream; the element is never re-parented, old WebViews restart it. */
export function Player(p: { stream: MediaStream | null; class?: string; muted?: boolean; mirror?: boolean; label: string; onRefused?: () => void }) {
  const el = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    const v = el.current;
    if (!v) return;
    v.muted = !!p.muted;
    play(v, p.stream).then((ok) => { if (!ok && p.onRefused) p.onRefused(); }, () => undefined);
  }, [p.stream, p.muted]);
  const loud = useStore(loudness);
  useEffect(() => {
    if (el.current) el.current.volume = loud / 100;
  }, [loud]);
  return <video ref={el} class={`${p.class || ''}${p.mirror ? ' mirror' : ''}`} autoplay playsInline muted={p.muted} aria-label={p.label} />;
}

/** Runs `f` once at a time; the button shows that it works and cannot be pressed twice. */
export function useBusy(): [boolean, (f: () => Promise<void>) => void] {
  const [busy, set] = useState(false);
  const now = useRef(false);
  return [busy, (f) => {
    if (now.current) return;
    now.current = true;
    set(true);
    f().catch(() => undefined).then(() => {
      now.current = false;
      set(false);
    });
  }];
}

/** Keeps the screen of a phone awake while `on`; a browser without the feature goes on without it. */
export function useWake(on: boolean): void {
  useEffect(() => {
    if (!on || !('wakeLock' in navigator)) return;
    let lock: WakeLockSentinel | null = null;
    let gone = false;
    const take = () => {
      if (document.visibilityState !== 'visible') return;
      navigator.wakeLock.request('screen').then((l) => {
        if (gone) void l.release();
        else lock = l;
      }, () => undefined);
    };
    take();
    document.addEventListener('visibilitychange', take);
    return () => {
      gone = true;
      document.removeEventListener('visibilitychange', take);
      if (lock) void lock.release();
    };
  }, [on]);
}
