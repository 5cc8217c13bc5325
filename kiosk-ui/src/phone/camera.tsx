// The phone as the camera of a TV: permission card, own picture, what the TV waits for, the call.
import type { ComponentChildren } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type ApiError, asApiError } from '../core/api';
import { secondsLeft } from '../core/clock';
import { useFact, useStore, useTick } from '../core/hooks.preact';
import type { DisputeView } from '../core/dispute';
import type { Room } from '../core/rtc/room';
import { createStore } from '../core/store';
import { type MediaProblem, watchLevel } from '../core/rtc/media';
import type { CaptureGrant, Situation } from '../core/types';
import { Icon, type IconName } from '../light/icons';
import { Player, useBusy, useWake } from '../light/ui';
import { Card, Message } from './parts';
import { type Scene, sceneOf } from './scene';
import type { Camera } from './eye';
import { openPhone, type PhoneSession } from './session';
import { err, langs, t } from './t';
import { speaker } from './voice';

const tvGoneAfter = 5000;
const none = createStore<DisputeView>({ d: null, proof: 'none', error: null });

/** What people call the screen that this phone belongs to. */
const screenWord = (s: Situation | null): string => t(`screen.${s ? s.device.kind : 'stb'}`);

export function CameraPage(p: { grant: CaptureGrant; onDone: (why: 'ended' | 'dropped') => void; onOver: (e: ApiError) => void }) {
  const over = useRef(p.onOver);
  over.current = p.onOver;
  const phone = useMemo(() => openPhone(p.grant, (e) => over.current(e)), [p.grant]);
  useEffect(() => {
    void phone.openCamera();
    return () => phone.close();
  }, [phone]);

  const { value: s } = useFact(phone.situation);
  const camera = useStore(phone.camera);
  const line = useStore(phone.line);
  const room = useStore(phone.room);
  const own = useStore(phone.dispute);
  const view = useStore<DisputeView>(own ? own.c : none);
  const asked = own !== null && own.late.stepOf(view) !== null; // then the picture makes room
  const scene = sceneOf(s);
  const answer = s && s.session && s.session.answer ? s.session.answer : '';
  useWake(true);
  useEffect(() => { speaker.ring(scene === 'ringing'); return () => speaker.ring(false); }, [scene]);

  if (line === 'moved') {
    return <Message title={t('cam.moved')} sub={t('cam.moved.sub')} icon="phone" action={{ label: t('cam.moved.here'), run: () => phone.resume() }} />;
  }
  const live = scene === 'call' || scene === 'check' || scene === 'lobby' || scene === 'suspended';
  return (
    <div class={`cam${scene === 'ringing' || asked ? ' calling' : ''}`}>
      <Picture camera={camera} live={live} />
      <Problem camera={camera} retry={() => void phone.openCamera()} />
      {own && scene !== 'ringing' && <own.late.DisputePanel c={own.c} speaker={speaker} pen nowUs={phone.clock.nowUs} />}
      {scene === 'ringing' && s && <Ring phone={phone} s={s} />}
      {scene === 'rating' && s && <Rating phone={phone} mediator={s.rating ? s.rating.mediator : ''} />}
      {live && room && <InCall room={room} s={s} scene={scene} hasMic={!!camera.stream && camera.stream.getAudioTracks().length > 0} />}
      {answer && <section class="answer" aria-live="polite"><h2>{t('cam.answer')}</h2><p>{answer}</p><button type="button" class="mid" onClick={() => { speaker.unlock(); speaker.say(answer, true); }}>{t('phone.read')}</button></section>}
      {!live && scene !== 'ringing' && scene !== 'rating' && <State scene={scene} s={s} line={line} />}
      {!live && scene !== 'ringing' && <Drop phone={phone} onDone={p.onDone} />}
    </div>
  );
}

/** Own picture and level. Nobody else sees it before the person has said yes. */
export function Picture({ camera, live }: { camera: Camera; live: boolean }) {
  const [level, setLevel] = useState(0);
  useEffect(() => {
    setLevel(0);
    return camera.stream ? watchLevel(camera.stream, setLevel) : undefined;
  }, [camera.stream]);
  if (camera.state === 'asking') return <AskCard />;
  if (!camera.stream) return null;
  const video = camera.stream.getVideoTracks().length > 0;
  return (
    <section class={`own${video ? '' : ' blind'}`}>
      {video ? <Player stream={camera.stream} muted mirror label={t('cam.own')} /> : <p><Icon name="camoff" />{t('cam.nocam')}</p>}
      {video && <p class="tag">{t(live ? 'cam.own.live' : 'cam.own')}</p>}
      <div class="level" role="img" aria-label={level > 6 ? t('cam.level') : t('cam.level.quiet')}>
        <Icon name="mic" /><i><b ref={(el) => { if (el) el.style.transform = `scaleX(${Math.max(0.02, level / 100)})`; }} /></i>
      </div>
    </section>
  );
}

/** What the browser is about to ask, drawn as it will look. */
const AskCard = () => (
  <section class="ask">
    <h2>{t('cam.ask')}</h2>
    <div class="fake" aria-hidden="true">
      <p><Icon name="video" />{t('cam.ask.pic')}</p>
      <span>{t('cam.ask.deny')}</span><span class="yes">{t('cam.ask.allow')}</span>
    </div>
    <p class="todo">{t('cam.ask.todo')}</p>
  </section>
);

const problemIcon: Record<MediaProblem, IconName> = { denied: 'lock', missing: 'camoff', busy: 'camoff', insecure: 'lock', unsupported: 'phone', constraints: 'camoff' };

export function Problem({ camera, retry }: { camera: Camera; retry: () => void }) {
  const problem = camera.camProblem || camera.micProblem;
  if (!problem) return null;
  const again = { label: t('cam.retry'), run: () => { speaker.unlock(); retry(); } };
  if (camera.stream) {
    const title = camera.camProblem ? t('cam.nocam') : t('cam.nomic');
    return <Card icon={camera.camProblem ? 'camoff' : 'micoff'} title={title} todo={t(`media.${problem}.todo`)} action={again} />;
  }
  return problem === 'insecure' || problem === 'unsupported'
    ? <Card icon={problemIcon[problem]} title={t(`media.${problem}`)} todo={t(`media.${problem}.todo`)} />
    : <Card icon={problemIcon[problem]} title={t(`media.${problem}`)} todo={t(`media.${problem}.todo`)} action={again} />;
}

function State({ scene, s, line }: { scene: Scene; s: Situation | null; line: 'up' | 'down' }) {
  if (scene === 'loading') return <section class="state"><h2>{t('cam.hear.wait')}</h2></section>;
  const k = s && s.ticket;
  const known = scene === 'adjourned' || scene === 'parked' || scene === 'missed' ? scene : 'idle';
  let title = t(`cam.state.${known}`, { screen: screenWord(s) });
  let sub = t(`cam.state.${known}.sub`, { screen: screenWord(s) });
  if (scene === 'waiting' && k) {
    title = k.ahead > 0 ? t('cam.state.waiting', { n: k.ahead }) : t('cam.state.waiting.next');
    sub = t('cam.state.waiting.sub', { no: k.no });
  }
  return (
    <section class="state" aria-live="polite">
      <h2>{title}</h2>
      {scene === 'waiting' && k && k.lo_min !== null && k.hi_min !== null && <p class="range">{t('cam.state.range', { lo: k.lo_min, hi: k.hi_min })}</p>}
      <p>{sub}</p>
      {line === 'down' && <p class="net">{t('net.reconnecting')}</p>}
    </section>
  );
}

/** useBusy, and the sentence that says why the last press did nothing. */
function useTold(): [boolean, (f: () => Promise<void>) => void, ComponentChildren] {
  const [busy, run] = useBusy();
  const [error, setError] = useState<ApiError | null>(null);
  const told = error && <p class="bad" role="alert">{err(error.code).what}。{err(error.code).todo}。</p>;
  return [busy, (f) => {
    setError(null);
    run(() => f().catch((e: unknown) => setError(asApiError(e))));
  }, told];
}

function Ring({ phone, s }: { phone: PhoneSession; s: Situation }) {
  const [busy, run, told] = useTold();
  useTick(500);
  const ring = s.ticket && s.ticket.ring;
  if (!ring) return null;
  const m = ring.mediator;
  const answer = (take: boolean) => { speaker.unlock(); speaker.ring(false); run(() => phone.answer(take)); };
  return (
    <section class="ring">
      <span class="face" aria-hidden="true">{m.name.slice(-1)}</span>
      <h2>{t('cam.state.ringing', { name: m.name })}</h2>
      <p>{t('cam.state.ringing.sub', { title: m.title, langs: langs(m.langs) })}</p>
      <button type="button" class="take" disabled={busy} onClick={() => answer(true)}><Icon name="call" />{t('cam.take')}</button>
      <button type="button" class="mid" disabled={busy} onClick={() => answer(false)}>{t('cam.later')}</button>
      {told}
      <p class="left">{t('cam.left', { n: secondsLeft(ring.until_at, phone.clock.nowUs()) })}</p>
    </section>
  );
}

function InCall({ room, s, scene, hasMic }: { room: Room; s: Situation | null; scene: Scene; hasMic: boolean }) {
  const v = useStore(room);
  const name = s && s.session ? s.session.mediator.name : '';
  const [gone, setGone] = useState(false);
  const me = v.members.find((m) => m.participant === v.self);
  const tvHere = !me || (me.attach || []).some((a) => a === 'view' || a === 'full');
  useEffect(() => {
    if (tvHere) {
      setGone(false);
      return;
    }
    const id = setTimeout(() => setGone(true), tvGoneAfter);
    return () => clearTimeout(id);
  }, [tvHere]);

  const hear = v.phase ? v.phase.can_hear || [] : [];
  const title = scene === 'lobby' ? t('cam.state.lobby') : scene === 'check' ? t('cam.state.check', { name }) : scene === 'suspended' ? t('cam.state.suspended') : t('cam.state.call', { name });
  const heard = v.muted.mic ? t('cam.muted') : !hasMic ? t('cam.nomic') : hear.length > 0 ? hear.join('、') : scene === 'call' && v.state !== 'live' ? t('cam.hear.wait') : t('cam.hear.none');
  return (
    <section class="incall">
      <h2>{title}</h2>
      {scene === 'lobby' && <p>{t('cam.state.lobby.sub', { name })}</p>}
      {scene === 'suspended' && <p>{t('cam.state.suspended.sub')}</p>}
      {gone && <Card icon="tv" title={t('cam.tvgone', { screen: screenWord(s) })} todo={t('cam.tvgone.sub', { screen: screenWord(s) })} />}
      {v.state === 'replaced' && <Card icon="phone" title={t('cam.moved')} todo={t('cam.moved.sub')} action={{ label: t('cam.moved.here'), run: () => room.resume() }} />}
      {v.code === 'session.full_attached' && <Card icon="tv" title={err(v.code).what} todo={err(v.code).todo} />}
      {v.words && <p class="net" role="status">{t(`net.${v.words}`)}</p>}
      <div class={`hear${hear.length > 0 && !v.muted.mic ? ' on' : ''}`} aria-live="polite"><Icon name="ear" /><div><span>{t('cam.hear')}</span><b>{heard}</b></div></div>
      <button type="button" class={`mute${v.muted.mic ? ' off' : ''}`} aria-pressed={v.muted.mic} onClick={() => room.mute('mic', !v.muted.mic)}>
        <Icon name={v.muted.mic ? 'mic' : 'micoff'} />{t(v.muted.mic ? 'cam.unmute' : 'cam.mute')}
      </button>
      <p class="place">{t('cam.place', { screen: screenWord(s) })}</p>
    </section>
  );
}

function Rating({ phone, mediator }: { phone: PhoneSession; mediator: string }) {
  const [busy, run, told] = useTold();
  const scores = [1, 2, 3, 4, 5] as const;
  return (
    <section class="rate">
      <h2>{t('rate.ask')}</h2>
      <p>{mediator}</p>
      <div>{scores.map((n) => <button type="button" key={n} disabled={busy} onClick={() => run(() => phone.rate(n))}><b>{n}</b>{t(`rate.${n}`)}</button>)}</div>
      <button type="button" class="mid" disabled={busy} onClick={() => run(() => phone.rate(null))}>{t('rate.skip')}</button>
      {told}
    </section>
  );
}

/** Asked twice on the same button: no dialog under a person's finger. */
function Drop({ phone, onDone }: { phone: PhoneSession; onDone: (why: 'ended' | 'dropped') => void }) {
  const [sure, setSure] = useState(false);
  const [busy, run, told] = useTold();
  useEffect(() => {
    if (!sure) return;
    const id = setTimeout(() => setSure(false), 6000);
    return () => clearTimeout(id);
  }, [sure]);
  return (
    <>
      {told}
      <button type="button" class="mid drop" disabled={busy} onClick={() => {
        if (!sure) setSure(true);
        else run(async () => {
          await phone.drop();
          onDone('dropped');
        });
      }}>{t(sure ? 'cam.drop.sure' : 'cam.drop')}</button>
    </>
  );
}
