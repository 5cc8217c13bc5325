import { Button, Input } from 'antd';
import { useEffect, useMemo, useState, type ReactNode } from 'react';
import type { Api } from '../core/api';
import { hourMinuteSecond } from '../core/clock';
import { useStore } from '../core/hooks.react';
import type { Desk, Note } from '../core/types';
import { Icon } from '../staff/icons';
import { bothTexts, FIELDS, isDirty, textOf, type Draft, type Field, type Text } from './draft';
import { createNotebook, type Notebook } from './notebook';
import { t } from './t';

const LIMIT: Record<Field, number> = { matter: 2000, advice: 4000, answer: 400, next_step: 1000 };
const ROWS: Record<Field, [number, number]> = { matter: [2, 6], advice: [3, 10], answer: [3, 7], next_step: [1, 4] };

/** The note of the open session or of its wrap-up; shut when there is neither. */
export function useNotebook(api: Api, open: { session: string; note: Note } | null, refetch: () => Promise<Desk>): Notebook {
  const book = useMemo(
    () =>
      createNotebook({
        put: (session, text, version) => api.put<Note>(`/sessions/${session}/note`, text, { ifMatch: version }),
        look: async (session) => {
          const desk = await refetch();
          if (desk.session?.id === session) return desk.session.note;
          return desk.wrap_up?.session_id === session ? desk.wrap_up.note : null;
        },
        shelf: sessionStorage,
        saveEveryMs: 2000,
      }),
    [api, refetch],
  );
  const session = open?.session ?? '';
  const note = open?.note;
  useEffect(() => {
    if (session !== '' && note !== undefined) book.open(session, note);
    else book.shut();
  }, [book, session, note]);
  return book;
}

const LABEL = { matter: 'note.matter', advice: 'note.advice', answer: 'note.answer', next_step: 'note.next' } as const;
const HOLD = { matter: 'note.matter.ph', advice: 'note.advice.ph', answer: 'note.answer.ph', next_step: 'note.next.ph' } as const;

function savedLine(d: Draft): ReactNode {
  if (d.conflict !== null) return <span className="st r"><Icon name="warn" size={15} />{t('note.conflict')}</span>;
  if (d.failed !== '' && isDirty(d)) return <span className="st r"><Icon name="warn" size={15} />{t('note.failed')}</span>;
  if (d.sent !== null) return <span className="st">{t('note.saving')}</span>;
  if (isDirty(d)) return <span className="st">{t('note.unsaved')}</span>;
  return d.base.saved_at ? <span className="st g"><Icon name="check" size={15} />{t('note.saved', { time: hourMinuteSecond(d.base.saved_at) })}</span> : <span className="st">{t('note.empty')}</span>;
}

/** The four fields, the state of saving, and the choice when the note changed elsewhere too. */
export function NoteForm({ book, answerMissing }: { book: Notebook; answerMissing: boolean }) {
  const d = useStore(book);
  return (
    <div className="note">
      <div className="agbar" role="status">{savedLine(d)}</div>
      {d.conflict !== null && <Conflict mine={d.text} theirs={textOf(d.conflict)} onChoose={book.choose} />}
      {FIELDS.map((f) => (
        <label key={f} className={f === 'answer' ? 'cl answer' : 'cl'}>
          <span className="lb">
            <b>{t(LABEL[f])}</b>
            {f === 'answer' && <span className={d.text.answer.length > LIMIT.answer - 40 ? 'cnt r' : 'cnt'}>{d.text.answer.length} / {LIMIT.answer}</span>}
          </span>
          <Input.TextArea
            id={`note-${f}`}
            variant="borderless"
            autoSize={{ minRows: ROWS[f][0], maxRows: ROWS[f][1] }}
            maxLength={LIMIT[f]}
            placeholder={t(HOLD[f])}
            value={d.text[f]}
            status={f === 'answer' && answerMissing ? 'error' : ''}
            onChange={(e) => book.edit(f, e.target.value)}
          />
          {f === 'answer' && (answerMissing ? <span className="hint r"><Icon name="warn" size={15} />{t('wrap.answer_missing')}</span> : <span className="hint"><Icon name="tv" size={15} />{t('note.answer.hint')}</span>)}
        </label>
      ))}
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
  const done = () => onChoose({ matter: chosen('matter'), advice: chosen('advice'), answer: chosen('answer'), next_step: chosen('next_step') });
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
