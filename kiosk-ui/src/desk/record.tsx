import { Button, Radio } from 'antd';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { secondsLeft } from '../core/clock';
import { useStore, useTick } from '../core/hooks.react';
import type { Desk } from '../core/types';
import { placeLine, stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import type { Call } from './call';
import type { AgText } from './clauses';
import { ConvertDialog } from './convert';
import type { Outcome, Work } from './desk';
import type { Matter } from './dispute';
import { LeftNote, NoteForm, type AnswerBook } from './note';
import type { Notebook, Notebooks } from './notebook';
import { DisputePane } from './pane';
import { handInDue, sceneOf } from './scene';
import { TicketTags } from './queue';
import { t, word } from './t';
import type { Text } from './text';

const OUTCOMES: readonly Outcome[] = ['served', 'referred', 'booked'];

type Props = { work: Work; desk: Desk; call: Call; book: Notebook<Text>; books: Notebooks<Text>; answer: AnswerBook; m: Matter; agreement: Notebook<AgText>; onError: (code: string) => void };

/** The right pane: the record of this consult or the dispute, and after the call its closing with at most 120 s. */
export function RecordPane({ work, desk, call, book, books, answer, m, agreement, onError }: Props) {
  const scene = sceneOf(desk);
  const wrap = scene === 'wrap' ? desk.wrap_up : null;
  const ticket = wrap?.ticket ?? desk.session?.ticket;
  const title = ticket?.kind === 'mediate' ? t('note.title.mediation') : t('note.title');
  const [missing, setMissing] = useState(false);
  const [outcome, setOutcome] = useState<Outcome>('served');
  const [converting, setConverting] = useState(false);
  const draft = useStore(book);
  const unsaved = useStore(books).map((b) => <LeftNote key={b.get().id} book={b} onDone={() => books.putAway(b)} />);
  useEffect(() => {
    setMissing(false);
    setOutcome('served');
    setConverting(false);
  }, [ticket?.id]);

  const finish = async (rest: boolean) => {
    const session = wrap?.session_id;
    if (!session) return;
    if (!(await answer.send()) || !(await book.flush())) {
      onError(book.get().failed || 'session.stale_note');
      return;
    }
    const err = await work.wrapUp(session, outcome);
    if (err === null) {
      if (rest) await work.setSeat('away', 'rest');
      return;
    }
    if (err.code === 'consult.answer_missing') setMissing(true);
    else onError(err.code);
  };

  if (ticket === undefined) {
    return (
      <section className="card">
        <h2>{title}</h2>
        {unsaved}
        <div className="blank"><Icon name="pen" size={34} /><span>{t('note.empty')}</span></div>
      </section>
    );
  }
  // a consult whose person did not want to mediate stays one
  const consult = ticket.kind === 'consult' && (m.dispute === null || m.dispute.state === 'not_accepted' || m.dispute.state === 'closed');
  const note = <NoteForm book={book} answer={answer} answerMissing={missing && answer.text.trim() === ''} />;
  const clock = wrap !== null && <WrapClock untilAt={wrap.until_at} work={work} onDue={answer.handIn} />;
  const s = desk.session;
  const mayConvert = s !== null && s.dispute_id === null && ((s.kind === 'consult' && s.state === 'joint') || (s.kind === 'mediation' && s.state === 'checking'));
  let foot: ReactNode = null;
  if (wrap !== null) {
    foot = (
      <>
        {consult && (
          <div className="outcome"><span>{t('wrap.outcome')}</span><Radio.Group size="small" value={outcome} onChange={(e) => setOutcome(e.target.value as Outcome)} options={OUTCOMES.map((o) => ({ value: o, label: word('outcome', o) }))} /></div>
        )}
        <div className="foot2">
          <Button disabled={work.busy !== ''} onClick={() => void finish(true)}>{t('wrap.rest')}</Button>
          <span className="grow" />
          <Button type="primary" loading={work.busy === 'wrap'} onClick={() => void finish(false)}>{t('wrap.next')}</Button>
        </div>
      </>
    );
  } else if (mayConvert) {
    foot = (
      <div className="foot2">
        <span className="dim grow">{t(s.kind === 'consult' ? 'conv.hint' : 'conv.hint.mediation')}</span>
        <Button type={s.kind === 'consult' ? 'default' : 'primary'} onClick={() => setConverting(true)}><Icon name="scale" />{s.kind === 'consult' ? t('conv.open') : t('conv.open.mediation')}</Button>
      </div>
    );
  }
  return (
    <section className="card">
      {unsaved}
      {m.dispute !== null ? (
        <DisputePane work={work} call={call} m={m} d={m.dispute} book={agreement} note={note} noteWanted={missing} banner={clock} />
      ) : (
        <>
          <div className="dh">
            <div className="no">{ticket.no} · {placeLine(ticket.place, 3)} · {word('device', ticket.terminal)}</div>
            <h3>{word('cat', ticket.category)} · {title}</h3>
            <TicketTags ticket={ticket} />
          </div>
          {clock}
          {note}
        </>
      )}
      {foot}
      {converting && s !== null && (
        <ConvertDialog
          staff={work.staff}
          session={s.id}
          category={ticket.category}
          matter={draft.text.matter}
          onClose={() => setConverting(false)}
          onTrouble={(e) => onError(e.code)}
          onDone={() => {
            setConverting(false);
            work.nudge();
          }}
        />
      )}
    </section>
  );
}

const WRAP_S = 120;

/** The time for the record. `onDue`: it is nearly over, and over: what stands there is saved. */
function WrapClock({ untilAt, work, onDue }: { untilAt: number; work: Work; onDue: () => void }) {
  useTick(500);
  const left = secondsLeft(untilAt, work.clock.nowUs());
  const due = handInDue(left);
  const hand = useRef(onDue);
  hand.current = onDue;
  useEffect(() => {
    if (due > 0) hand.current();
  }, [due]);
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
