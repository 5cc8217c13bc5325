// A sheet that may be longer than the screen: ▼ shows the next part of it before anything else.
import type { RefObject } from 'preact';
import { useLayoutEffect, useRef, useState } from 'preact/hooks';

export interface Sheet { ref: RefObject<HTMLDivElement | null>; more: boolean; down: () => boolean; up: () => boolean }

const SLACK = 6;

/** useSheet scrolls by most of a screenful; `key` starts it anew at the top. down and up are false at the end. */
export function useSheet(key: string): Sheet {
  const ref = useRef<HTMLDivElement>(null);
  const [more, setMore] = useState(false);
  const look = () => {
    const el = ref.current;
    setMore(el !== null && el.scrollTop + el.clientHeight < el.scrollHeight - SLACK);
  };
  useLayoutEffect(() => {
    if (ref.current) ref.current.scrollTop = 0;
    look();
  }, [key]);
  const by = (f: number): boolean => {
    const el = ref.current;
    if (!el) return false;
    const before = el.scrollTop;
    el.scrollTop = before + f * el.clientHeight * 0.75;
    look();
    return Math.abs(el.scrollTop - before) > 1;
  };
  return { ref, more, down: () => by(1), up: () => by(-1) };
}
