// It is this TV's turn: whose face comes, what OK opens, how long it rings. Only the receiving line is prepared now.
import { secondsLeft } from '../../core/clock';
import { useStore, useTick } from '../../core/hooks.preact';
import type { Situation, Ticket } from '../../core/types';
import { icons } from '../ui/icons';
import { Button, Screen, useTv, Veil } from '../ui/screen';
import { languages, t } from '../words-late';

const RINGS_S = 30;

export function Ringing({ s, ticket }: { s: Situation; ticket: Ticket }) {
  const tv = useTv();
  const busy = useStore(tv.busy);
  const { attach } = useStore(tv.line);
  useTick(250);
  const ring = ticket.ring!;
  const left = secondsLeft(ring.until_at, tv.term.clock.nowUs());
  const full = 2 * Math.PI * 45;
  const by = s.capture.paired ? t('ring.by.phone') : attach === 'full' ? t('ring.by.full') : t('ring.by.view');
  return (
    <Screen name="ring" say={t('ring.say', { name: ring.mediator.name })} class="ringing" keys={[['key.ok', 'key.do.take'], ['key.back', 'key.do.later']]}>
      <div class="portrait">
        <i class="wave one" /><i class="wave two" />
        <div class="face">{initial(ring.mediator.name)}</div>
      </div>
      <div class="call-in">
        <h1>{t('ring.title')}</h1>
        <p class="name">{ring.mediator.name}<small>{ring.mediator.title}</small></p>
        <p class="langs-line">{ring.mediator.langs.length > 0 && t('ring.langs', { langs: languages(ring.mediator.langs) })}</p>
        <div class="pair">
          <Button id="take" first class="take" icon={icons.video} word={busy ? t('ring.taking') : t('ring.take')} disabled={busy} onPress={() => tv.answer(true)} />
          <Button id="later" final class="wait-a-bit" word={t('ring.later')} say={t('ring.later')} disabled={busy} onPress={() => tv.back()} />
        </div>
        <p class="by">{by}<br />{t('ring.norec')}</p>
      </div>
      <div class="count">
        <svg viewBox="0 0 100 100" aria-hidden="true">
          <circle class="rest" cx="50" cy="50" r="45" />
          <circle class="gone" cx="50" cy="50" r="45" stroke-dasharray={`${(full * Math.min(1, left / RINGS_S)).toFixed(1)} ${full.toFixed(1)}`} transform="rotate(-90 50 50)" />
        </svg>
        <div>{left}<small>{t('ring.seconds')}</small></div>
      </div>
    </Screen>
  );
}

/** Later asks before the place in the ring is given up; the place in the queue stays. */
export function Later() {
  const tv = useTv();
  return (
    <Veil name="later" label={t('later.title')} say={t('later.say')}>
      <div class="ask">
        <h2>{t('later.title')}</h2>
        <p>{t('later.sub')}</p>
        <div class="two">
          <Button id="now" first word={t('later.no')} onPress={() => tv.answer(true)} />
          <Button id="later" final word={t('later.yes')} say={t('later.yes')} onPress={() => tv.answer(false)} />
        </div>
      </div>
    </Veil>
  );
}

/** initial is the sign in a face without a picture: the last hanzi of 律师丁 is 丁, the first of 王建国 is 王. */
export function initial(name: string): string {
  const m = /^(?:律师|调解员|法律工作者)(.)/.exec(name);
  return m ? m[1]! : name.slice(0, 1);
}
