import type { ReactNode } from 'react';
import { dayText, hourMinute } from '../core/clock';
import type { Staff } from '../staff/gate';
import { Icon } from '../staff/icons';
import { CaseTag, LastDay } from './caselist';
import { dayOf, dayWord, fileHref, lacking, packageHref, sayingOfCase, shelves, sizeText, tally, type Case, type Paper, type Shelf, type Version } from './cases';
import { usePolled } from './data';
import { Trouble } from './parts';
import { t, word } from './t';
import { go, hrefOf, type Place } from './url';

/** One case: what it is in a sentence, the papers of the dossier, its days, and every version as it came in. */
export function CasePage({ staff, place, stale }: { staff: Staff; place: Place; stale: boolean }) {
  const { value: c, error } = usePolled<Case>(staff.api, `/cases/${encodeURIComponent(place.case)}`, 0); // once: every reading of a case is in its event log
  const now = Date.now() * 1000;
  const back = { ...place, case: '' };
  const bar = (children?: ReactNode) => (
    <div className="casebar">
      <a className="link" href={hrefOf(back)} onClick={(e) => { e.preventDefault(); go(back); }}>‹ {t('ca.back')}</a>
      {children}
    </div>
  );
  if (c === null) return <main className="main">{bar()}<section className="card grow">{error === null ? <div className="calmly">{t('loading')}</div> : <Trouble error={error} />}</section></main>;

  const say = sayingOfCase(c, word('closing', c.closing_code, ''), now);
  const versions = [...(c.versions ?? [])].sort((a, b) => b.version - a.version);
  return (
    <main className={stale ? 'main stale' : 'main'}>
      {bar(
        <>
          <h1>{c.number || `${word('ckind', c.kind)} ${c.receipt_no}`}</h1>
          <CaseTag state={c.state} />
          <span className="dim">{word('cat', c.category)} · {c.unit}</span>
        </>,
      )}
      <div className={`say ${say.tone}`} role="status">
        <Icon name={say.tone === 'good' ? 'check' : 'warn'} />
        <span>{say.keys.map((k, i) => (i === 0 ? <b key={k}>{t(k, say.vars)}</b> : <span key={k}>{t(k, say.vars)}</span>))}</span>
      </div>
      <div className="casecols">
        <Papers c={c} />
        <div className="casecol">
          <section className="card">
            <h2>{t('ca.facts')}</h2>
            <dl className="kv pad">
              <Fact name={t('ca.receipt')} value={<b className="num">{c.receipt_no}</b>} />
              {c.number !== '' && <Fact name={t('ca.number')} value={c.number} />}
              <Fact name={t('ca.parties')} value={c.parties.join('、') || '–'} />
              <Fact name={t('ca.came')} value={moment(c.received_at)} />
              {c.kind === 'dossier' && (
                <>
                  <Fact name={t('ca.effective')} value={c.effective_at === null ? '–' : moment(c.effective_at)} />
                  {c.closing_code !== '' && <Fact name={t('ca.closing')} value={word('closing', c.closing_code)} />}
                  <Fact name={t('ca.confirm.long')} value={<LastDay on={c.confirm_last_on} now={now} />} />
                  <Fact name={t('ca.follow.long')} value={dayWord(c.followup_on, now)} />
                </>
              )}
              <Fact name={t('ca.rating')} value={c.rating === null ? t('ca.rating.none') : t('ca.score', { n: c.rating })} />
            </dl>
          </section>
          <section className="card grow">
            <h2>{t('ca.versions')} <small>{t('ca.versions.note')}</small></h2>
            <ul className="vers">{versions.map((v) => <VersionLine key={v.version} v={v} id={c.id} now={now} />)}</ul>
          </section>
        </div>
      </div>
    </main>
  );
}

const moment = (at: number): string => `${dayOf(at, Date.now() * 1000)}${dayText(at).replace(/^\S+/, '')} ${hourMinute(at)}`;

function Fact({ name, value }: { name: string; value: ReactNode }) {
  return <div><dt>{name}</dt><dd>{value}</dd></div>;
}

function Papers({ c }: { c: Case }) {
  const rows = shelves(c);
  const sum = tally(c.checklist ?? [], c.state);
  const many = (c.versions ?? []).length > 1;
  const listed = sum.all > 0; // a consultation has no list of papers, only its files
  return (
    <section className="card papers">
      <h2>{t(listed ? 'ca.papers' : 'ca.files')} {listed && <small>{sum.missing.length === 0 ? t('ca.papers.full', { n: sum.there, all: sum.all }) : t('ca.papers.short', { n: sum.there, all: sum.all, missing: sum.missing.join('、') })}</small>}</h2>
      <div className="tbl scroll">
        <table>
          {listed && <thead><tr><th>{t('ca.p.no')}</th><th>{t('ca.p.title')}</th><th>{t('ca.p.files')}</th></tr></thead>}
          <tbody>{rows.map((s) => <ShelfRow key={s.paper} s={s} c={c} many={many} listed={listed} />)}</tbody>
        </table>
        {rows.length === 0 && <div className="calmly">{t('ca.p.none')}</div>}
      </div>
      {listed && <div className="end">{t('ca.p.hint')}</div>}
    </section>
  );
}

function ShelfRow({ s, c, many, listed }: { s: Shelf; c: Case; many: boolean; listed: boolean }) {
  return (
    <tr>
      {listed && <td className="num no">{s.paper === 0 ? '' : s.paper}</td>}
      {listed && <td>{s.paper === 0 ? <span className="dim">{t('ca.p.other')}</span> : <>{s.title}{s.must && <span className="must" title={t('ca.p.must')}> *</span>}</>}</td>}
      <td>
        {s.files.map((p) => <FileLine key={`${p.digest}${p.name}${p.version}`} p={p} id={c.id} many={many} />)}
        {s.files.length === 0 && (lacking(s, c.state) ? <span className="tag r">✕ {t('ca.p.lack')}</span> : <span className="dim">{t(s.present ? 'ca.p.there' : 'ca.p.notyet')}</span>)}
      </td>
    </tr>
  );
}

function FileLine({ p, id, many }: { p: Paper; id: string; many: boolean }) {
  return (
    <div className="file">
      <a href={fileHref(id, p.digest)} target="_blank" rel="noreferrer" title={`SHA-256 ${p.digest}`}>{p.name}</a>
      <span className="dim num">{sizeText(p.size)}{many && ` · ${t('ca.v', { n: p.version })}`}</span>
    </div>
  );
}

function VersionLine({ v, id, now }: { v: Version; id: string; now: number }) {
  return (
    <li>
      <div><b>{t('ca.v', { n: v.version })}</b><span className={`tag ${v.seal.ok ? 'g' : 'r'}`}>{v.seal.ok ? `✓ ${t('ca.seal.ok')}` : `✕ ${t('ca.seal.bad')}`}</span><span className="grow" /><a href={packageHref(id, v.version)}>{t('ca.package')}</a></div>
      <p className="num">{v.receipt_no}<span className="dim">{dayOf(v.received_at, now)} {hourMinute(v.received_at)}</span></p>
      <p className="dim" title={v.seal.kid}>{t('ca.seal.by', { alg: word('alg', v.seal.alg), kid: v.seal.kid.slice(-12) })}</p>
      <p className="dim mono" title={v.delivery_id}>{t('ca.delivery', { id: v.delivery_id.slice(0, 16) })}</p>
    </li>
  );
}
