import { useEffect, useRef, useState, type ReactNode } from 'react';
import { play } from '../core/rtc/media';
import type { Room, RoomView } from '../core/rtc/room';
import { Icon } from '../staff/icons';
import { useOf } from './call';
import { partOf, tileGrid, type Member } from './scene';
import { t, word } from './t';

/** Whose television and phone it is: "电视在看，手机在拍". */
export function partNote(m: Pick<Member, 'attach' | 'present'>, terminal: string, hadPhone: boolean): string {
  const part = partOf(m);
  const key = part === 'listens' && !hadPhone ? 'nophone' : part;
  return word('part', `${key}.note`).replace('{device}', word('device', terminal));
}

/** One remote person. The video element stays the same for the whole call; what hides it is drawn over it. */
function Person({ member, room, view, note, waits, onBlocked }: { member: Member; room: Room | null; view: RoomView | null; note: string; waits: boolean; onBlocked: () => void }) {
  const ref = useRef<HTMLVideoElement>(null);
  const stream = view?.streams[member.participant] ?? null;
  useEffect(() => {
    const el = ref.current;
    if (el === null) return;
    void play(el, stream).then((ok) => {
      if (!ok) onBlocked();
    });
  }, [stream, onBlocked]);
  const of = (kind: 'cam' | 'mic') => view?.tiles.find((x) => x.participant === member.participant && x.kind === kind);
  const cam = of('cam');
  const mic = of('mic');
  const seen = cam !== undefined && cam.live && !cam.muted && cam.track !== null && !view?.audioOnly;
  const heard = mic !== undefined && mic.live && !mic.muted && mic.track !== null;
  const loud = useOf(room, (v) => (v.levels[member.participant] ?? 0) > 12, false);
  const talking = heard && loud;
  const part = partOf(member);
  return (
    <figure className={talking ? 'v talk' : 'v'}>
      <video ref={ref} autoPlay playsInline aria-label={member.name} />
      {!seen && (
        <div className="noface">
          <span>{Array.from(member.name).at(-1)}</span>
          <p>{part === 'away' ? note : waits ? t('part.waits') : heard ? t('room.nocam.hear') : t('room.nocam')}</p>
        </div>
      )}
      <div className="st">
        {talking && <span className="tag t">{t('room.talking')}</span>}
        {part === 'listens' && <span className="tag y"><Icon name="micOff" size={14} />{t('part.listens')}</span>}
        {mic?.muted && <span className="tag y"><Icon name="micOff" size={14} />{t('room.muted')}</span>}
      </div>
      <figcaption>{member.name} · {note}</figcaption>
    </figure>
  );
}

/** The pictures of everybody else, large; `children` stands over them when the call waits for something. */
export function Tiles({ members, room, view, noteOf, waits, children }: { members: Member[]; room: Room | null; view: RoomView | null; noteOf: (m: Member) => string; waits: (m: Member) => boolean; children?: ReactNode }) {
  const box = useRef<HTMLDivElement>(null);
  const [blocked, setBlocked] = useState(false);
  const onBlocked = useRef(() => setBlocked(true)).current;
  const { cols, rows } = tileGrid(members.length);
  const open = () => {
    setBlocked(false);
    for (const el of box.current?.querySelectorAll('video') ?? []) void el.play().catch(() => setBlocked(true));
  };
  return (
    <div className="vids" ref={box} style={{ gridTemplateColumns: `repeat(${cols}, 1fr)`, gridTemplateRows: `repeat(${rows}, 1fr)` }}>
      {members.map((m) => <Person key={m.participant} member={m} room={room} view={view} note={noteOf(m)} waits={waits(m)} onBlocked={onBlocked} />)}
      {children && <div className="over">{children}</div>}
      {blocked && (
        <button type="button" className="unblock" onClick={open}><Icon name="bell" />{t('room.sound.blocked')}，<b>{t('room.sound.open')}</b></button>
      )}
    </div>
  );
}

/** Own picture, as the others get it. */
export function OwnTile({ stream, muted }: { stream: MediaStream | null; muted: { mic: boolean; cam: boolean } }) {
  const ref = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (ref.current !== null) void play(ref.current, stream);
  }, [stream]);
  const cam = stream !== null && stream.getVideoTracks().length > 0 && !muted.cam;
  return (
    <figure className="mini">
      <video ref={ref} autoPlay playsInline muted className="self" />
      {!cam && <div className="noface small"><Icon name="videoOff" size={26} /></div>}
      <figcaption>{muted.mic ? <><Icon name="micOff" size={13} /> {t('room.you.muted')}</> : cam ? t('room.you') : t('room.you.nocam')}</figcaption>
    </figure>
  );
}
