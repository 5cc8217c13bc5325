import { useTick } from '../core/hooks.react';
import type { Staff } from '../staff/gate';
import { placeLine, stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import { usePolled, useShared, type SessionRow } from './data';
import { within, type Node } from './fleet';
import { t, word } from './t';

const STATE_TONE: Record<string, string> = { waiting: 'y', parked: 'vi', offered: 'b', ringing: 'b', serving: 'g', wrap_up: 't', missed: 'r', joint: 'g', checking: 't', lobby: 'b', suspended: 'y', adjourned: 'vi' };

/** Who waits and who talks, for the dispatcher. */
export function QueuePage({ staff, here, stale }: { staff: Staff; here: Node; stale: boolean }) {
  const { queue } = useShared();
  const sessions = usePolled<{ rows: SessionRow[] | null }>(staff.api, '/console/sessions', 4000);
  useTick(1000);
  const now = Date.now() * 1000;
  const list = (queue ?? []).filter((k) => k.state !== 'serving' && k.state !== 'wrap_up' && within(k.place, here));
  const talks = (sessions.value?.rows ?? []).filter((s) => within(s.place, here));
  return (
    <main className={stale ? 'main stale' : 'main'}>
      <section className="card half">
        <h2>{t('q.title')} <small>{t('q.note', { n: list.length })}</small></h2>
        <div className="tbl scroll">
          <table>
            <thead><tr><th>{t('q.no')}</th><th>{t('q.what')}</th><th>{t('q.kind')}</th><th>{t('q.place')}</th><th>{t('q.lang')}</th><th>{t('q.waited')}</th><th>{t('q.state')}</th></tr></thead>
            <tbody>
              {list.map((k) => (
                <tr key={k.id}>
                  <td><b>{k.no}</b></td>
                  <td>{word('cat', k.category)}</td>
                  <td>{word('tkind', k.kind)} <span className="dim">{word('tclass', k.class, '')}</span></td>
                  <td>{placeLine(k.place, 3)}　<span className="dim">{word('kind', k.terminal)}</span></td>
                  <td>{word('lang', k.lang)}</td>
                  <td className={k.waited_s > 900 && k.state === 'waiting' ? 'late num' : 'num'}>{stopwatch(k.waited_s)}</td>
                  <td><span className={`tag ${STATE_TONE[k.state] ?? ''}`}>{word('tstate', k.state)}</span></td>
                </tr>
              ))}
            </tbody>
          </table>
          {list.length === 0 && <div className="calmly"><Icon name="ear" size={28} />{t('q.none')}</div>}
        </div>
      </section>
      <section className="card half">
        <h2>{t('s.title')} <small>{t('s.note', { n: talks.length })}</small></h2>
        <div className="tbl scroll">
          <table>
            <thead><tr><th>{t('q.no')}</th><th>{t('q.what')}</th><th>{t('q.kind')}</th><th>{t('q.place')}</th><th>{t('s.who')}</th><th>{t('s.since')}</th><th>{t('q.state')}</th></tr></thead>
            <tbody>
              {talks.map((s) => (
                <tr key={s.id}>
                  <td><b>{s.no}</b></td>
                  <td>{word('cat', s.category)}</td>
                  <td>{word('tkind', s.kind)}</td>
                  <td>{placeLine(s.place, 3)}</td>
                  <td>{s.mediator}</td>
                  <td className="num">{stopwatch((now - s.started_at) / 1e6)}</td>
                  <td><span className={`tag ${STATE_TONE[s.state] ?? ''}`}>{word('sstate', s.state)}</span></td>
                </tr>
              ))}
            </tbody>
          </table>
          {talks.length === 0 && <div className="calmly"><Icon name="ear" size={28} />{t('s.none')}</div>}
        </div>
      </section>
    </main>
  );
}
