import { Button, Popconfirm } from 'antd';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { secondsLeft } from '../core/clock';
import { useTick } from '../core/hooks.react';
import { watchLevel } from '../core/rtc/media';
import type { Room, RoomView } from '../core/rtc/room';
import type { Desk } from '../core/types';
import { placeLine, stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import { useOf, useView, type Call } from './call';
import { camCard, type Camera } from './camera';
import { Captions } from './captions';
import type { Work } from './desk';
import type { Matter } from './dispute';
import { checkedIn, endStop } from './matter';
import { hearing, inCall, others, partOf, sceneOf, type Member, type Session } from './scene';
import { t, word } from './t';
import { OwnTile, partNote, Tiles } from './tiles';
import type { Dispute } from './types';

type Props = { work: Work; desk: Desk; call: Call; camera: Camera; trying: boolean; setTrying: (on: boolean) => void; toggleMic: () => void; m: Matter; onUnsent: () => void };

/** The middle pane: who is seen, who hears whom, and the keys of the call. */
export function RoomPane(p: Props) {
  useTick(500);
  const { desk, call, work } = p;
  const scene = sceneOf(desk);
  const s = desk.session;
  const view = useView(call.room);
  return (
    <section className="card">
      <h2>
        {p.m.dispute === null || s === null ? t('room.title') : ''}
        {s !== null && scene === 'live' && <span className="tag g num">● {t('room.connected', { time: stopwatch((work.clock.nowUs() - s.started_at) / 1e6) })}</span>}
        {s?.state === 'checking' && p.m.dispute === null && <span className="tag t">{word('sstate', s.state)}</span>}
        {s !== null && <span className={view?.phase?.recording ? 'tag r' : 'tag'}>{view?.phase?.recording ? t('room.rec') : t('room.norec')}</span>}
        <span className="grow" />
        {s !== null && scene === 'live' && p.m.dispute !== null && <Phases {...p} view={view} d={p.m.dispute} s={s} />}
        {inCall(scene) && view?.state === 'live' && <Net net={view.net} />}
      </h2>
      <div className="room">{s !== null && scene !== 'idle' && scene !== 'wrap' ? <InSession {...p} view={view} s={s} /> : <Quiet {...p} wrap={scene === 'wrap'} />}</div>
    </section>
  );
}

function Net({ net }: { net: RoomView['net'] }) {
  if (net === 'good') return <span className="tag g">▮▮▮ {t('room.net.good')}</span>;
  return net === 'fair' ? <span className="tag y">▮▮▯ {t('room.net.fair')}</span> : <span className="tag r">▮▯▯ {t('room.net.poor')}</span>;
}

function InSession({ work, desk, call, view, camera, s, toggleMic, m, onUnsent }: Props & { view: RoomView | null; s: Session }) {
  const scene = sceneOf(desk);
  const { room } = call;
  const muted = view?.muted ?? { mic: false, cam: false };
  const live = view?.members ?? [];
  const named = names(m.dispute);
  const people: Member[] = (live.length > 0 ? live.map((x) => ({ ...x, attach: x.attach ?? [] })) : s.members).map((x) => ({ ...x, name: named(x.participant, x.name) }));
  const rest = others({ ...s, members: people });
  const left = s.until_at === null ? 0 : secondsLeft(s.until_at, work.clock.nowUs());
  const noteOf = (x: Member): string => {
    const onPhone = m.dispute?.parties.some((p) => p.participant === x.participant && p.channel === 'party') ?? false;
    if (scene === 'ringing') return t('part.ring.note', { device: word('device', s.ticket.terminal) });
    if (scene === 'live' && partOf(x) === 'away') return t('part.lost.note');
    return onPhone && partOf(x) === 'full' ? t('part.party.note') : partNote(x, onPhone ? 'app' : s.ticket.terminal, s.ticket.capture);
  };
  const alone = checkedIn(view?.phase?.zone ?? ''); // with whom the mediator is, '' when with all
  const waits = (x: Member) => scene === 'live' && alone !== '' && x.participant !== alone;
  const stop = endStop(m.dispute);
  const silenced = new Set(live.filter((m) => m.mic_muted).map((m) => m.participant));
  return (
    <>
      <Tiles members={rest.length > 0 ? rest : [ghost(s)]} room={room} view={view} noteOf={noteOf} waits={waits}>
        {over(s, scene, left, view)}
      </Tiles>
      <HearLine view={view} micMuted={muted.mic} open={scene === 'live'} dispute={m.dispute} />
      <div className="trio">
        <OwnTile stream={camera.stream} muted={muted} />
        {camCard(camera) === null ? (
          <ul className="people" aria-label={t('members.title')}>
            {rest.map((m) => {
              const off = silenced.has(m.participant);
              return (
                <li key={m.participant}>
                  <Icon name={partOf(m) === 'both' ? 'tv' : 'user'} />
                  <span className="who"><b>{m.name}{partOf(m) === 'both' && <span className="tag g">{t('part.both')}</span>}</b><small>{waits(m) && partOf(m) !== 'away' ? t('part.waits') : noteOf(m)}</small></span>
                  {scene === 'live' && !waits(m) && partOf(m) !== 'listens' && partOf(m) !== 'away' && <Level room={room} participant={m.participant} />}
                  {scene !== 'ringing' && partOf(m) === 'listens' && <span className="tag y">{t('part.listens')}</span>}
                  {scene === 'live' && !waits(m) && partOf(m) !== 'away' && partOf(m) !== 'listens' && (
                    <Button size="small" disabled={work.busy === 'mute'} onClick={() => void work.control({ op: 'mute', args: { participant: m.participant, kind: 'mic', on: !off } })}>
                      {off ? t('members.unmute') : t('members.mute')}
                    </Button>
                  )}
                </li>
              );
            })}
          </ul>
        ) : (
          <CameraCard camera={camera} />
        )}
      </div>
      <Captions room={room} view={view} nameOf={named} onUnsent={onUnsent} record={m.dispute} onRecord={(kind, text) => m.run('say', '/statements', { kind, text })} />
      <div className="ctl">
        <Button onClick={toggleMic} aria-pressed={muted.mic} className={muted.mic ? 'muted' : ''}><Icon name={muted.mic ? 'micOff' : 'mic'} />{muted.mic ? t('ctl.unmute') : t('ctl.mute')}</Button>
        <Button onClick={() => room?.mute('cam', !muted.cam)} aria-pressed={muted.cam} className={muted.cam ? 'muted' : ''}>
          <Icon name={muted.cam ? 'videoOff' : 'video'} />{muted.cam ? t('ctl.cam_on') : t('ctl.cam_off')}
        </Button>
        {scene === 'lobby' && s.kind === 'mediation' && (
          <Button type="primary" loading={work.busy === 'admit'} onClick={() => void work.control({ op: 'admit' })}><Icon name="door" />{t('room.admit')}</Button>
        )}
        <span className="grow" />
        <Popconfirm
          title={t('ctl.end.sure')}
          description={<div className="endnote">{stop === '' ? t('ctl.end.note') : t(`ctl.end.${stop}`)}</div>}
          okText={t('ctl.end.yes')}
          cancelText={t('ctl.end.no')}
          okButtonProps={{ danger: true, disabled: stop !== '' }}
          onConfirm={() => void work.control({ op: 'end' })}
        >
          <Button danger loading={work.busy === 'end'}><Icon name="leave" />{scene === 'ringing' ? t('ctl.stop_ring') : t('ctl.end')}</Button>
        </Popconfirm>
      </div>
    </>
  );
}

/** How loud somebody is. */
function Level({ room, participant }: { room: Room | null; participant: string }) {
  const level = useOf(room, (v) => v.levels[participant] ?? 0, 0);
  return <span className="lv" role="meter" aria-label={t('members.level')} aria-valuemin={0} aria-valuemax={100} aria-valuenow={level}><i style={{ transform: `scaleX(${Math.min(1, level / 60)})` }} /></span>;
}

/** People's own names where the dispute knows them; the room itself only says 申请人 and 被申请人. */
function names(d: Dispute | null): (participant: string, name: string) => string {
  return (participant, name) => d?.parties.find((p) => p.participant === participant && participant !== '')?.name ?? name;
}

/** With whom the mediator is now, and the way to the next one; the server's zone decides what is lit. */
function Phases({ work, view, s, d }: Props & { view: RoomView | null; s: Session; d: Dispute }) {
  const at = checkedIn(view?.phase?.zone ?? '');
  const joint = s.state === 'joint';
  const checking = s.state === 'checking';
  const stop = d.blockers.length > 0 ? t('joint.wait', { n: d.blockers.length }) : '';
  return (
    <div className="phases" role="group" aria-label={t('phase.title')}>
      {d.parties.filter((p) => p.withdrawn_at === null).map((p) => (
        <button key={p.id} type="button" aria-pressed={checking && at === p.participant} disabled={!checking || !p.here || work.busy !== ''} title={checking && !p.here ? t('step.away') : undefined} onClick={() => at !== p.participant && void work.control({ op: 'check', args: { participant: p.participant } })}>
          {t('phase.check', { name: p.name })}
        </button>
      ))}
      <button type="button" aria-pressed={joint} disabled={joint ? false : !checking || stop !== '' || work.busy !== ''} title={joint ? undefined : stop} onClick={() => !joint && void work.control({ op: 'joint' })}>{t('phase.joint')}</button>
    </div>
  );
}

/** Stands in for a citizen whom the room does not list yet. */
const ghost = (s: Session): Member => ({ participant: '', name: t('role.citizen'), role: 'citizen', attach: s.ticket.capture ? ['capture'] : [], present: false });

/** What stands over the pictures while the call waits for something, worst news first. */
function over(s: Session, scene: string, left: number, view: RoomView | null): ReactNode {
  if (scene === 'ringing') {
    const missed = s.ticket.state === 'missed';
    return (
      <div className="wait">
        <span className={missed ? 'bell' : 'bell on'}><Icon name="bell" size={44} /></span>
        <b>{missed ? t('room.missed') : t('room.ringing')}</b>
        <p>{missed ? t('room.missed.note') : t('room.ringing.note', { name: `${s.ticket.no} ${word('cat', s.ticket.category)}`, place: placeLine(s.ticket.place) })}</p>
        {!missed && left > 0 && <span className="left num">{t('room.ringing.left', { n: left })}</span>}
      </div>
    );
  }
  if (s.left) return <Wait title={t('room.left')} note={t('room.left.note')} />;
  if (scene === 'adjourned') return <Wait title={t('room.adjourned')} note={t('room.adjourned.note')} />;
  if (scene === 'suspended') return <Wait title={t('room.suspended')} note={left > 0 ? t('room.suspended.left', { time: stopwatch(left) }) : t('room.suspended.any')} />;
  if (view?.state === 'replaced') return <Wait title={t('room.elsewhere')} note={t('other.text')} />;
  if (view?.state === 'failed') return <Wait title={t('room.closed')} note={word('err', view.code, '').split('|')[1] ?? ''} />;
  if (scene === 'lobby') return <Wait title={t('room.lobby')} note={t('room.lobby.note')} icon="door" />;
  if (view === null || view.state === 'opening') return <Wait title={t('room.joining')} note="" />;
  if (view.words !== '') return <div className="strip" role="status"><Icon name="warn" size={16} />{word('net', view.words)}</div>;
  return null;
}

function Wait({ title, note, icon = 'clock' }: { title: string; note: string; icon?: 'clock' | 'door' }) {
  return (
    <div className="wait">
      <span className="bell"><Icon name={icon} size={44} /></span>
      <b>{title}</b>
      {note !== '' && <p>{note}</p>}
    </div>
  );
}

/** Who hears whom now, by name, from the room's live gates: never from what was pressed. */
function HearLine({ view, micMuted, open, dispute }: { view: RoomView | null; micMuted: boolean; open: boolean; dispute: Dispute | null }) {
  if (open && view?.state === 'broken') return <div className="hearline off" role="status"><Icon name="ear" />{t('room.hear.unsure')}</div>;
  if (!open || view === null || view.phase === null || view.state !== 'live') return <div className="hearline off" role="status"><Icon name="ear" />{t('room.hear.wait')}</div>;
  const sounding = view.tiles.filter((x) => x.kind === 'mic' && x.live && !x.muted && x.participant !== view.self).map((x) => x.name);
  const own = (name: string) => ownName(dispute, view, name);
  const h = hearing(micMuted ? [] : (view.phase.can_hear ?? []), sounding);
  const names = (list: string[]) => list.map(own).join(' · ');
  const all = h.hearsMe.length === 0 && h.heard.length === 0;
  if (h.mutual.length > 0 && all) {
    return <div className="hearline" role="status"><Icon name="ear" /><span>{t('room.hear')}<b>{names([t('cap.you'), ...h.mutual])}</b>。{t('room.hear.only')}</span></div>;
  }
  return (
    <div className="hearline no" role="status">
      <Icon name="micOff" />
      <span>
        {micMuted && t('room.hear.muted')}
        {h.mutual.length > 0 && <>{t('room.hear')}<b>{names([t('cap.you'), ...h.mutual])}</b>。</>}
        {h.hearsMe.length > 0 && t('room.hear.oneway', { who: names(h.hearsMe) })}
        {h.heard.length > 0 && !micMuted && t('room.hear.deaf', { who: names(h.heard) })}
        {all && h.mutual.length === 0 && !micMuted && t('room.hear.none')}
      </span>
    </div>
  );
}

/** The name behind a name of the room, when exactly one person there bears it. */
function ownName(d: Dispute | null, view: RoomView, name: string): string {
  const of = view.members.filter((x) => x.name === name);
  return of.length === 1 && of[0] !== undefined ? names(d)(of[0].participant, name) : name;
}

function CameraCard({ camera }: { camera: Camera }) {
  const card = camCard(camera);
  if (card === null) return null;
  return (
    <div className="camcard" role="alert">
      <Icon name="videoOff" size={26} />
      <span><b>{t(card)}</b>{t(`${card}.do`)}</span>
      <Button size="small" onClick={camera.retry}>{t('again')}</Button>
    </div>
  );
}

/** Between calls: a look at one's own picture and sound before the next one rings. */
function Quiet({ desk, camera, trying, setTrying, wrap }: Props & { wrap: boolean }) {
  const ref = useRef<HTMLVideoElement>(null);
  const [level, setLevel] = useState(0);
  useEffect(() => {
    if (ref.current) ref.current.srcObject = camera.stream;
    if (camera.stream === null) return;
    return watchLevel(camera.stream, setLevel);
  }, [camera.stream, trying]);
  return (
    <>
      <div className="quiet">
        {!(trying && !wrap) && <Hills />}
        {trying && !wrap ? (
          <>
            <video ref={ref} autoPlay playsInline muted className="self" />
            <div className="level" role="meter" aria-valuenow={level} aria-valuemin={0} aria-valuemax={100} aria-label={t('room.try.level')}>
              <span><i style={{ transform: `scaleX(${Math.min(1, level / 40)})` }} /></span>
              {level > 8 ? t('room.try.ok') : t('room.try.level')}
            </div>
          </>
        ) : (
          <div className="wait">
            <span className="bell"><Icon name={wrap ? 'pen' : 'video'} size={44} /></span>
            <b>{wrap ? t('room.wrap') : t('room.idle')}</b>
            <p>{wrap ? t('room.wrap.note') : desk.seat.state === 'ready' ? t('room.idle.ready') : t('room.idle.away')}</p>
          </div>
        )}
      </div>
      {trying && !wrap && <CameraCard camera={camera} />}
      {!wrap && (
        <div className="ctl plain">
          <Button onClick={() => setTrying(!trying)}><Icon name={trying ? 'videoOff' : 'video'} />{trying ? t('room.try.stop') : t('room.try')}</Button>
          <span className="grow" />
          <span className="dim">{t('room.headset')}</span>
        </div>
      )}
    </>
  );
}

/** Evening on the grassland, the picture behind an idle desk. */
function Hills() {
  return (
    <svg className="hills" viewBox="0 0 656 240" preserveAspectRatio="xMidYMax slice" aria-hidden="true">
      <circle cx="520" cy="92" r="26" fill="#f5b841" opacity=".85" />
      <path d="M0 150 C90 110 170 120 250 146 S430 176 520 140 S620 118 656 126 V240 H0z" fill="#17424e" />
      <path d="M0 184 C120 150 220 160 320 186 S520 214 656 172 V240 H0z" fill="#123640" />
      <path d="M0 214 C140 196 300 200 420 216 S600 228 656 212 V240 H0z" fill="#0d2832" />
    </svg>
  );
}
