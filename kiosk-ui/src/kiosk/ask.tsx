// Before the queue: begin, language, what, about what.
import tiles from '../../tiles/categories.json';
import { useEffect, useState } from 'preact/hooks';
import { useStore } from '../core/hooks.preact';
import type { Situation } from '../core/types';
import { Icon, isIcon } from '../light/icons';
import { useBusy } from '../light/ui';
import type { Counter } from './counter';
import { category, err, t } from './t';

const slides = [1, 2, 3] as const;
const slideMs = 12000;

export function Attract({ c }: { c: Counter }) {
  const [n, setN] = useState(0);
  const [busy, run] = useBusy();
  const error = useStore(c.error);
  useEffect(() => {
    const id = setInterval(() => setN((x) => (x + 1) % slides.length), slideMs);
    return () => clearInterval(id);
  }, []);
  const k = slides[n]!;
  return (
    <section class="attract">
      <div class="slide" key={k}>
        <Icon name={k === 1 ? 'video' : k === 2 ? 'hands' : 'wages'} />
        <h2>{t(`attract.${k}`)}</h2>
        <p>{t(`attract.${k}.sub`)}</p>
      </div>
      <ol class="dots" aria-hidden="true">{slides.map((x) => <li key={x} class={x === k ? 'on' : ''} />)}</ol>
      <button type="button" class="start" disabled={busy} onClick={() => run(async () => {
        c.speaker.unlock();
        await c.begin();
      })}>{t('attract.go')}</button>
      {error && <p class="error" role="alert"><b>{err(error.code).what}</b>{err(error.code).todo}。</p>}
      <p class="free">{t('attract.say')}</p>
    </section>
  );
}

export const Language = ({ c }: { c: Counter }) => (
  <section class="ask two">
    <h2>{t('lang.prompt')}<small>{t('lang.sub')}</small></h2>
    <div class="tiles">
      {(['zh', 'mn'] as const).map((l) => (
        <button type="button" key={l} class="tile" onClick={() => c.setSteps({ lang: l })}>
          <Icon name="speak" /><div><b>{t(`lang.${l}`)}</b><span>{t(`lang.${l}.sub`)}</span></div>
        </button>
      ))}
    </div>
  </section>
);

export function Kind({ c, s }: { c: Counter; s: Situation }) {
  const v = s.service;
  const free = v.seats - v.busy;
  const badge = !v.open || v.seats === 0 ? t('kind.closed') : free <= 0 ? t('kind.online.none') : v.hi_min === null ? t('kind.online', { n: v.seats }) : t('kind.online.soon', { n: v.seats, hi: Math.max(5, v.hi_min) });
  return (
    <section class="ask kinds">
      <h2>{t('kind.prompt')}<small>{t('kind.sub')}</small></h2>
      <div class="tiles">
        <button type="button" class="tile main" onClick={() => c.setSteps({ kind: 'consult' })}>
          <Icon name="video" /><div><b>{t('kind.consult')}</b><span>{t('kind.consult.sub')}</span><em>{badge}</em></div>
        </button>
        <button type="button" class="tile wide" onClick={() => c.setSteps({ kind: 'mediate' })}>
          <Icon name="hands" /><div><b>{t('kind.mediate')}</b><span>{t('kind.mediate.sub')}</span></div>
        </button>
      </div>
      <button type="button" class="pill backkey" onClick={() => c.setSteps({ lang: null })}>{t('k.back')}</button>
    </section>
  );
}

export function Category({ c }: { c: Counter }) {
  const [busy, run] = useBusy();
  const draw = (name: string) => run(() => c.draw(name));
  return (
    <section class="ask nine">
      <h2>{t('cat.prompt')}<small>{t('cat.sub')}</small></h2>
      <div class="tiles">
        {tiles.tiles.map((x) => (
          <button type="button" key={x.category} class="tile" disabled={busy} onClick={() => draw(x.category)}>
            <Icon name={isIcon(x.icon) ? x.icon : 'other'} /><b>{category(x.category)}</b>
          </button>
        ))}
        <button type="button" class="tile unsure" disabled={busy} onClick={() => draw(tiles.unsure)}><Icon name="ask" /><b>{category('unsure')}</b></button>
      </div>
      <button type="button" class="pill backkey" onClick={() => c.setSteps({ kind: null })}>{t('k.back')}</button>
    </section>
  );
}
