import { Button } from 'antd';
import { useEffect, useState } from 'react';
import { secondsLeft } from '../core/clock';
import { useTick } from '../core/hooks.react';
import type { Desk } from '../core/types';
import { placeLine, stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import type { Work } from './desk';
import { NoteForm } from './note';
import type { Notebook } from './notebook';
import { sceneOf } from './scene';
import { TicketTags } from './queue';
import { t, word } from './t';

/** The right pane: the record of this consult, and after the call its closing with at most 120 s. */
export function RecordPane({ work, desk, book, onError }: { work: Work; desk: Desk; book: Notebook; onError: (code: string) => void }) {
  const scene = sceneOf(desk);
  const ticket = scene === 'wrap' ? desk.wrap_up?.ticket : desk.session?.ticket;
  const title = ticket?.kind === 'mediate' ? t('note.title.mediation') : t('note.title');
  const [missing, setMissing] = useState(false);
  useEffect(() => setMissing(false), [ticket?.id]);

  const finish = async (rest: boolean) => {
    const session = desk.wrap_up?.session_id;
    if (!session) return;
    if (!(await book.flush())) {
      onError(book.get().failed || 'session.stale_note');
      return;
    }
    const err = await work.wrapUp(session);
    if (err === null) {
      if (rest) await work.setSeat('away', 'rest');
      return;
    }
    if (err.code === 'consult.answer_missing') setMissing(true);
    else onError(err.code);
  };

  return (
    <section className="card">
      {ticket === undefined ? (
        <>
          <h2>{title}</h2>
          <div className="blank"><Icon name="pen" size={34} /><span>{t('note.empty')}</span></div>
        </>
      ) : (
        <>
          <div className="dh">
            <div className="no">{ticket.no} · {placeLine(ticket.place, 3)} · {word('device', ticket.terminal)}</div>
            <h3>{word('cat', ticket.category)} · {title}</h3>
            <TicketTags ticket={ticket} />
          </div>
          {scene === 'wrap' && desk.wrap_up && <WrapClock untilAt={desk.wrap_up.until_at} work={work} />}
          <NoteForm book={book} answerMissing={missing && book.get().text.answer.trim() === ''} />
          {scene === 'wrap' && (
            <div className="foot2">
              <Button disabled={work.busy !== ''} onClick={() => void finish(true)}>{t('wrap.rest')}</Button>
              <span className="grow" />
              <Button type="primary" loading={work.busy === 'wrap'} onClick={() => void finish(false)}>{t('wrap.next')}</Button>
            </div>
          )}
        </>
      )}
    </section>
  );
}

const WRAP_S = 120;

function WrapClock({ untilAt, work }: { untilAt: number; work: Work }) {
  useTick(500);
  const left = secondsLeft(untilAt, work.clock.nowUs());
  return (
    <div className={left < 30 ? 'wrapbar hurry' : 'wrapbar'} role="timer">
      <Icon name="clock" size={16} />
      <b>{t('wrap.title')}</b>
      <span className="grow" />
      <span className="num">{left > 0 ? t('wrap.left', { time: stopwatch(left) }) : t('wrap.over')}</span>
      <i style={{ transform: `scaleX(${Math.min(1, left / WRAP_S)})` }} />
    </div>
  );
}
