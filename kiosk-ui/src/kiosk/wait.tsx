import { useEffect, useState } from 'preact/hooks';
import { useStore } from '../core/hooks.preact';
import type { Situation } from '../core/types';
import { Icon } from '../light/icons';
import { Qr, useBusy } from '../light/ui';
import type { Counter } from './counter';
import { category, err, t } from './t';

export function WaitScreen({ c, s, scene, onCancel }: { c: Counter; s: Situation; scene: 'waiting' | 'missed' | 'parked'; onCancel: () => void }) {
  const k = s.ticket!;
  const [busy, run] = useBusy();
  const [most, setMost] = useState(k.ahead); // the ring fills from the longest wait seen here
  useEffect(() => { if (k.ahead > most) setMost(k.ahead); }, [k.ahead]);
  if (scene !== 'waiting') {
    return (
      <section class="held">
        <h2>{t(`${scene}.title`)}</h2>
        <p>{t(`${scene}.sub`)}</p>
        <p class="no"><small>{t('wait.no')}</small>{k.no}</p>
        <button type="button" class="primary" disabled={busy} onClick={() => run(() => c.goBack())}>{t('wait.keep')}</button>
        <button type="button" class="pill" onClick={onCancel}>{t('wait.cancel')}</button>
      </section>
    );
  }
  const share = most > 0 ? 1 - k.ahead / (most + 1) : 1;
  const round = 2 * Math.PI * 44;
  return (
    <section class="wait">
      <h2 class="finding">{t(k.kind === 'mediate' ? 'wait.finding.mediate' : 'wait.finding.consult')}</h2>
      <div class="dial">
        <svg viewBox="0 0 100 100" aria-hidden="true"><circle class="track" cx="50" cy="50" r="44" /><circle class="done" cx="50" cy="50" r="44" stroke-dasharray={`${round * share} ${round}`} /></svg>
        {k.ahead > 0 ? <p>{t('wait.ahead')}<b>{k.ahead}</b>{t('wait.unit')}</p> : <p class="next">{t('wait.next')}</p>}
      </div>
      <div class="facts">
        {k.lo_min !== null && k.hi_min !== null && <h2>{t('wait.range', { lo: k.lo_min, hi: k.hi_min })}</h2>}
        <p>{t('wait.sub')}</p>
        <p class="no"><small>{t('wait.no')}</small>{k.no}</p>
        <p class="about">{t('wait.about', { cat: category(k.category) })}</p>
        {k.passed && <p class="passed">{t('wait.passed')}</p>}
      </div>
      <CameraCard c={c} s={s} />
      <button type="button" class="pill cancel" onClick={onCancel}>{t('wait.cancel')}</button>
    </section>
  );
}

/** Own camera, or a code for the phone when this machine has none. */
export function CameraCard({ c, s }: { c: Counter; s: Situation }) {
  const eye = useStore(c.eye);
  const { link, error } = useStore(c.captures);
  const needs = eye.camera === 'none' && !s.capture.paired;
  useEffect(() => {
    if (!needs) return undefined;
    c.captures.need();
    const id = setInterval(() => c.captures.need(), 5000);
    return () => clearInterval(id);
  }, [needs]);
  if (s.capture.paired) return <div class="camcard ok"><Icon name="phone" /><p>{t('wait.qr.paired')}</p></div>;
  if (!needs) return <div class="camcard"><Icon name="video" /><p>{t('wait.cam.ok')}</p></div>;
  return (
    <div class="camcard need">
      {link ? <Qr svg={link.qr_svg} label={t('wait.qr')} /> : <Icon name="phone" />}
      <div><b>{t('wait.qr')}</b>{link && <p>{t('wait.qr.code')}<br /><i>{link.code}</i></p>}<p>{error && !link ? `${err(error).what}。${err(error).todo}。` : t('wait.cam.none')}</p></div>
    </div>
  );
}
