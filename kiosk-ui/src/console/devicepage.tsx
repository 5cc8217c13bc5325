import type { ReactNode } from 'react';
import { dayText, hourMinute } from '../core/clock';
import type { Staff } from '../staff/gate';
import { count, lasted, pastTime } from '../staff/format';
import { errorSentence } from '../staff/t';
import { Beat, dayWords } from './beat';
import { Chip, Simulated, Use } from './chips';
import { usePolled } from './data';
import { Facts, type Detail } from './drawer';
import { engineTier } from './fleet';
import { t, word } from './t';
import { facts, timeline, type Line, type Span } from './timeline';
import { go, hrefOf, type Place } from './url';

/** One device on a page of its own: what it is, how it stands, its day, and everything that happened to it in one stream. */
export default function DevicePage({ staff, place, stale }: { staff: Staff; place: Place; stale: boolean }) {
  const { value, error } = usePolled<Detail>(staff.api, place.device === '' ? '' : `/devices/${place.device}`, 5000);
  const d = value !== null && value.id === place.device ? value : null;
  const now = Date.now() * 1000;
  const back = { ...place, view: 'devices' as const, device: '' };
  const bar = (title: ReactNode) => (
    <div className="casebar">
      <a className="link" href={hrefOf(back)} onClick={(e) => { e.preventDefault(); go(back); }}>{t('dp.back')}</a>
      {title}
    </div>
  );
  if (d === null) {
    const e = error === null ? null : errorSentence(error.code);
    return <main className="main">{bar(<h1>{e === null ? t('loading') : e.what}</h1>)}{e !== null && <p className="dim">{e.todo}</p>}</main>;
  }
  const links = d.links ?? [];
  const lines = timeline(d.events ?? [], d.reports ?? [], links, d.claims ?? []);
  const since = d.since_at > 0 ? `${pastTime(d.since_at, now)}，${lasted((now - d.since_at) / 1e6)}了` : '–';
  return (
    <main className={stale ? 'main stale devpage' : 'main devpage'}>
      {bar(<><h1>{d.name || t('noname')}</h1><Simulated on={d.simulated} /><span className="dim">{d.serial}</span><span className="grow" /><button type="button" className="link" onClick={() => go({ view: 'devices', unit: d.unit_id })}>{t('dp.neighbours')}</button></>)}
      <section className="four" aria-label={t('dp.four')}>
        <Fact title={t('dp.life')} note={t('dp.life.note')}>{word('life', d.life)}</Fact>
        <Fact title={t('dp.presence')} note={since}><Chip chip={d.chip} klass={d.class} />{word('cause', d.cause, '') !== '' && <span className="dim"> {word('cause', d.cause)}</span>}</Fact>
        <Fact title={t('dp.use')} note={t('dp.visits', { today: count(d.visits.today), month: count(d.visits.month) })}><Use row={d} /></Fact>
        <Fact title={t('dp.able')} note={d.inventory === null ? t('dr.inventory.none') : t('dp.able.at', { time: pastTime(d.inventory.at, now) })}>{ableText(d.inventory?.document)}</Fact>
      </section>
      <section className="card daycard">
        <h2>{t('dp.day')} <small>{dayWords(d.day ?? '')}</small></h2>
        <div className="daybar"><Beat day={d.day ?? ''} width={960} height={34} /><div className="hours" aria-hidden="true"><span>{t('dp.day.ago')}</span><span>{t('dp.day.half')}</span><span>{t('dp.day.now')}</span></div></div>
      </section>
      <div className="devcols">
        <section className="card">
          <h2>{t('dr.facts')}</h2>
          <div className="scrolls" tabIndex={0} role="region" aria-label={t('dr.facts')}>
            <Facts
              rows={[
                [t('dr.place'), d.place.join(' › ')],
                ...(d.spot ? [[t('dr.spot'), d.spot] as [ReactNode, ReactNode]] : []),
                [t('dr.kind'), `${word('kind', d.kind)} · ${word('class', d.class)}`],
                [t('dr.model'), d.model || '–'],
                [t('dr.engine'), d.engine === '' ? '–' : `${engineTier(d.engine)}`],
                [t('dr.app'), d.app_ver || '–'],
                [t('dr.seen'), d.chip === 'online' ? '现在' : pastTime(d.seen_at, now)],
                [t('dr.rtt'), d.rtt_ms === null ? '–' : `${Math.round(d.rtt_ms)} ms`],
                [t('dr.alg'), d.alg === 'p256' ? 'P-256' : d.alg === 'ed25519' ? 'Ed25519' : d.alg || '–'],
                [t('dr.key'), word('key', d.key_store)],
                [t('dr.exp'), d.cred_exp_at > 0 ? dayText(d.cred_exp_at).split(' ')[0] : '–'],
                [t('dr.epoch'), String(d.epoch)],
              ]}
            />
            <h3>{t('dr.inventory')}</h3>
            {d.inventory === null ? <p className="dim">{t('dr.inventory.none')}</p> : <Facts rows={facts(d.inventory.document, t('inv.yes'), t('inv.no')).map(([k, v]): [ReactNode, ReactNode] => [word('inv', k), v])} />}
          </div>
        </section>
        <section className="card">
          <h2>{t('dr.events')} <small>{t('dp.events.note')}</small></h2>
          <Stream lines={lines} now={now} />
        </section>
        <section className="card">
          <h2>{t('dp.links')} <small>{t('dp.links.note', { n: links.length })}</small></h2>
          <Links links={links} now={now} up={d.presence === 'connected' ? d.since_at : 0} epoch={d.epoch} />
        </section>
      </div>
    </main>
  );
}

function Fact({ title, note, children }: { title: string; note: string; children: ReactNode }) {
  return <div className="cell"><span>{title}</span><b>{children}</b><em>{note}</em></div>;
}

const SHOWN = ['camera', 'microphone', 'printer', 'reader', 'scanner', 'pad'];

/** "摄像头 有 · 话筒 没有": the parts that decide what can be done at it. */
function ableText(doc: Record<string, unknown> | undefined): string {
  if (doc === undefined) return '–';
  const list = SHOWN.filter((k) => typeof doc[k] === 'boolean').map((k) => `${word('inv', k)} ${doc[k] === true ? t('inv.yes') : t('inv.no')}`);
  return list.length === 0 ? '–' : list.join(' · ');
}

function Stream({ lines, now }: { lines: Line[]; now: number }) {
  if (lines.length === 0) return <p className="calmly">{t('dr.events.none')}</p>;
  return (
    <ul className="evs scrolls" tabIndex={0} aria-label={t('dr.events')}>
      {lines.map((l) => (
        <li key={l.key}>
          <time>{dayText(l.at).split(' ')[0]} {hourMinute(l.at)}</time>
          <b>{word(...l.word)}</b>
          <span className="dim">
            {l.span !== undefined ? `${t('dp.span', { time: lasted((l.span.to - l.span.from) / 1e6) })}，${causeText(l.span.cause)}` : word('actor', l.actor)}
            {l.word[0] === 'ev' && l.detail !== '' && `，${causeText(l.detail)}`}
            {l.late > 0 && `，${t('rep.late', { when: pastTime(l.late, now) })}`}
            {l.word[0] === 'rep' && l.detail !== '' && <code>{l.detail}</code>}
          </span>
        </li>
      ))}
    </ul>
  );
}

const causeText = (c: string): string => word('cause', c, c === '' ? t('cause.unknown') : c);

function Links({ links, now, up, epoch }: { links: Span[]; now: number; up: number; epoch: number }) {
  if (links.length === 0 && up === 0) return <p className="calmly">{t('dp.links.none')}</p>;
  return (
    <div className="tbl scroll" tabIndex={0} role="region" aria-label={t('dp.links')}>
      <table>
        <thead><tr><th>{t('dp.l.from')}</th><th>{t('dp.l.for')}</th><th>{t('dp.l.why')}</th><th>{t('dp.l.node')}</th><th>{t('dp.l.bytes')}</th><th>{t('dp.l.no')}</th></tr></thead>
        <tbody>
          {up > 0 && <tr><td>{pastTime(up, now)}</td><td>{lasted((now - up) / 1e6)}</td><td><span className="tag g">● {t('dp.l.now')}</span></td><td /><td /><td className="dim">{epoch}</td></tr>}
          {links.map((l) => (
            <tr key={l.epoch}>
              <td>{pastTime(l.from, now)}</td><td>{lasted((l.to - l.from) / 1e6)}</td><td>{causeText(l.cause)}</td><td className="dim">{l.node}</td>
              <td className="dim">{l.bytes > 0 ? bytesText(l.bytes) : '–'}</td><td className="dim">{l.epoch}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** "512 kB", "3.2 MB". */
export function bytesText(n: number): string {
  return n < 1_000_000 ? `${Math.max(1, Math.round(n / 1000))} kB` : `${(n / 1_000_000).toFixed(1)} MB`;
}
