// The ring and the call.
import { useEffect, useState } from 'preact/hooks';
import { secondsLeft } from '../core/clock';
import { useStore, useTick } from '../core/hooks.preact';
import type { DisputeView } from '../core/dispute';
import type { Room } from '../core/rtc/room';
import { createStore } from '../core/store';
import type { Situation } from '../core/types';
import { Icon } from '../light/icons';
import { Player, useBusy } from '../light/ui';
import type { Counter } from './counter';
import { langs, t } from './t';
import { CameraCard } from './wait';

const none = createStore<DisputeView>({ d: null, proof: 'none', error: null });
const captionFor = 20_000;
const lostAfter = 3000;

export function RingScreen({ c, s }: { c: Counter; s: Situation }) {
  const [busy, run] = useBusy();
  useTick(500);
  const ring = s.ticket && s.ticket.ring;
  if (!ring) return null;
  const m = ring.mediator;
  return (
    <section class="ring">
      <span class="face" aria-hidden="true">{m.name.slice(-1)}</span>
      <h2>{t('ring.title', { name: m.name })}</h2>
      <p>{t('ring.sub', { title: m.title, langs: langs(m.langs) })}</p>
      <div class="answer">
        <button type="button" class="take" disabled={busy} onClick={() => run(() => c.answer(true))}><Icon name="call" />{t('ring.take')}</button>
        <button type="button" class="later" disabled={busy} onClick={() => run(() => c.answer(false))}>{t('ring.later')}<small>{t('ring.left', { n: secondsLeft(ring.until_at, c.terminal.clock.nowUs()) })}</small></button>
      </div>
      <p class="note">{t('ring.note')}</p>
    </section>
  );
}

export function CallScreen({ c, s, scene }: { c: Counter; s: Situation; scene: 'lobby' | 'call' | 'suspended' | 'adjourned' }) {
  const room = useStore(c.room);
  const own = useStore(c.dispute);
  const view = useStore<DisputeView>(own ? own.c : none);
  const [busy, run] = useBusy();
  if (scene === 'adjourned') {
    return (
      <section class="held">
        <h2>{t('call.adjourned')}</h2>
        <p>{t('call.adjourned.sub')}</p>
        <button type="button" class="primary" disabled={busy} onClick={() => run(() => c.wipe('left'))}>{t('k.end')}</button>
      </section>
    );
  }
  const answer = s.session && s.session.answer ? s.session.answer : '';
  return room ? (
    <div class={own || answer ? `talk${own && own.late.stepOf(view) ? ' busy' : ''}` : ''}>
      <InRoom c={c} s={s} scene={scene} room={room} />
      {answer && !own && <section class="given" aria-live="polite"><h2>{t('call.answer')}</h2><p>{answer}</p></section>}
      {own && <own.late.DisputePanel c={own.c} speaker={c.speaker} pen={false} nowUs={c.terminal.clock.nowUs} always />}
    </div>
  ) : <section class="held"><h2>{t('call.wait')}</h2></section>;
}

function InRoom({ c, s, scene, room }: { c: Counter; s: Situation; scene: 'lobby' | 'call' | 'suspended'; room: Room }) {
  const v = useStore(room);
  const eye = useStore(c.eye);
  const [refused, setRefused] = useState(false);
  const [phoneGone, setPhoneGone] = useState(false);
  useTick(1000, v.captions.length > 0);
  const name = s.session ? s.session.mediator.name : '';
  const other = v.tiles.find((x) => x.kind === 'cam' && x.track);
  const voice = v.tiles.find((x) => x.kind === 'mic' && x.track);
  const who = other || voice;
  const stream = who ? v.streams[who.participant] || null : null;
  const hear = v.phase ? v.phase.can_hear || [] : [];
  const caption = v.captions.length > 0 ? v.captions[v.captions.length - 1]! : null;
  const lost = s.capture.paired && !s.capture.live && !v.publishing;
  useEffect(() => {
    if (!lost) {
      setPhoneGone(false);
      return;
    }
    const id = setTimeout(() => setPhoneGone(true), lostAfter);
    return () => clearTimeout(id);
  }, [lost]);
  const own = eye.stream && eye.stream.getVideoTracks().length > 0 ? eye.stream : null;
  const check = s.session !== null && s.session.kind === 'mediation' && s.session.state === 'checking' && v.phase !== null;
  const mine = check && v.phase !== null && v.phase.zone === `check:${v.self}`;
  const title = check ? t(mine ? 'call.check.you' : 'call.check.other') : scene === 'lobby' ? t('call.lobby') : scene === 'suspended' ? t('call.suspended') : stream ? t('call.with', { name }) : t('call.wait');
  const asks = !own && (!s.capture.live || phoneGone);
  return (
    <section class={`call${asks ? ' asks' : ''}`}>
      <div class="stage">
        {stream && <Player stream={stream} label={name} onRefused={() => setRefused(true)} />}
        {!other && <div class="cover"><span class="face" aria-hidden="true">{name.slice(-1)}</span><h2>{title}</h2>{scene === 'lobby' && <p>{t('call.lobby.sub', { name })}</p>}{scene === 'suspended' && <p>{t('call.suspended.sub')}</p>}{check && <p>{t(mine ? 'call.check.you.do' : 'call.check.other.do')}</p>}</div>}
        {other && <p class="who">{title}{mine && <><br />{t('call.check.you.do')}</>}</p>}
        {v.words && <p class="net" role="status">{t(`net.${v.words}`)}</p>}
        {refused && <button type="button" class="sound" onClick={() => { c.speaker.unlock(); setRefused(false); document.querySelectorAll('video').forEach((el) => { void el.play(); }); }}>{t('call.sound')}</button>}
        <p class="caption" aria-live="polite">{caption && Date.now() - caption.at < captionFor ? caption.text : ''}</p>
      </div>
      <div class="side">
        <div class="own">
          {own ? <Player stream={own} muted mirror label={t('call.own')} /> : <Icon name={s.capture.live ? 'phone' : 'camoff'} />}
          <p>{t(own ? 'call.own' : s.capture.live ? 'call.own.phone' : 'call.own.none')}</p>
        </div>
        <div class={`hear${hear.length > 0 && !v.muted.mic ? ' on' : ''}`} aria-live="polite"><Icon name="ear" /><div><span>{t('call.hear')}</span><b>{phoneGone ? t('call.phone.lost') : v.muted.mic ? t('call.muted') : hear.length > 0 ? hear.join('、') : t('call.hear.none')}</b><small>{t('call.norec')}</small></div></div>
        {asks && <CameraCard c={c} s={phoneGone ? { ...s, capture: { paired: false, live: false } } : s} />}
        <button type="button" class={`mute${v.muted.mic ? ' off' : ''}`} aria-pressed={v.muted.mic} onClick={() => room.mute('mic', !v.muted.mic)}>
          <Icon name={v.muted.mic ? 'mic' : 'micoff'} />{t(v.muted.mic ? 'call.unmute' : 'call.mute')}
        </button>
      </div>
    </section>
  );
}
