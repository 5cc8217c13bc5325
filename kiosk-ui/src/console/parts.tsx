import type { ApiError } from '../core/api';
import { Icon } from '../staff/icons';
import { errorSentence } from '../staff/t';
import { t } from './t';

// What the lists of cases and hand-offs share.

/** "n new ones" above a list: nothing moves until it is pressed. */
export function Fresh({ n, onRenew }: { n: number; onRenew: () => void }) {
  if (n === 0) return null;
  return <div className="news" role="status"><i>●</i>{t('list.fresh', { n })}<button type="button" className="link" onClick={onRenew}>{t('list.renew')}</button></div>;
}

export function ListEnd({ text, more, hint }: { text: string; more: (() => void) | null; hint: string }) {
  return (
    <div className="end">
      <span>{text}</span>
      {more !== null && <button type="button" className="link" onClick={more}>{t('list.more')}</button>}
      <span className="grow" />
      <span>{hint}</span>
    </div>
  );
}

export function Trouble({ error }: { error: ApiError }) {
  const e = errorSentence(error.code);
  return <div className="calmly" role="alert"><Icon name="warn" size={28} /><b>{e.what}</b>{e.todo}</div>;
}
