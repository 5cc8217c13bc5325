import { App as Antd, Button } from 'antd';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import type { ApiError } from '../core/api';
import type { Desk } from '../core/types';
import { Gate, Sheet, type Staff } from '../staff/gate';
import { errorSentence } from '../staff/t';
import { useCall } from './call';
import { useCamera } from './camera';
import { useWork } from './desk';
import { useDispute } from './dispute';
import { useAgreementBook } from './editor';
import { Header } from './header';
import { useAnswer, useNotebook } from './note';
import { Queue } from './queue';
import { RecordPane } from './record';
import { createRing } from './ring';
import { RoomPane } from './room';
import { sceneOf, type OfferEnd } from './scene';
import { t } from './t';

export function DeskApp() {
  return <Gate page={t('desk.name')}>{(staff) => (mayServe(staff) ? <Workplace key={staff.me.staff.id} staff={staff} /> : <NotHere staff={staff} />)}</Gate>;
}

const closed = (s: string): string => (/[。！？]$/.test(s) ? s : `${s}。`);

const mayServe = (s: Staff) => s.me.staff.roles.some((r) => r === 'mediator' || r === 'lawyer');

function NotHere({ staff }: { staff: Staff }) {
  return (
    <Sheet title={t('desk.not_for_you')}>
      <p>{t('desk.not_for_you.do')}</p>
      <Button type="primary" href="/console">{t('desk.to_console')}</Button> <Button onClick={() => void staff.signOut()}>{t('signin.leave')}</Button>
    </Sheet>
  );
}

function Workplace({ staff }: { staff: Staff }) {
  const { message } = Antd.useApp();
  const say = useCallback(
    (code: string) => {
      if (code === 'offer.expired' || code === 'offer.taken') {
        void message.warning(t(code), 6);
        return;
      }
      const e = errorSentence(code);
      void message.error([e.what, e.todo].filter(Boolean).map(closed).join(''), 8);
    },
    [message],
  );
  const onTrouble = useCallback((e: ApiError) => say(e.code), [say]);
  const onOfferEnd = useCallback((e: OfferEnd) => void message.warning(e === 'expired' ? t('offer.expired') : t('offer.withdrawn'), 8), [message]);
  const onNudge = useRef(() => {});
  const work = useWork(staff, onTrouble, onOfferEnd, useCallback(() => onNudge.current(), []));
  const { desk, line } = work;

  const scene = desk === null ? 'idle' : sceneOf(desk);
  const active = desk?.session != null && scene !== 'wrap' && scene !== 'idle' && scene !== 'adjourned' && !line.elsewhere;
  const [trying, setTrying] = useState(false);
  const camera = useCamera(active || (trying && scene === 'idle'));
  const { refetch } = work;
  const reread = useCallback(() => void refetch().catch(() => undefined), [refetch]);
  const call = useCall(staff, active && desk?.session ? desk.session.id : '', desk?.session?.fence ?? 0, camera.stream, reread);

  const sessionId = desk?.session?.id ?? desk?.wrap_up?.session_id ?? '';
  const noteNow = desk?.session?.note ?? desk?.wrap_up?.note ?? null;
  const open = useMemo(() => (sessionId !== '' && noteNow !== null ? { session: sessionId, note: noteNow } : null), [sessionId, noteNow]);
  const { book, books } = useNotebook(staff.api, open, scene === 'wrap', refetch);
  const answer = useAnswer(book);

  const m = useDispute(staff, useDisputeId(desk), onTrouble);
  onNudge.current = m.nudge;
  const agreement = useAgreementBook(m);

  const sound = useOfferSound(desk?.offer?.id ?? '', desk?.offer?.ticket.no ?? '', line.elsewhere);
  const { room } = call;
  const toggleMic = useCallback(() => room?.mute('mic', !room.get().muted.mic), [room]);
  useKeys({ F2: () => void work.answer(true), F4: toggleMic });

  const fetchedAt = useRef(Date.now());
  useEffect(() => {
    fetchedAt.current = Date.now();
  }, [desk]);

  if (line.elsewhere) {
    return (
      <Sheet title={t('other.title')}>
        <p>{t('other.text')}</p>
        <Button type="primary" onClick={line.resume}>{t('other.go')}</Button>
      </Sheet>
    );
  }
  if (desk === null) {
    const e = work.error === null ? null : errorSentence(work.error.code);
    return <Sheet title={e === null ? t('desk.loading') : e.what}>{e !== null && <p>{e.todo}</p>}</Sheet>;
  }
  return (
    <>
      <Header work={work} desk={desk} soundBlocked={sound.blocked} onSound={sound.unlock} />
      <main className="desk">
        <Queue work={work} desk={desk} fetchedAt={fetchedAt.current} />
        <RoomPane
          key={desk.session?.id ?? 'quiet'}
          work={work}
          desk={desk}
          call={call}
          camera={camera}
          trying={trying}
          setTrying={setTrying}
          toggleMic={toggleMic}
          m={m}
          onUnsent={() => say('net.down')}
        />
        <RecordPane work={work} desk={desk} call={call} book={book} books={books} answer={answer} m={m} agreement={agreement} onError={say} />
      </main>
    </>
  );
}

/** The dispute of the open session; it stays with its session while the record is closed. */
function useDisputeId(desk: Desk | null): string {
  const last = useRef({ session: '', dispute: '' });
  const s = desk?.session ?? null;
  if (s !== null) last.current = { session: s.id, dispute: s.dispute_id ?? '' };
  const wrap = desk?.wrap_up ?? null;
  if (s !== null) return s.dispute_id ?? '';
  if (wrap === null) return '';
  return wrap.dispute_id ?? (wrap.session_id === last.current.session ? last.current.dispute : '');
}

/** Rings and flashes the tab's title while an offer stands; says when the browser still wants a press for sound. */
function useOfferSound(offer: string, no: string, elsewhere: boolean): { blocked: boolean; unlock: () => void } {
  const [ring] = useState(createRing);
  const [blocked, setBlocked] = useState(() => ring.blocked());
  const unlock = useCallback(() => void ring.unlock().then(() => setBlocked(ring.blocked())), [ring]);

  useEffect(() => {
    // Any press on the page opens the sound.
    const once = () => unlock();
    window.addEventListener('pointerdown', once);
    window.addEventListener('keydown', once);
    unlock();
    return () => {
      window.removeEventListener('pointerdown', once);
      window.removeEventListener('keydown', once);
    };
  }, [unlock]);

  useEffect(() => {
    if (offer === '' || elsewhere) return;
    ring.start();
    const title = document.title;
    let on = true;
    const flash = () => {
      document.title = on ? `【${t('offer.tab', { no })}】` : title;
      on = !on;
    };
    flash();
    const id = setInterval(flash, 1000);
    return () => {
      ring.stop();
      clearInterval(id);
      document.title = title;
    };
  }, [offer, no, elsewhere, ring]);
  return { blocked, unlock };
}

/** Function keys work from anywhere on the page, also while typing. */
function useKeys(keys: Record<string, () => void>): void {
  const now = useRef(keys);
  now.current = keys;
  useEffect(() => {
    const down = (e: KeyboardEvent) => {
      const f = now.current[e.key];
      if (f === undefined || e.repeat || e.ctrlKey || e.altKey || e.metaKey) return;
      e.preventDefault();
      f();
    };
    window.addEventListener('keydown', down);
    return () => window.removeEventListener('keydown', down);
  }, []);
}
