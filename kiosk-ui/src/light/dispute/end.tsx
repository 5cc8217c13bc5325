// The ends: in force with receipt and last day, or over with the other ways; and leaving, which is asked twice.
import { useEffect, useState } from 'preact/hooks';
import { dayText, hourMinute } from '../../core/clock';
import { dayWords } from '../../core/pages';
import { Icon } from '../icons';
import { closedLine, closedTitle, doneLine, refusesHere } from './lines';
import { Trouble, useCommand, type StepProps } from './parts';
import { t } from './touch';

export function Done({ d, speaker, pen, onOk }: StepProps & { onOk: (() => void) | null }) {
  const line = doneLine(d);
  useEffect(() => speaker.say(line), [line]);
  const at = d.agreement ? d.agreement.effective_at : null;
  const files = d.files || [];
  return (
    <section class="dp dp-done">
      <Icon name="check" />
      <h2>{t('done.title')}<small>{at ? t('done.at', { day: dayText(at).split(' ')[0]!, at: hourMinute(at) }) : t('done.place')}</small></h2>
      <dl>
        <dt>{t('done.number')}</dt><dd>{d.number}</dd>
        <dt>{t('done.receipt')}</dt><dd>{d.receipt_no || t('done.receipt.wait')}</dd>
      </dl>
      {d.confirm_last_on && <div class="paper mid-text"><p>{t('done.confirm')}</p><p class="day">{t('done.confirm.last', { day: dayWords(d.confirm_last_on) })}</p><p>{t('done.confirm.sub')}</p></div>}
      {pen && files.map((f) => <a key={f.digest} class="mid file" href={`/api/v1/dispute/files/${f.digest}`} download={f.name}>{t('done.files')}：{f.name}</a>)}
      {onOk && <button type="button" class="big" onClick={onOk}>{t('done.ok')}</button>}
    </section>
  );
}

export function Closed({ d, speaker, onOk }: StepProps & { onOk: (() => void) | null }) {
  const line = closedLine(d);
  useEffect(() => speaker.say(line), [line]);
  const routes = d.closing && d.closing.routes ? d.closing.routes : [];
  return (
    <section class="dp">
      <h2>{closedTitle(d)}</h2>
      <p class="lead">{routes.length > 0 ? t('closed.sub') : t('closed.wait')}</p>
      <ol class="plain-steps">{routes.map((r) => <li key={r.code}>{r.text}</li>)}</ol>
      {d.receipt_no && <p class="note">{t('done.receipt')} {d.receipt_no}</p>}
      <div class="dp-pair quiet">
        <button type="button" class="mid" onClick={() => { speaker.unlock(); speaker.say(line, true); }}>{t('closed.again')}</button>
        {onOk && <button type="button" class="mid" onClick={onOk}>{t('closed.ok')}</button>}
      </div>
    </section>
  );
}

/** Quit is on every screen of a party: leaving the mediation, or not signing this paper. The same button, then two. */
export function Quit({ c, d, speaker }: StepProps) {
  const [sure, setSure] = useState(false);
  const cmd = useCommand();
  const refuses = refusesHere(d);
  const word = refuses ? '.sign' : '';
  useEffect(() => { if (sure) speaker.say(t(`quit.say${word}` as 'quit.say'), true); }, [sure]);
  if (!sure) return <button type="button" class="mid drop" onClick={() => setSure(true)}>{t('quit')}</button>;
  return (
    <section class="dp dp-sure" role="alertdialog" aria-label={t(`quit.title${word}` as 'quit.title')}>
      <h2>{t(`quit.title${word}` as 'quit.title')}</h2>
      <p>{t(`quit.sub${word}` as 'quit.sub')}</p>
      <Trouble error={cmd.error} />
      <button type="button" class="big" onClick={() => setSure(false)}>{t(`quit.no${word}` as 'quit.no')}</button>
      <button type="button" class="mid" disabled={cmd.busy} onClick={() => cmd.run(() => (refuses ? c.refuse(t('quit.reason')) : c.withdraw()))}>{t(`quit.yes${word}` as 'quit.yes')}</button>
    </section>
  );
}
