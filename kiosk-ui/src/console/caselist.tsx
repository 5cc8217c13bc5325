import { Dropdown, Input } from 'antd';
import { useEffect, useState } from 'react';
import { hourMinuteSecond } from '../core/clock';
import { count } from '../staff/format';
import type { Staff } from '../staff/gate';
import { Icon } from '../staff/icons';
import { CASE_STATES, casesPath, dayOf, daysLeft, dayWord, urgency, type CaseRow } from './cases';
import { CasePage } from './casepage';
import type { Node } from './fleet';
import { usePaged } from './paged';
import { Fresh, ListEnd, Trouble } from './parts';
import { t, word } from './t';
import { go, hrefOf, type Place } from './url';

const KINDS = ['dossier', 'consult'] as const;
const TONE: Record<string, string> = { received: 'y', verified: 'g', closed: '' };

/** What arrived in the case store: one line a case, its last days beside it. */
export default function CasesPage({ staff, here, place, stale }: { staff: Staff; here: Node; place: Place; stale: boolean }) {
  if (place.case !== '') return <CasePage key={place.case} staff={staff} place={place} stale={stale} />;
  return <List staff={staff} here={here} place={place} stale={stale} />;
}

function List({ staff, here, place, stale }: { staff: Staff; here: Node; place: Place; stale: boolean }) {
  const list = usePaged<CaseRow>(staff.api, casesPath(place), 5000);
  const now = Date.now() * 1000;
  const filtered = place.q !== '' || place.state !== '' || place.kind !== '';
  return (
    <main className={stale ? 'main stale' : 'main'}>
      <div className="states few">
        <button type="button" className={place.state === '' ? 'on' : ''} aria-pressed={place.state === ''} onClick={() => go({ ...place, state: '' })}><span className="tag t">{t('ca.all')}</span></button>
        {CASE_STATES.map((s) => (
          <button key={s} type="button" className={place.state === s ? 'on' : ''} aria-pressed={place.state === s} onClick={() => go({ ...place, state: place.state === s ? '' : s })}><CaseTag state={s} /></button>
        ))}
      </div>
      <div className="filters">
        <Search place={place} />
        <Dropdown trigger={['click']} menu={{ items: [{ key: '', label: t('ca.kind.all') }, ...KINDS.map((k) => ({ key: k, label: word('ckind', k) }))], onClick: ({ key }) => go({ ...place, kind: key }) }}>
          <button type="button" className="pillf">{place.kind === '' ? t('ca.kind.all') : word('ckind', place.kind)} ▾</button>
        </Dropdown>
        {place.unit !== '' && <button type="button" className="pillf on" title={t('dev.drop')} onClick={() => go({ ...place, unit: '' })}>{here.name} <s>✕</s></button>}
        <span className="grow" />
        <span className="dim">{list.at > 0 && t('list.at', { time: hourMinuteSecond(list.at * 1000) })}</span>
      </div>
      <section className="card grow">
        <Fresh n={list.fresh} onRenew={list.renew} />
        <div className="tbl scroll rows2">
          <table>
            <thead><tr><th>{t('ca.number')}</th><th>{t('ca.state')}</th><th>{t('ca.what')}</th><th>{t('ca.parties')}</th><th>{t('ca.unit')}</th><th>{t('ca.came')}</th><th>{t('ca.effective')}</th><th>{t('ca.confirm')}</th><th>{t('ca.follow')}</th><th>{t('ca.rating')}</th></tr></thead>
            <tbody>
              {list.rows.map((c) => (
                <tr key={c.id} onClick={() => go({ ...place, case: c.id })}>
                  <td>
                    <a className="rowname" href={hrefOf({ view: 'cases', case: c.id })} onClick={(e) => { e.preventDefault(); e.stopPropagation(); go({ ...place, case: c.id }); }}><b>{c.number || word('ckind', c.kind)}</b></a>
                    <small className="num">{c.receipt_no}</small>
                  </td>
                  <td><CaseTag state={c.state} /></td>
                  <td>{word('cat', c.category)}<small>{c.closing_code !== '' && c.closing_code !== '1' ? word('closing', c.closing_code) : word('ckind', c.kind)}</small></td>
                  <td>{c.parties.join('、') || '–'}</td>
                  <td className="wide" title={c.unit}>{c.unit}</td>
                  <td className="num">{dayOf(c.received_at, now)}</td>
                  <td className="num">{c.effective_at === null ? '–' : dayOf(c.effective_at, now)}</td>
                  <td><LastDay on={c.confirm_last_on} now={now} /></td>
                  <td className="num">{dayWord(c.followup_on, now)}</td>
                  <td className="num">{c.rating === null ? '–' : t('ca.score', { n: c.rating })}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {list.error !== null && list.rows.length === 0 && <Trouble error={list.error} />}
          {list.rows.length === 0 && !list.loading && list.error === null && (
            <div className="calmly"><Icon name="find" size={28} /><b>{t(filtered ? 'ca.none.found' : 'ca.none')}</b>{t(filtered ? 'ca.none.found.do' : 'ca.none.do')}</div>
          )}
        </div>
        <ListEnd text={t('ca.count', { place: here.name, total: count(list.total), shown: count(list.rows.length) })} more={list.more} hint={t('ca.hint')} />
      </section>
    </main>
  );
}

export function CaseTag({ state }: { state: string }) {
  return <span className={`tag ${TONE[state] ?? ''}`}>{word('cstate', state)}</span>;
}

/** The last day for asking the court, and how many days are left of it. */
export function LastDay({ on, now }: { on: string | null; now: number }) {
  const look = urgency(on, now);
  if (look === 'none') return <span className="dim">{t('ca.confirm.none')}</span>;
  const n = daysLeft(on, now) ?? 0;
  return (
    <span className="num">{dayWord(on, now)}<small className={look === 'soon' ? 'soon' : ''}>{look === 'over' ? t('ca.left.over') : n === 0 ? t('ca.left.today') : t('ca.left', { n })}</small></span>
  );
}

/** A search is asked for by Enter, not by every letter: names and id numbers are not sent in halves. */
function Search({ place }: { place: Place }) {
  const [typed, setTyped] = useState(place.q);
  useEffect(() => setTyped(place.q), [place.q]);
  const find = (q: string) => go({ ...place, q: q.trim() });
  return (
    <Input
      className="search"
      allowClear
      prefix={<Icon name="find" size={16} />}
      placeholder={t('ca.find')}
      aria-label={t('ca.find')}
      autoComplete="off"
      spellCheck={false}
      value={typed}
      onChange={(e) => {
        setTyped(e.target.value);
        if (e.target.value === '' && place.q !== '') find('');
      }}
      onPressEnter={() => find(typed)}
    />
  );
}
