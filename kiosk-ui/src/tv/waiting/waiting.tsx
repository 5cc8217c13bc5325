// Waiting: the number, how many are ahead, about how long, and which camera will serve. The ring grows as people leave.
import { useStore } from '../../core/hooks.preact';
import { spoken } from '../../core/t';
import type { Situation, Ticket } from '../../core/types';
import { useCapture } from '../phone/phone';
import { Icon } from '../ui/icons';
import { icons } from '../ui/icons-late';
import { Button, Press, Qr, Screen, spaced, useTv, Veil } from '../ui/screen';
import { category, t } from '../words-late';

export function Waiting({ s, ticket }: { s: Situation; ticket: Ticket }) {
  const tv = useTv();
  return (
    <Screen
      name="waiting" say={sentence(ticket)} title={t(ticket.kind === 'consult' ? 'wait.title.consult' : 'wait.title.mediate')}
      place={t('wait.place', { no: ticket.no, what: category(ticket.category), lang: ticket.lang === 'mn' ? t('lang.mn') : '' })}
      keys={[['key.ok', 'key.do.choose'], ['key.back', 'key.do.home_keep']]}
    >
      <div class="steps"><i>{t('wait.step.1')}</i><i class="now">{t('wait.step.2')}</i><i>{t('wait.step.3')}</i></div>
      <div class="wait">
        <div>
          <div class="big">
            <Ring ahead={ticket.ahead} />
            <div class="eta">
              {range(ticket)}
              <small>{ticket.passed ? t('wait.passed') : t('wait.sit')}</small>
              <ol class="then">
                <li class="head">{t('wait.how.title')}</li>
                {([1, 2, 3] as const).map((n) => <li key={n}><i>{n}</i>{t(`wait.how.${n}`)}</li>)}
              </ol>
            </div>
          </div>
          <div class="acts">
            <Press id="again" class="a" first onPress={() => tv.voice.say(sentence(ticket), true)}>{t('wait.again')}<small>{t('wait.again.sub')}</small></Press>
            <Press id="home" class="a" say={`${t('wait.home')}，${t('wait.home.sub')}。`} onPress={() => tv.goHome()}>{t('wait.home')}<small>{t('wait.home.sub')}</small></Press>
            <Press id="cancel" class="a" say={`${t('wait.cancel')}，${t('wait.cancel.sub')}。`} onPress={() => tv.askCancel()}>{t('wait.cancel')}<small>{t('wait.cancel.sub')}</small></Press>
          </div>
        </div>
        <Camera s={s} />
      </div>
    </Screen>
  );
}

/** Ring is a full circle when nobody is ahead; 2 ahead fill two thirds. */
function Ring({ ahead }: { ahead: number }) {
  const full = 2 * Math.PI * 45;
  const gone = full * (1 - ahead / (ahead + 4));
  return (
    <div class="ring">
      <svg viewBox="0 0 100 100" aria-hidden="true">
        <circle class="rest" cx="50" cy="50" r="45" />
        <circle class="gone" cx="50" cy="50" r="45" stroke-dasharray={`${gone.toFixed(1)} ${full.toFixed(1)}`} transform="rotate(-90 50 50)" />
      </svg>
      {ahead > 0
        ? <div>{t('wait.ahead.top')}<em>{ahead}</em>{t('wait.ahead.unit')}</div>
        : <div class="next">{t('wait.next')}<b>{t('wait.next.sub')}</b></div>}
    </div>
  );
}

/** Camera says whose camera and microphone will serve, and offers the phone's. */
function Camera({ s }: { s: Situation }) {
  const tv = useTv();
  const { devices, camProblem } = useStore(tv.line);
  const { paired } = s.capture;
  const own = devices.cam && devices.mic && !camProblem;
  const { link } = useCapture(!paired);
  const by = paired ? t('wait.check.phone') : own ? t('wait.check.tv') : t('wait.check.none');
  return (
    <aside class="side">
      <div class="who">
        <Icon d={paired || !own ? icons.phonecam : icons.video} />
        <div>
          <b>{paired ? t('wait.cam.phone') : own ? t('wait.cam.tv') : t('wait.cam.none')}</b>
          {paired ? <span class="good">{t('phone.paired')}</span> : own ? <span>{t('wait.cam.tv.sub')}</span> : null}
        </div>
      </div>
      <div class="ok">
        <span>{t('wait.check.cam')}</span><b class={paired || own ? '' : 'no'}>{by}</b>
        <span>{t('wait.check.mic')}</span><b class={paired || own ? '' : 'no'}>{by}</b>
      </div>
      {paired && <div class="hold"><b>{t('phone.step.3')}</b>{t('phone.step.3.sub')}</div>}
      {!paired && (
        <div class="qr">
          {link ? <Qr svg={link.qr_svg} size="qr12" alt={t('wait.cam.qr')} /> : <div class="qrimg qr12 empty" />}
          <div>
            {t('wait.cam.qr')}<br />{t('wait.cam.qr.sub')}
            {link && <div class="code">{t('wait.cam.code')}<b>{spaced(link.code)}</b></div>}
          </div>
        </div>
      )}
    </aside>
  );
}

function range(k: Ticket): string {
  if (k.lo_min === null || k.hi_min === null) return t('wait.norange');
  return k.hi_min <= 5 ? t('wait.soon') : t('wait.range', { lo: k.lo_min, hi: k.hi_min });
}

/** sentence is what is spoken and shown: the same figures as on the screen, read as people say them. */
function sentence(k: Ticket): string {
  const about = k.lo_min === null || k.hi_min === null ? '' : k.hi_min <= 5 ? t('wait.say.soon') : t('wait.say.range', { lo: spoken(k.lo_min), hi: spoken(k.hi_min) });
  return k.ahead > 0 ? t('wait.say', { n: spoken(k.ahead, true), range: about }) : t('wait.say.next', { range: about });
}

/** Cancel asks before a place in the queue is given up. */
export function Cancel() {
  const tv = useTv();
  return (
    <Veil name="cancel" label={t('cancel.title')} say={t('cancel.say')}>
      <div class="ask">
        <h2>{t('cancel.title')}</h2>
        <p>{t('cancel.sub')}</p>
        <div class="two">
          <Button id="no" first word={t('cancel.no')} onPress={() => tv.close()} />
          <Button id="yes" final word={t('cancel.yes')} say={t('cancel.yes')} onPress={() => tv.cancel()} />
        </div>
      </div>
    </Veil>
  );
}
