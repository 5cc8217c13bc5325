import type { ComponentChildren } from 'preact';
import { Icon, type IconName } from '../light/icons';
import { t } from './t';

/** Frame of every phone page: title and 长辈版 above, the telephone number at the bottom, error pages included. */
export function Shell(p: { elder: boolean; onElder: () => void; said: string; camera: boolean; children: ComponentChildren }) {
  return (
    <div class={`phone${p.camera ? ' oncam' : ''}`}>
      <header class="ph">
        <h1>{t('phone.title')}</h1>
        <button type="button" class="sw" aria-pressed={p.elder} onClick={p.onElder}>{t('phone.elder')}{p.elder ? ' ✓' : ''}</button>
      </header>
      <main>{p.children}</main>
      <p class="say" aria-live="polite" hidden={!p.said}>{p.said}</p>
      <a class="tel" href="tel:12348"><Icon name="call" /><span>{t('phone.call')}</span></a>
    </div>
  );
}

export function Message(p: { title: string; sub?: string; busy?: boolean; icon?: IconName; action?: { label: string; run: () => void } | undefined }) {
  return (
    <section class="msg" aria-busy={p.busy}>
      {p.icon && <Icon name={p.icon} />}
      <h2>{p.title}</h2>
      {p.sub && <p>{p.sub}</p>}
      {p.action && <button type="button" class="big" onClick={p.action.run}>{p.action.label}</button>}
    </section>
  );
}

/** One problem, one picture, one action. */
export function Card(p: { icon: IconName; title: string; todo: string; action?: { label: string; run: () => void } }) {
  return (
    <section class="card" role="alert">
      <Icon name={p.icon} />
      <div><b>{p.title}</b><span>{p.todo}</span></div>
      {p.action && <button type="button" class="mid" onClick={p.action.run}>{p.action.label}</button>}
    </section>
  );
}
