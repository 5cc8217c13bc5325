// The one sentence of each screen: shown in the say-bar and spoken, from the same text.
import { spoken } from '../core/t';
import type { Situation } from '../core/types';
import type { Scene } from './scene';
import { t } from './t';

export function lineOf(scene: Scene, s: Situation): string {
  const k = s.ticket;
  switch (scene) {
    case 'lang': return t('lang.say');
    case 'kind': return t('kind.say');
    case 'category': return t('cat.say');
    case 'waiting':
      if (!k) return '';
      if (k.ahead === 0) return t('wait.say.next');
      return k.lo_min !== null && k.hi_min !== null
        ? t('wait.say.range', { n: spoken(k.ahead, true), lo: spoken(k.lo_min), hi: spoken(k.hi_min) })
        : t('wait.say', { n: spoken(k.ahead, true) });
    case 'missed': return t('missed.say');
    case 'parked': return `${t('parked.title')}。${t('parked.sub')}。`;
    case 'ringing': return k && k.ring ? t('ring.say', { name: k.ring.mediator.name }) : '';
    case 'lobby': return s.session ? `${t('call.lobby')}，${t('call.lobby.sub', { name: s.session.mediator.name })}。` : '';
    case 'suspended': return `${t('call.suspended')}。${t('call.suspended.sub')}。`;
    case 'adjourned': return `${t('call.adjourned')}。${t('call.adjourned.sub')}。`;
    case 'rating': return t('rate.say');
    case 'attract':
    case 'call':
      return '';
  }
}
