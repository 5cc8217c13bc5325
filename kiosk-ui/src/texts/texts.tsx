// The demo phone: the texts that this program would send, newest first, with their link as a button. Demo mode only; it
// stands in for the phones of people who are made up, so that one person can walk through a case alone.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { createApi } from '../core/api';
import { dayText, hourMinuteSecond } from '../core/clock';
import { createFact } from '../core/facts';
import { useFact } from '../core/hooks.preact';
import { Icon } from '../light/icons';
import { linkOf, masked, people, pieces, type Text } from './rows';
import { err, t } from './t';

const api = createApi();
const every = 2000; // ms; a text is there before anybody looks for it

export function TextsPage() {
  const fact = useMemo(() => createFact({ fetch: () => api.get<{ rows: Text[] | null }>('/demo/texts'), pollMs: every }), []);
  const { value, error } = useFact(fact);
  const [only, setOnly] = useState('');
  useEffect(() => {
    const look = () => { if (document.visibilityState === 'visible') fact.nudge(); };
    look();
    document.addEventListener('visibilitychange', look);
    return () => {
      document.removeEventListener('visibilitychange', look);
      fact.close();
    };
  }, [fact]);

  const rows = (value && value.rows) || [];
  const to = people(rows);
  const shown = only === '' ? rows : rows.filter((r) => r.to === only);
  const closed = error !== null && (error.status === 404 || error.status === 401 || error.status === 403);
  return (
    <main class="dp">
      <header>
        <Icon name="phone" />
        <div><h1>{t('dp.title')}</h1><p>{t('dp.lead')}</p></div>
      </header>
      {to.length > 1 && !closed && (
        <nav aria-label={t('dp.who')}>
          {['', ...to].map((x) => <button key={x} type="button" aria-pressed={only === x} onClick={() => setOnly(x)}>{x === '' ? t('dp.all') : masked(x)}</button>)}
        </nav>
      )}
      {error !== null && !closed && <p class="bad" role="alert"><b>{err(error.code).what}</b> {err(error.code).todo}</p>}
      {closed && <p class="empty" role="alert"><b>{t(error.status === 404 ? 'dp.off' : 'dp.closed')}</b>{t(error.status === 404 ? 'dp.off.do' : 'dp.closed.do')}</p>}
      {value !== null && !closed && shown.length === 0 && <p class="empty"><b>{t('dp.none')}</b>{t('dp.none.do')}</p>}
      <ul aria-live="polite">{!closed && shown.map((r) => <Bubble key={`${r.at}${r.to}${r.text}`} row={r} />)}</ul>
    </main>
  );
}

function Bubble({ row }: { row: Text }) {
  const link = linkOf(row);
  return (
    <li>
      <p class="when"><b>{masked(row.to)}</b> <time>{dayText(row.at).split(' ')[0]} {hourMinuteSecond(row.at)}</time></p>
      <div class="bubble">
        <p>{pieces(row, t('dp.link')).map((x, i) => (x.href === '' ? x.text : <a key={i} href={x.href} target="_blank" rel="noreferrer">{x.text}</a>))}</p>
        {link !== '' && <a class="open" href={link} target="_blank" rel="noreferrer">{t('dp.open')}</a>}
      </div>
    </li>
  );
}
