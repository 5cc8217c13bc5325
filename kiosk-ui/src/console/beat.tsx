import { memo, useEffect, useRef } from 'react';
import { t } from './t';

const COLOUR: Record<string, string> = { o: '#7cc49b', p: '#e0a42e', x: '#b23a26', '-': '#ded5c2' };
const MARK: Record<string, number> = { o: 1, p: 0.75, x: 1, '-': 0.45 }; // not by colour alone: heights tell them apart too

/** "24 小时里 20 小时在线，2 小时断过，2 小时不在线": what the bar shows, in words. */
export function dayWords(day: string): string {
  const n = (c: string) => day.split(c).length - 1;
  if (day === '' || n('-') === day.length) return t('beat.none');
  return t('beat.words', { on: n('o'), part: n('p'), off: n('x') });
}

/** One part for each hour of the last day, the newest at the right. */
export const Beat = memo(function Beat({ day, width = 72, height = 16 }: { day: string; width?: number; height?: number }) {
  const ref = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const c = ref.current;
    const g = c?.getContext('2d');
    if (c === null || g === null || g === undefined) return;
    const scale = window.devicePixelRatio || 1;
    c.width = width * scale;
    c.height = height * scale;
    g.scale(scale, scale);
    const step = width / Math.max(1, day.length);
    const bar = Math.max(1, step - Math.min(3, Math.max(1, step / 4)));
    Array.from(day).forEach((letter, i) => {
      const h = height * (MARK[letter] ?? 0.45);
      g.fillStyle = COLOUR[letter] ?? '#ded5c2';
      g.fillRect(i * step, height - h, bar, h);
    });
  }, [day, width, height]);
  return <canvas ref={ref} className="beat24" style={{ width, height }} role="img" aria-label={dayWords(day)} title={dayWords(day)} />;
});
