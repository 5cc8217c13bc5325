// The call: the other side large, one's own camera, who hears me, the caption line, four keys (ui.md §5.4). The bar fades
// after 6 s; its place, like every other place here, never moves.
import { useEffect, useRef, useState } from 'preact/hooks';
import { minuteSecond, secondsLeft } from '../../core/clock';
import { useStore, useTick } from '../../core/hooks.preact';
import { play } from '../../core/rtc/media';
import type { RoomView } from '../../core/rtc/room';
import type { Situation } from '../../core/types';
import { initial } from '../ring/ring';
import { useCapture } from '../phone/phone';
import { Icon } from '../ui/icons';
import { icons } from '../ui/icons-late';
import { Button, Net, Press, Qr, Screen, useTv, Veil } from '../ui/screen';
import { mayWithdraw } from '../../core/dispute';
import { t as w } from '../../light/dispute/t';
import { t } from '../words-late';
import { caption, hearers, ownCard, phoneUp, remotes, silenced, type Own, type Remote } from './view';

type Session = NonNullable<Situation['session']>;

export const EMPTY: RoomView = {
  state: 'opening', code: '', words: '', net: 'good', phase: null, members: [], tiles: [], streams: {}, muted: { mic: false, cam: false },
  publishing: false, audioOnly: false, levels: {}, captions: [], self: '', profile: null,
};

export function Call({ s, session }: { s: Situation; session: Session }) {
  const tv = useTv();
  const line = useStore(tv.line);
  const local = useStore(tv.local);
  const bar = useStore(tv.bar);
  const volume = useStore(tv.volume);
  const began = useRef(Date.now());
  const seenLive = useRef(false);
  const [tuning, setTuning] = useState(false);
  useTick(1000);

  const v = line.room || EMPTY;
  const live = phoneUp(v, s.capture.live);
  if (live) seenLive.current = true;
  const others = remotes(v);
  const main = others[0] || null;
  const cap = caption(v, Date.now());
  const muted = silenced(v);
  const own = ownCard({
    attach: line.attach, paired: s.capture.paired, live, seenLive: seenLive.current, waitedMs: Date.now() - began.current, stream: line.stream !== null,
    picture: line.stream !== null && line.stream.getVideoTracks().length > 0, problem: line.camProblem !== null,
  });
  const speaks = own === 'phone' || own === 'camera' || own === 'sound-only';
  const { thing: held } = useStore(tv.matter); // what the person went away from
  const { d } = useStore(tv.matter.c);
  const check = session.kind === 'mediation' && session.state === 'checking';
  const mine = check && v.phase !== null && v.phase.zone === `check:${v.self}`;
  const trouble = v.words ? t(`net.${v.words}`) : v.net === 'weak' ? t('net.weak') : local.line !== 'up' ? t('net.reconnecting') : '';

  useEffect(() => {
    const room = tv.line.room();
    if (!room || !main) return;
    const px = window.devicePixelRatio * (document.documentElement.clientWidth / 120);
    room.want(others.slice(0, 2).map((r, i) => ({
      track: `${r.participant}:cam`, w: Math.round((i ? 25.5 : 81) * px), h: Math.round((i ? 13.4 : 45.6) * px), visible: true,
    })));
  }, [others.map((r) => r.participant).join(), v.state]);

  return (
    <Screen name="call" say={t('call.say')} plain>
      <section class={check ? 'stage check' : 'stage'}>
        <Picture remote={main} fallback={session.mediator.name} volume={volume / 8} note={check && !mine ? w('check.other.do') : v.state !== 'live' || !main ? t('call.connecting') : t('call.nopicture')} />
        {check && <div class="m-check"><b>{w(mine ? 'check.you' : v.phase ? 'check.other' : 'check.lobby')}</b>{w(mine ? 'check.you.do' : v.phase ? 'check.other.do' : 'check.lobby.do')}</div>}
        <div class="phase">{t('call.phase.now')}<b>{phaseName(v, session)}</b></div>
        {trouble && <div class="trouble" role="status"><i class="net weak" />{trouble}</div>}
        <div class="tag">
          <div>{main ? main.name : session.mediator.name}{main && main.talking && <small>{t('call.talking')}</small>}</div>
          <Level level={main ? v.levels[main.participant] || 0 : 0} />
        </div>
      </section>
      <div class={others[1] ? 'rail' : 'rail roomy'}>
        <OwnCard own={own} stream={line.stream} muted={muted} level={v.levels[v.self] || 0} problem={line.camProblem} />
        {others[1] ? <Small remote={others[1]} volume={volume / 8} /> : null}
        <Hear v={v} muted={muted} speaks={speaks} />
      </div>
      <div class="cap" aria-live="polite">
        {cap ? <><b>{cap.name}</b><div>{cap.text}</div></> : <><b class="quiet">{t('call.cap.note')}</b><div class="quiet">{t('call.cap.empty')}</div></>}
      </div>
      <div class={`bar${bar || held ? '' : ' faded'}${held ? ' five' : ''}`}>
        {speaks
          ? <Button id="mute" first icon={muted ? icons.micoff : icons.mic} class={muted ? 'alarm' : ''} word={muted ? t('call.unmute') : t('call.mute')} onPress={() => { const r = tv.line.room(); if (r) r.mute('mic', !muted); }} />
          : <Button id="mute" first icon={icons.phonecam} word={t('call.phone')} onPress={() => tv.openPhone()} />}
        <Volume value={volume} onFocus={setTuning} />
        {held && <Button id="matter" icon={icons.check} word={held.kind === 'answer' ? w('answer.open') : d && d.asks && d.asks.length > 0 ? w('back.ask') : held.key === 'done' || held.key === 'closed' ? w('back.open') : w('back.paper')} onPress={() => tv.matter.open()} />}
        <Button id="leave" final icon={icons.leave} class="leave" word={t('call.leave')} onPress={() => tv.back()} />
        <Timer began={began.current} weak={trouble !== ''} tuning={tuning} />
      </div>
      {others.slice(2).map((r) => <Sound key={r.participant} stream={r.stream} volume={volume / 8} />)}
    </Screen>
  );
}

function phaseName(v: RoomView, session: Session): string {
  const phase = v.phase ? v.phase.phase : session.state;
  return phase === 'joint' ? t('call.phase.joint') : phase === 'checking' ? t('call.phase.checking') : t('call.phase.lobby');
}

/** usePlayer ties a stream to a media element that stays where it is; old WebViews restart one that moves. */
export function usePlayer<E extends HTMLMediaElement>(stream: MediaStream | null, volume: number) {
  const ref = useRef<E>(null);
  const [blocked, setBlocked] = useState(false);
  useEffect(() => {
    const el = ref.current!;
    let over = false;
    const go = (): void => void play(el, stream).then((ok) => { if (!over) setBlocked(!ok); });
    go();
    document.addEventListener('keyup', go);
    return () => {
      over = true;
      document.removeEventListener('keyup', go);
    };
  }, [stream]);
  useEffect(() => { ref.current!.volume = volume; }, [volume]);
  useEffect(() => () => { if (ref.current) ref.current.srcObject = null; }, []);
  return { ref, blocked };
}

function Picture(p: { remote: Remote | null; fallback: string; volume: number; note: string }) {
  const { ref, blocked } = usePlayer<HTMLVideoElement>(p.remote ? p.remote.stream : null, p.volume);
  const picture = p.remote !== null && p.remote.picture;
  const name = p.remote ? p.remote.name : p.fallback;
  return (
    <>
      <video ref={ref} autoplay playsInline class={picture ? '' : 'dark'} aria-label={name} />
      {!picture && <div class="nobody"><div class="face">{initial(name)}</div><p>{p.note}</p></div>}
      {blocked && <div class="press-sound">{t('call.sound.press')}</div>}
    </>
  );
}

function Small(p: { remote: Remote; volume: number }) {
  const { ref } = usePlayer<HTMLVideoElement>(p.remote.stream, p.volume);
  return <div class="small other"><video ref={ref} autoplay playsInline aria-label={p.remote.name} /><p>{p.remote.name}</p></div>;
}

export function Sound(p: { stream: MediaStream | null; volume: number }) {
  const { ref } = usePlayer<HTMLAudioElement>(p.stream, p.volume);
  return <audio ref={ref} autoplay />;
}

function OwnCard(p: { own: Own; stream: MediaStream | null; muted: boolean; level: number; problem: string | null }) {
  const { ref } = usePlayer<HTMLVideoElement>(p.own === 'camera' ? p.stream : null, 0);
  const ask = p.own === 'none' || p.own === 'broken' || p.own === 'phone-lost';
  const { link } = useCapture(ask);
  return (
    <div class={`small own ${ask ? 'asks' : ''} ${p.own === 'phone-lost' ? 'lost' : ''}`}>
      <video ref={ref} autoplay playsInline muted class={p.own === 'camera' ? 'mirror' : 'gone'} aria-hidden="true" />
      {p.own === 'camera' && <p>{p.muted ? t('call.self.tv.muted') : t('call.self.tv')}</p>}
      {p.own === 'phone' && <div class="card"><Icon d={icons.phonecam} /><b>{p.muted ? t('call.self.phone.muted') : t('call.self.phone')}</b><Level level={p.muted ? 0 : p.level} /></div>}
      {(p.own === 'phone-wait' || p.own === 'camera-opening' || p.own === 'sound-only') && (
        <div class="card">
          <Icon d={p.own === 'phone-wait' ? icons.phonecam : p.own === 'sound-only' ? icons.mic : icons.video} />
          <b class="wide">{p.own === 'phone-wait' ? t('call.self.wait') : p.own === 'sound-only' ? t('call.cam.off') : t('call.self.opening')}</b>
        </div>
      )}
      {ask && (
        <div class="scan">
          {link ? <Qr svg={link.qr_svg} size="qr11" alt={t('wait.cam.qr')} /> : <div class="qrimg qr11 empty" />}
          <div>
            <b>{p.own === 'phone-lost' ? t('call.self.lost') : p.own === 'broken' ? t(brokenKey(p.problem)) : t('call.self.none')}</b>
            <span>{p.own === 'phone-lost' ? t('call.self.lost.do') : p.own === 'broken' ? t('call.cam.do') : t('call.self.none.do')}</span>
          </div>
        </div>
      )}
    </div>
  );
}

const brokenKey = (problem: string | null) => (problem === 'denied' || problem === 'insecure' ? 'call.cam.denied' : problem === 'missing' ? 'call.cam.missing' : 'call.cam.busy');

/** Hear lists by name who hears this person: from the room's live gates, never guessed. */
function Hear({ v, muted, speaks }: { v: RoomView; muted: boolean; speaks: boolean }) {
  const names = muted || !speaks ? [] : hearers(v);
  return (
    <div class="hear">
      <h2>{t('call.hear.title')}</h2>
      {names.map((n) => <p key={n}><Icon d={icons.ear} />{n}</p>)}
      {names.length === 0 && <p class="no"><Icon d={icons.micoff} />{muted && speaks ? t('call.hear.muted') : t('call.hear.none')}</p>}
      <hr />
      <p class="off"><Icon d={v.phase && v.phase.recording ? icons.rec : icons.norec} />{v.phase && v.phase.recording ? t('call.rec.on') : t('call.rec.none')}</p>
    </div>
  );
}

export function Level({ level }: { level: number }) {
  const heights = [0.45, 0.9, 0.65, 0.3];
  return <div class="level" aria-hidden="true">{heights.map((h, i) => <i key={i} style={{ transform: `scaleY(${Math.max(0.12, Math.min(1, (h * level) / 40)).toFixed(2)})` }} />)}</div>;
}

/** Volume takes left and right for itself while there is something to change; down goes on to 离开. */
function Volume({ value, onFocus }: { value: number; onFocus: (on: boolean) => void }) {
  const tv = useTv();
  return (
    <Press
      id="volume" class="btn vol" label={`${t('call.volume')} ${value}`} onPress={() => tv.setVolume(value === 8 ? 2 : value + 1)}
      onFocus={onFocus}
      onArrow={(dir) => {
        if (dir === 'd') return tv.pad.focus('matter') || tv.pad.focus('leave');
        if (dir === 'u') return tv.pad.focus('mute');
        const next = value + (dir === 'r' ? 1 : -1);
        if (next < 0 || next > 8) return false;
        tv.setVolume(next);
        return true;
      }}
    >
      <Icon d={icons.speak} />{t('call.volume')}
      <div class="steps8" aria-hidden="true">{[1, 2, 3, 4, 5, 6, 7, 8].map((i) => <i key={i} class={i <= value ? 'y' : ''} />)}</div>
    </Press>
  );
}

function Timer({ began, weak, tuning }: { began: number; weak: boolean; tuning: boolean }) {
  return (
    <div class="time">
      {minuteSecond((Date.now() - began) * 1000)}
      <small>{tuning ? t('call.volume.how') : <>{weak ? <><i class="net weak" />{t('tv.net.weak')}　</> : <Net />}{t('call.back_asks')}</>}</small>
    </div>
  );
}

export function Leave() {
  const tv = useTv();
  const { d } = useStore(tv.matter.c);
  return (
    <Veil name="leave" label={t('leave.title')} say={t('leave.title')}>
      <div class="ask">
        <h2>{t('leave.title')}</h2>
        <p>{t('leave.sub')}</p>
        <div class="two">
          <Button id="stay" first word={t('leave.no')} onPress={() => tv.close()} />
          <Button id="go" final word={t('leave.yes')} onPress={() => tv.leave()} />
        </div>
        {mayWithdraw(d) && <div class="one"><Button id="quit" final word={w('quit')} say={w('quit')} onPress={() => tv.ask({ name: 'withdraw' })} /></div>}
      </div>
    </Veil>
  );
}

/** Suspended: the other side is gone for a moment; the session waits by itself. */
export function Suspended({ session }: { session: Session }) {
  const tv = useTv();
  useTick(1000);
  const until = session.suspended_until_at;
  const minutes = until === null ? 0 : Math.ceil(secondsLeft(until, tv.term.clock.nowUs()) / 60);
  return (
    <Screen
      name="suspended" plain say={t('suspended.say')} title={t('suspended.title')} place={session.mediator.name}
      keys={[['key.back', 'key.do.leave'], ['key.zero', 'key.do.help']]}
    >
      <div class="calm">
        <div class="face">{initial(session.mediator.name)}</div>
        <p>{minutes > 0 ? t('suspended.left', { n: minutes }) : t('suspended.keep')}</p>
        <p class="soft">{t('suspended.do')}</p>
        <div class="tel">{t('tel.line')}</div>
        <Button id="leave" word={t('call.leave')} onPress={() => tv.back()} />
      </div>
    </Screen>
  );
}
