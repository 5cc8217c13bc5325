import { Button, Input } from 'antd';
import { useCallback, useEffect, useId, useMemo, useRef, useState, type ReactNode } from 'react';
import type { Api } from '../core/api';
import { hourMinuteSecond } from '../core/clock';
import { useStore } from '../core/hooks.react';
import type { Desk, Note } from '../core/types';
import { Icon } from '../staff/icons';
import { isDirty, type Draft } from './draft';
import { createNotebooks, type Notebook, type Notebooks } from './notebook';
import { t } from './t';
import { baseOf, bothTexts, EMPTY, FIELDS, type Field, type Text } from './text';

const LIMIT: Record<Field, number> = { matter: 2000, advice: 4000, answer: 400, materials: 1000, next_step: 1000 };
const ROWS: Record<Field, [number, number]> = { matter: [2, 6], advice: [3, 10], answer: [3, 7], materials: [1, 4], next_step: [1, 4] };

/** Where the wording of a session's short answer stands until it is sent. */
const placeOf = (session: string) => `heyi.answer.${session}`;

/**
 * The note of the open session or of its wrap-up, and the notes that were left with something unsaved. `wrapping`: what
 * is left now was in its wrap-up, so nobody comes back to send the answer, and it goes with the rest.
 */
export function useNotebook(api: Api, open: { session: string; note: Note } | null, wrapping: boolean, refetch: () => Promise<Desk>): { book: Notebook<Text>; books: Notebooks<Text> } {
  const books = useMemo(
    () =>
      createNotebooks<Text>({
        name: 'note',
        empty: EMPTY,
        put: async (session, text, version) => baseOf(await api.put<Note>(`/sessions/${session}/note`, text, { ifMatch: version })),
        look: async (session) => {
          const desk = await refetch();
          if (desk.session?.id === session) return baseOf(desk.session.note);
          return desk.wrap_up?.session_id === session ? baseOf(desk.wrap_up.note) : null;
        },
        shelf: sessionStorage,
        saveEveryMs: 2000,
      }),
    [api, refetch],
  );
  const session = open?.session ?? '';
  const note = open?.note;
  useEffect(() => {
    if (session !== '' && note !== undefined) books.enter(session, baseOf(note));
  }, [books, session, note]);
  const wrapped = useRef('');
  if (wrapping) wrapped.current = session;
  useEffect(() => {
    if (session === '') return undefined;
    return () => {
      const answer = sessionStorage.getItem(placeOf(session));
      if (wrapped.current === session && answer !== null && answer.trim() !== '') {
        books.of(session).edit({ answer });
        sessionStorage.removeItem(placeOf(session));
      }
      books.leave(session);
    };
  }, [books, session]);
  return { book: books.of(session), books };
}

/**
 * The short answer while it is worded. It is not saved while it is typed: what is saved stands on the other side's
 * screen at once, so it goes out by a press, or with the end of the record: when that is finished or its time runs out.
 */
export type AnswerBook = {
  text: string;
  shown: string;
  sending: boolean;
  edit: (text: string) => void;
  send: () => Promise<boolean>;
  /** The time is nearly over: sends an answer that was worded (never takes one back), saves the record. */
  handIn: () => void;
};

type Worded = Omit<AnswerBook, 'handIn'>;

export function useAnswer(book: Notebook<Text>): AnswerBook {
  const d = useStore(book);
  const shown = d.base.value.answer;
  const place = placeOf(d.id);
  const [own, setOwn] = useState<{ id: string; text: string } | null>(null);
  const kept = d.id === '' ? null : sessionStorage.getItem(place);
  const text = own !== null && own.id === d.id ? own.text : (kept ?? d.text.answer);
  const edit = useCallback(
    (next: string) => {
      setOwn({ id: d.id, text: next });
      sessionStorage.setItem(place, next);
    },
    [d.id, place],
  );
  const send = useCallback(async () => {
    if (text === shown) return true;
    book.edit({ answer: text });
    const ok = await book.flush();
    if (ok) {
      // what was typed while it went out stays
      if (sessionStorage.getItem(place) === text) sessionStorage.removeItem(place);
      setOwn((now) => (now !== null && now.text !== text ? now : null));
    }
    return ok;
  }, [book, text, shown, place]);
  const handIn = useCallback(() => void (text.trim() === '' ? book.flush() : send().then(() => book.flush())), [book, text, send]);
  return { text, shown, sending: d.sent !== null && d.sent.answer !== shown, edit, send, handIn };
}

const LABEL = { matter: 'note.matter', advice: 'note.advice', answer: 'note.answer', materials: 'note.materials', next_step: 'note.next' } as const;
const HOLD = { matter: 'note.matter.ph', advice: 'note.advice.ph', answer: 'note.answer.ph', materials: 'note.materials.ph', next_step: 'note.next.ph' } as const;

function savedLine(d: Draft<Text>): ReactNode {
  if (d.conflict !== null) return <span className="st r"><Icon name="warn" size={15} />{t('note.conflict')}</span>;
  if (d.failed !== '' && isDirty(d)) return <span className="st r"><Icon name="warn" size={15} />{t('note.failed')}</span>;
  if (d.sent !== null) return <span className="st">{t('note.saving')}</span>;
  if (isDirty(d)) return <span className="st">{t('note.unsaved')}</span>;
  return d.base.savedAt !== null ? <span className="st g"><Icon name="check" size={15} />{t('note.saved', { time: hourMinuteSecond(d.base.savedAt) })}</span> : <span className="st">{t('note.empty')}</span>;
}

/** The fields of the record, the state of saving, and the choice when the note changed elsewhere too. */
export function NoteForm({ book, answer, answerMissing }: { book: Notebook<Text>; answer: Worded; answerMissing: boolean }) {
  const d = useStore(book);
  const id = useId();
  return (
    <div className="note">
      <div className="agbar" role="status">{savedLine(d)}</div>
      {d.conflict !== null && <Conflict mine={d.text} theirs={d.conflict.value} onChoose={book.choose} />}
      {FIELDS.map((f) => (f === 'answer' ? <AnswerField key={f} id={`${id}-answer`} answer={answer} missing={answerMissing} /> : (
        <label key={f} className="cl">
          <span className="lb"><b>{t(LABEL[f])}</b></span>
          <Input.TextArea
            id={`${id}-${f}`}
            variant="borderless"
            autoSize={{ minRows: ROWS[f][0], maxRows: ROWS[f][1] }}
            maxLength={LIMIT[f]}
            placeholder={t(HOLD[f])}
            value={d.text[f]}
            onChange={(e) => book.edit({ [f]: e.target.value })}
          />
        </label>
      )))}
    </div>
  );
}

/** The few words that stand on the other side's screen and are read out to him. */
function AnswerField({ id, answer, missing }: { id: string; answer: Worded; missing: boolean }) {
  const { text, shown } = answer;
  const same = text.trim() !== '' && text === shown;
  return (
    <div className="cl answer">
      <label className="lb" htmlFor={id}>
        <b>{t(LABEL.answer)}</b>
        <span className={text.length > LIMIT.answer - 40 ? 'cnt r' : 'cnt'}>{text.length} / {LIMIT.answer}</span>
      </label>
      <Input.TextArea
        id={id}
        variant="borderless"
        autoSize={{ minRows: ROWS.answer[0], maxRows: ROWS.answer[1] }}
        maxLength={LIMIT.answer}
        placeholder={t(HOLD.answer)}
        value={text}
        status={missing ? 'error' : ''}
        onChange={(e) => answer.edit(e.target.value)}
      />
      <div className={missing ? 'hint r' : same ? 'hint g' : 'hint'}>
        <Icon name={missing ? 'warn' : same ? 'check' : 'tv'} size={15} />
        <span className="grow">{missing ? t('wrap.answer_missing') : same ? t('note.answer.shown') : shown !== '' ? t('note.answer.changed') : t('note.answer.hint')}</span>
        <Button size="small" type="primary" disabled={text.trim() === '' || same} loading={answer.sending} onClick={() => void answer.send()}>{shown === '' ? t('note.answer.send') : t('note.answer.resend')}</Button>
      </div>
    </div>
  );
}

/** A record whose time is over and that could not be saved yet: its words stay, and what to do is said. */
export function LeftNote({ book, onDone }: { book: Notebook<Text>; onDone: () => void }) {
  const d = useStore(book);
  const answer = { text: d.text.answer, shown: d.base.value.answer, sending: d.sent !== null, edit: (text: string) => book.edit({ answer: text }), send: book.flush };
  if (d.failed === '' && d.conflict === null) return null; // its last save is still under way
  return (
    <div className="leftnote" role="alert">
      <p><b><Icon name="warn" size={16} />{t('left.title')}</b>{d.conflict === null && t('left.do')}</p>
      <NoteForm book={book} answer={answer} answerMissing={false} />
      <div className="foot2"><Button onClick={() => void book.flush()} loading={d.sent !== null}>{t('left.again')}</Button><span className="grow" /><Button onClick={onDone}>{t('left.done')}</Button></div>
    </div>
  );
}

type Pick = 'mine' | 'theirs' | 'both';

function Conflict({ mine, theirs, onChoose }: { mine: Text; theirs: Text; onChoose: (text: Text) => void }) {
  const [picks, setPicks] = useState<Partial<Record<Field, Pick>>>({});
  const apart = FIELDS.filter((f) => mine[f] !== theirs[f]);
  const chosen = (f: Field): string => {
    const p = picks[f] ?? 'mine';
    return p === 'mine' ? mine[f] : p === 'theirs' ? theirs[f] : bothTexts(mine[f], theirs[f]);
  };
  const done = () => onChoose({ matter: chosen('matter'), advice: chosen('advice'), answer: chosen('answer'), materials: chosen('materials'), next_step: chosen('next_step') });
  return (
    <div className="clash" role="alertdialog" aria-label={t('note.conflict')}>
      <p><b>{t('note.conflict')}</b>{t('note.conflict.do')}</p>
      {apart.map((f) => (
        <fieldset key={f}>
          <legend>{t(LABEL[f])}</legend>
          {(['mine', 'theirs', 'both'] as const).map((p) => (
            <label key={p} className={(picks[f] ?? 'mine') === p ? 'opt on' : 'opt'}>
              <input type="radio" name={`clash-${f}`} checked={(picks[f] ?? 'mine') === p} onChange={() => setPicks({ ...picks, [f]: p })} />
              <span>
                <em>{p === 'mine' ? t('note.conflict.mine') : p === 'theirs' ? t('note.conflict.theirs') : t('note.conflict.both')}</em>
                {p !== 'both' && ((p === 'mine' ? mine[f] : theirs[f]) || t('note.blank'))}
              </span>
            </label>
          ))}
        </fieldset>
      ))}
      <Button type="primary" block onClick={done}>{t('note.conflict.done')}</Button>
    </div>
  );
}
