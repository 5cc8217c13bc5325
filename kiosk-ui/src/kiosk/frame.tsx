import { dayText, hourMinute } from '../core/clock';
import { useStore } from '../core/hooks.preact';
import type { Situation } from '../core/types';
import { Icon } from '../light/icons';
import type { Counter } from './counter';
import { t } from './t';

/** Title, place, time, and the state of the camera in words. */
export function Head({ c, s }: { c: Counter; s: Situation }) {
  const eye = useStore(c.eye);
  const now = c.terminal.clock.nowUs();
  const cam = eye.camera === 'on' ? 'k.cam.on' : s.capture.live ? 'k.cam.phone' : eye.camera === 'none' ? 'k.cam.none' : 'k.cam.off';
  return (
    <header class="khead">
      <div class="kmark"><Icon name="scale" /></div>
      <div><h1>{t('brand')}</h1><p>{t('k.place', { place: s.device.place.slice(-2).join(' ') || s.device.name })}</p></div>
      <div class="kstate">{hourMinute(now)}<small>{dayText(now)}</small><small class={`lens${eye.camera === 'on' ? ' on' : ''}`}><Icon name={eye.camera === 'on' || s.capture.live ? 'video' : 'camoff'} />{t(cam)}</small></div>
    </header>
  );
}

export const Say = ({ text, onRead }: { text: string; onRead: () => void }) => (
  <div class="ksay">
    <p aria-live="polite">{text}</p>
    <button type="button" onClick={onRead}><Icon name="speak" />{t('k.read')}</button>
  </div>
);

/** The bottom row; 结束并清除 never moves. */
export const Foot = (p: { low: boolean; big: boolean; onLow: () => void; onBig: () => void; onEnd: () => void }) => (
  <footer class="kfoot">
    <button type="button" class="pill" aria-pressed={p.big} onClick={p.onBig}>{t('k.big')}{p.big ? ' ✓' : ''}</button>
    <button type="button" class="pill lowkey" aria-pressed={p.low} onClick={p.onLow}>{t('k.low')}{p.low ? ' ✓' : ''}</button>
    <p>{t('k.foot')}<br />{t('k.foot.call')}</p>
    <button type="button" class="end" onClick={p.onEnd}>{t('k.end')}</button>
  </footer>
);
