// The end of a visit: rating, "are you still here", "really?", cleared.
import { useEffect } from 'preact/hooks';
import type { Situation } from '../core/types';
import { Icon } from '../light/icons';
import { useBusy } from '../light/ui';
import type { Counter } from './counter';
import type { Scene } from './scene';
import { t } from './t';

const scores = [1, 2, 3, 4, 5] as const;

export function Rating({ c, s }: { c: Counter; s: Situation }) {
  const [busy, run] = useBusy();
  return (
    <section class="rate">
      <h2>{t('rate.prompt')}<small>{s.rating ? s.rating.mediator : ''} · {t('rate.sub')}</small></h2>
      <div>{scores.map((n) => <button type="button" key={n} disabled={busy} onClick={() => run(() => c.rate(n))}><b>{n}</b>{t(`rate.${n}`)}</button>)}</div>
      <button type="button" class="pill" disabled={busy} onClick={() => run(() => c.rate(null))}>{t('rate.skip')}</button>
    </section>
  );
}

export function IdleQuestion({ c, left, onGo }: { c: Counter; left: number; onGo: () => void }) {
  useEffect(() => c.speaker.say(t('idle.say'), true), [c]);
  return (
    <section class="veil" role="alertdialog" aria-label={t('idle.prompt')} onClick={onGo}>
      <h2>{t('idle.prompt')}</h2>
      <p class="count">{t('idle.sub', { n: left })}</p>
      <button type="button" class="primary" ref={(el) => { if (el) el.focus({ preventScroll: true }); }}>{t('idle.go')}</button>
    </section>
  );
}

export function Sure(p: { scene: Scene; onGo: () => void; onEnd: () => void }) {
  const call = p.scene === 'call' || p.scene === 'lobby' || p.scene === 'suspended';
  return (
    <section class="veil" role="alertdialog" aria-label={t('sure.prompt')}>
      <h2>{t('sure.prompt')}</h2>
      <p>{t(call ? 'sure.call' : p.scene === 'ringing' ? 'sure.ring' : 'sure.wait')}</p>
      <button type="button" class="primary" ref={(el) => { if (el && document.activeElement === document.body) el.focus({ preventScroll: true }); }} onClick={p.onGo}>{t('sure.go')}</button>
      <button type="button" class="pill" onClick={p.onEnd}>{t('sure.end')}</button>
    </section>
  );
}

export function Cleared({ c, done }: { c: Counter; done: boolean }) {
  useEffect(() => {
    c.speaker.quiet(false);
    if (done) c.speaker.say(t('gone.say'), true);
  }, [done]);
  return (
    <div class="kiosk">
      <section class="status gone" aria-live="polite">
        <Icon name="check" />
        <h2>{t('gone.title')}</h2>
        <p>{t(done ? 'gone.sub' : 'gone.wait')}</p>
      </section>
    </div>
  );
}
