// Home: the three words people know, as tiles of what works; a strip when a ticket or a session waits for this TV.
import type { Situation } from '../../core/types';
import { Icon, icons } from '../ui/icons';
import { Press, Screen, useTv } from '../ui/screen';
import type { Strip } from '../screen-of';
import { t } from '../words';
import lawyer from './lawyer.svg';

export function Home({ s, strip }: { s: Situation; strip: Strip | null }) {
  const tv = useTv();
  return (
    <Screen
      name={`home-${strip || ''}`} say={strip ? stripLine(s, strip).join('。') : t('home.say')} title={t('tv.title')}
      place={placeLine(s)} keys={[['key.ok', 'key.do.enter'], ['key.back', 'key.do.exit'], ['key.zero', 'key.do.help']]}
    >
      <div class={strip ? 'grid striped' : 'grid'}>
        {strip && <StripLine s={s} strip={strip} />}
        <Press id="consult" digit={1} first={!strip} class="t hero" say={t('home.consult.say')} onPress={() => tv.choose('consult')}>
          <span class="art"><img src={lawyer} alt="" /></span>
          <i class="n">1</i>
          <i class="panel">{t('home.ask')}</i>
          <b>{t('home.consult')}</b>
          <span>{t('home.consult.sub')}</span>
          <em class="live">{liveLine(s)}</em>
        </Press>
        <Press id="mediate" digit={2} class="t" say={t('home.mediate.say')} onPress={() => tv.choose('mediate')}>
          <Icon d={icons.hands} /><i class="panel">{t('home.ask')}</i><i class="n">2</i>
          <b>{t('home.mediate')}</b><span>{t('home.mediate.sub')}</span><span class="more">{t('home.mediate.more')}</span>
        </Press>
        <Press id="phone" digit={6} class="t low" say={t('home.phone.say')} onPress={() => tv.openPhone()}>
          <Icon d={icons.phonecam} /><i class="n">6</i>
          <b>{t('home.phone')}</b><span>{s.capture.paired ? t('home.phone.on') : t('home.phone.sub')}</span>
        </Press>
      </div>
    </Screen>
  );
}

function StripLine({ s, strip }: { s: Situation; strip: Strip }) {
  const tv = useTv();
  const [text, sub] = stripLine(s, strip);
  return (
    <Press id={`strip-${strip}`} first class="strip" say={`${text}。${sub}。`} onPress={() => tv.comeBack(strip)}>
      <Icon d={icons.clock} /><b>{text}</b><span>{sub}</span>
    </Press>
  );
}

/** stripLine is what waits for this TV, and what to press. */
function stripLine(s: Situation, strip: Strip): [string, string] {
  const ticket = s.ticket;
  if (strip === 'left') return [t('home.strip.left', { who: s.session ? s.session.mediator.name : '' }), t('home.strip.left.do')];
  if (strip === 'missed' || !ticket) return [t('home.strip.missed'), t('home.strip.missed.do')];
  const text = ticket.ahead > 0 ? t('home.strip.waiting', { no: ticket.no, n: ticket.ahead }) : t('home.strip.waiting.next', { no: ticket.no });
  return [text, t('home.strip.waiting.do')];
}

/** placeLine: 赤峰市 · 敖汉旗 · 萨力巴乡 · 村  name of the terminal. */
export function placeLine(s: Situation): string {
  return `${s.device.place.join(' · ')}　${s.device.name}`;
}

function liveLine(s: Situation): string {
  const v = s.service;
  if (!v.open) return t('home.live.closed');
  if (v.seats < 1) return t('home.live.none');
  if (v.busy >= v.seats && v.lo_min === null) return t('home.live.busy');
  if (v.lo_min === null || v.hi_min === null) return t('home.live.some', { n: v.seats });
  if (v.hi_min <= 5) return t('home.live.soon', { n: v.seats });
  return t('home.live.range', { n: v.seats, lo: v.lo_min, hi: v.hi_min });
}
