import { App as Antd, Button } from 'antd';
import { useState } from 'react';
import { asApiError, newKey } from '../core/api';
import { hourMinute, hourMinuteSecond, secondsLeft } from '../core/clock';
import { useTick } from '../core/hooks.react';
import { count, pastTime, stopwatch } from '../staff/format';
import type { Staff } from '../staff/gate';
import { Icon } from '../staff/icons';
import { errorSentence } from '../staff/t';
import { errorCode, HANDOFF_STATES, handoffsPath, mayRetry, targetHost, type HandoffRow } from './cases';
import type { Node } from './fleet';
import { usePaged } from './paged';
import { Fresh, ListEnd, Trouble } from './parts';
import { t, word } from './t';
import { go, type Place } from './url';

const LOOK: Record<string, { icon: string; tone: string }> = {
  queued: { icon: '○', tone: 'b' }, sending: { icon: '↻', tone: 'b' }, verified: { icon: '✓', tone: 'g' },
  failed: { icon: '▲', tone: 'y' }, dead: { icon: '✕', tone: 'r' },
};

/** What leaves for the case store and how far it got; what did not arrive can be sent again. */
export default function HandoffsPage({ staff, here, place, stale }: { staff: Staff; here: Node; place: Place; stale: boolean }) {
  const list = usePaged<HandoffRow>(staff.api, handoffsPath(place), 4000);
  useTick(1000);
  const now = Date.now() * 1000;
  return (
    <main className={stale ? 'main stale' : 'main'}>
      <div className="states few">
        <button type="button" className={place.state === '' ? 'on' : ''} aria-pressed={place.state === ''} onClick={() => go({ ...place, state: '' })}><span className="tag t">{t('ho.all')}</span></button>
        {HANDOFF_STATES.map((s) => (
          <button key={s} type="button" className={place.state === s ? 'on' : ''} aria-pressed={place.state === s} onClick={() => go({ ...place, state: place.state === s ? '' : s })}><HandoffTag state={s} /></button>
        ))}
      </div>
      <div className="filters">
        {place.unit !== '' && <button type="button" className="pillf on" title={t('dev.drop')} onClick={() => go({ ...place, unit: '' })}>{here.name} <s>✕</s></button>}
        <span className="dim">{t('ho.note')}</span>
        <span className="grow" />
        <span className="dim">{list.at > 0 && t('list.at', { time: hourMinuteSecond(list.at * 1000) })}</span>
      </div>
      <section className="card grow">
        <Fresh n={list.fresh} onRenew={list.renew} />
        <div className="tbl scroll rows2 still">
          <table>
            <thead><tr><th>{t('ho.state')}</th><th>{t('ho.what')}</th><th>{t('ho.to')}</th><th>{t('ho.made')}</th><th>{t('ho.tries')}</th><th>{t('ho.receipt')}</th><th>{t('ho.error')}</th><th /></tr></thead>
            <tbody>
              {list.rows.map((h) => (
                <tr key={h.id}>
                  <td><HandoffTag state={h.state} /></td>
                  <td>{word('ckind', h.kind)}<small>{t('ca.v', { n: h.version })} · <span className="mono" title={h.delivery_id}>{h.delivery_id.slice(0, 12)}</span></small></td>
                  <td className="wide" title={h.target}>{targetHost(h.target) || t('ho.embedded')}</td>
                  <td className="num">{pastTime(h.at, now)}</td>
                  <td className="num">{t('ho.n', { n: h.attempts })}<small>{nextTry(h, now)}</small></td>
                  <td className="num">{h.receipt_no || '–'}</td>
                  <td><LastError text={h.last_error} /></td>
                  <td className="act">{mayRetry(h.state) && <Retry staff={staff} row={h} onDone={list.put} />}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {list.error !== null && list.rows.length === 0 && <Trouble error={list.error} />}
          {list.rows.length === 0 && !list.loading && list.error === null && <div className="calmly"><Icon name="check" size={28} /><b>{t(place.state === '' ? 'ho.none' : 'ho.none.state')}</b>{t('ho.none.do')}</div>}
        </div>
        <ListEnd text={t('ho.count', { place: here.name, total: count(list.total), shown: count(list.rows.length) })} more={list.more} hint={t('ho.hint')} />
      </section>
    </main>
  );
}

function HandoffTag({ state }: { state: string }) {
  const { icon, tone } = LOOK[state] ?? { icon: '', tone: '' };
  return <span className={`tag ${tone}${state === 'sending' ? ' beat' : ''}`}>{icon} {word('hstate', state)}</span>;
}

/** When the next try is due; a package that is through or given up has none. */
function nextTry(h: HandoffRow, now: number): string {
  if (h.next_at === null || (h.state !== 'queued' && h.state !== 'failed')) return '';
  const left = secondsLeft(h.next_at, now);
  return left <= 0 ? t('ho.next.now') : left < 3600 ? t('ho.next', { time: stopwatch(left) }) : t('ho.next.at', { time: hourMinute(h.next_at) });
}

/** The reason in words; what it said itself stands in the tip for who looks after the machine. */
function LastError({ text }: { text: string }) {
  if (text === '') return <span className="dim">–</span>;
  const code = errorCode(text);
  return <span className="err" title={text}>{code === '' ? t('ho.err.other') : word('herr', code, t('ho.err.other'))}<small>{code || text}</small></span>;
}

function Retry({ staff, row, onDone }: { staff: Staff; row: HandoffRow; onDone: (r: HandoffRow) => void }) {
  const { message } = Antd.useApp();
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey); // one key a row and look: pressing again after a lost answer is the same command
  const send = async () => {
    setBusy(true);
    try {
      onDone(await staff.api.post<HandoffRow>(`/handoffs/${row.id}/retry`, { key }));
      void message.success(t('ho.retried'));
    } catch (e) {
      const s = errorSentence(asApiError(e).code);
      void message.error(`${s.what}。${s.todo}`);
    } finally {
      setBusy(false);
    }
  };
  return <Button size="small" loading={busy} onClick={() => void send()}>{t('ho.retry')}</Button>;
}
