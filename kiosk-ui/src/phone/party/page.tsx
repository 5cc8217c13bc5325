// The page of a party on his own phone: the room with his own camera (join), and what his dispute asks of him.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { ApiError } from '../../core/api';
import { useStore } from '../../core/hooks.preact';
import { stepOf } from '../../core/dispute';
import type { Room } from '../../core/rtc/room';
import { DisputePanel } from '../../light/dispute/panel';
import { Icon } from '../../light/icons';
import { Player, useWake } from '../../light/ui';
import { Picture, Problem } from '../camera';
import { Card, Message } from '../parts';
import { t as own } from '../t';
import { speaker } from '../voice';
import { t as shared } from '../../light/dispute/t';
import { t } from './t';
import { openParty, type PartyGrant, type PartySession } from './session';

export function PartyPage(p: { grant: PartyGrant; onOver: (e: ApiError) => void }) {
  const over = useRef(p.onOver);
  over.current = p.onOver;
  const party = useMemo(() => openParty(p.grant, (e) => over.current(e)), [p.grant]);
  useEffect(() => {
    if (party.purpose === 'join') void party.openCamera();
    return () => party.close();
  }, [party]);
  const v = useStore(party.dispute);
  const line = useStore(party.line);
  const room = useStore(party.room);
  const step = stepOf(v);
  useWake(true);

  if (line === 'moved') {
    return <Message title={t('join.moved')} sub={own('cam.moved.sub')} icon="phone" action={{ label: own('cam.moved.here'), run: () => party.resume() }} />;
  }
  if (!v.d) return <Message title={v.error ? own('net.reconnecting') : t('join.checking')} busy={!v.error} />;
  return (
    <div class="cam party">
      {party.purpose === 'join' && room && <Meeting party={party} room={room} small={step !== null} />}
      {party.purpose === 'sign' && !step && <section class="state"><h2>{t('s.over')}</h2><p>{t('join.over.sub')}</p></section>}
      {line === 'down' && <p class="net" role="status">{own('net.reconnecting')}</p>}
      <DisputePanel c={party.dispute} speaker={speaker} pen nowUs={party.clock.nowUs} always />
    </div>
  );
}

/** The room of the meeting. While the person reads or answers it is a strip above. */
function Meeting({ party, room, small }: { party: PartySession; room: Room; small: boolean }) {
  const v = useStore(room);
  const camera = useStore(party.camera);
  const { d } = party.dispute.get();
  const [refused, setRefused] = useState(false);
  const zone = v.phase ? v.phase.zone : '';
  const phase = v.phase ? v.phase.phase : '';
  const mine = zone === `check:${v.self}`;
  const others = v.members.filter((m) => m.participant !== v.self && m.present);
  const faces = v.tiles.filter((x) => x.kind === 'cam' && x.participant !== v.self && x.track !== null);
  const streams = Object.keys(v.streams).filter((id) => id !== v.self);
  const hear = v.phase ? v.phase.can_hear || [] : [];
  const live = camera.stream !== null;
  useEffect(() => { speaker.quiet(false); }, []);

  useEffect(() => {
    const px = window.devicePixelRatio || 1;
    room.want(faces.map((x) => ({ track: `${x.participant}:cam`, w: Math.round(360 * px), h: Math.round(270 * px), visible: true })));
  }, [faces.map((x) => x.participant).join(), v.state]);

  if (v.state === 'removed' || v.state === 'closed' || v.code === 'rtc.no_room' || v.code === 'session.none' || v.code === 'session.state') {
    return small ? null : <Message title={t('join.over')} sub={t('join.over.sub')} icon="check" />;
  }
  const title = phase === 'suspended' ? t('join.suspended') : mine ? t('join.check') : phase === 'joint' ? t('join.call') : phase === 'checking' ? shared('check.other') : t('join.lobby');
  const sub = phase === 'suspended' ? t('join.suspended.sub') : mine ? shared('check.you.do') : phase === 'joint' ? '' : t('join.lobby.sub');
  const name = (id: string): string => {
    const m = v.members.filter((x) => x.participant === id)[0];
    return m ? m.name : d ? d.mediator : '';
  };
  return (
    <section class={`meeting${small ? ' small' : ''}`}>
      <div class="faces">
        {streams.map((id) => (
          <div key={id} class={`face-tile${faces.some((x) => x.participant === id) ? '' : ' blind'}`}>
            <Player stream={v.streams[id] || null} label={name(id)} onRefused={() => setRefused(true)} />
            <p>{name(id)}</p>
          </div>
        ))}
        {streams.length === 0 && <div class="face-tile blind"><p>{others.length > 0 ? others.map((m) => m.name).join('、') : t('join.nobody')}</p></div>}
        {small && camera.stream && <div class="face-tile me"><Player stream={camera.stream} muted mirror label={own('cam.own')} /></div>}
      </div>
      {refused && <button type="button" class="big" onClick={() => { speaker.unlock(); setRefused(false); document.querySelectorAll('video').forEach((el) => { void el.play(); }); }}>{own('call.sound')}</button>}
      <h2>{title}</h2>
      {sub && <p class="lead">{sub}</p>}
      {v.state === 'replaced' && <Card icon="phone" title={t('join.moved')} todo={own('cam.moved.sub')} action={{ label: own('cam.moved.here'), run: () => room.resume() }} />}
      {v.words && <p class="net" role="status">{own(`net.${v.words}`)}</p>}
      {!small && <Picture camera={camera} live={live} />}
      <Problem camera={camera} retry={() => void party.openCamera()} />
      <div class={`hear${hear.length > 0 && !v.muted.mic ? ' on' : ''}`} aria-live="polite">
        <Icon name="ear" /><div><span>{own('cam.hear')}</span><b>{v.muted.mic ? own('cam.muted') : hear.length > 0 ? hear.join('、') : own('cam.hear.none')}</b></div>
      </div>
      <button type="button" class={`mute${v.muted.mic ? ' off' : ''}`} aria-pressed={v.muted.mic} onClick={() => room.mute('mic', !v.muted.mic)}>
        <Icon name={v.muted.mic ? 'mic' : 'micoff'} />{own(v.muted.mic ? 'cam.unmute' : 'cam.mute')}
      </button>
    </section>
  );
}
