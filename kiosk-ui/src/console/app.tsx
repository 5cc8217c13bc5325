import { Button, Dropdown } from 'antd';
import { lazy, Suspense, useMemo, useRef } from 'react';
import { hourMinuteSecond } from '../core/clock';
import { useTick } from '../core/hooks.react';
import { Gate, Sheet, type Staff } from '../staff/gate';
import { useLine } from '../staff/line';
import { dateLine } from '../staff/format';
import { Icon } from '../staff/icons';
import { errorSentence } from '../staff/t';
import type { HandoffRow } from './cases';
import { ClaimsPage } from './claims';
import { CommonContext, useCommon, usePolled, type Claim } from './data';
import { DevicesPage } from './devices';
import { findNode, treeOf, type Node } from './fleet';
import type { ViewFeed } from './fleetlist';
import { OverviewPage } from './overview';
import type { Page } from './paged';
import { QueuePage } from './queue';
import type { Delta } from './windows';
import { Tree } from './tree';
import { t } from './t';
import { go, hrefOf, usePlace, type Place } from './url';

const CasesPage = lazy(() => import('./caselist'));
const HandoffsPage = lazy(() => import('./handoffs'));
const DevicePage = lazy(() => import('./devicepage'));

export function ConsoleApp() {
  return <Gate page={t('console.name')}>{(staff) => (rights(staff).cases ? <Workplace key={staff.me.staff.id} staff={staff} /> : <NotHere staff={staff} />)}</Gate>;
}

/** What a person's roles open here; the server decides again. `see` is fleet, queue figures and hand-offs. */
type Rights = { cases: boolean; see: boolean; operate: boolean; dispatch: boolean };

const READERS = ['mediator', 'lawyer', 'worker', 'operator', 'dispatcher', 'auditor'];

function rights(s: Staff): Rights {
  const has = (r: string) => s.me.staff.roles.includes(r);
  return { operate: has('operator'), dispatch: has('dispatcher'), see: has('operator') || has('dispatcher'), cases: READERS.some(has) };
}

function NotHere({ staff }: { staff: Staff }) {
  return (
    <Sheet title={t('console.not_for_you')}>
      <p>{t('console.not_for_you.do')}</p>
      <Button onClick={() => void staff.signOut()}>{t('signin.leave')}</Button>
    </Sheet>
  );
}

const STALE_MS = 5000;

function Workplace({ staff }: { staff: Staff }) {
  const place = usePlace();
  const may = rights(staff);
  const common = useCommon(staff.api, { see: may.see, queue: may.dispatch });
  const feed = useRef<ViewFeed>({ onDelta: null }).current;
  const line = useLine(staff, 'console', {
    frame: (type, b) => {
      if (type === 'view.delta') feed.onDelta?.(b as Delta);
    },
    up: () => undefined,
  });
  const roots = useMemo(() => (common.units === null ? [] : treeOf(common.units)), [common.units]);
  const here = (place.unit === '' ? null : findNode(roots, place.unit)) ?? roots[0] ?? null;
  useTick(1000);
  const now = Date.now();
  // The link and the sweeps are two proofs of freshness; the older one counts.
  const halted = line.downSince > 0 && now - line.downSince > STALE_MS ? line.downSince : 0;
  const late = common.at > 0 && now - common.at > 3 * STALE_MS ? common.at : 0;
  const staleAt = halted !== 0 && late !== 0 ? Math.min(halted, late) : halted || late;

  if (line.elsewhere) {
    return (
      <Sheet title={t('other.title')}>
        <p>{t('other.text')}</p>
        <Button type="primary" onClick={line.resume}>{t('other.go')}</Button>
      </Sheet>
    );
  }
  if (here === null) {
    const e = common.error === null ? null : errorSentence(common.error.code);
    return <Sheet title={e === null ? t('loading') : e.what}>{e !== null && <p>{e.todo}</p>}</Sheet>;
  }
  const stale = staleAt > 0;
  return (
    <CommonContext value={common}>
      <Header staff={staff} place={place} may={may} newer={line.newer} />
      {stale && <div className="stalebar" role="alert"><Icon name="warn" size={16} /><b>{t('line.stale', { time: hourMinuteSecond(staleAt * 1000) })}</b>{t('fresh.stale.do')}</div>}
      <div className={stale ? 'con short' : 'con'}>
        <Tree roots={roots} place={place} devices={may.see} />
        <Screen staff={staff} place={place} here={here} roots={roots} may={may} line={line} feed={feed} stale={stale} />
      </div>
    </CommonContext>
  );
}

function Screen(p: { staff: Staff; place: Place; here: Node; roots: Node[]; may: Rights; line: ReturnType<typeof useLine>; feed: ViewFeed; stale: boolean }) {
  const { staff, place, here, may, stale } = p;
  if (place.view === 'cases' || !may.see) return <Suspense><CasesPage staff={staff} here={here} place={place.view === 'cases' ? place : { ...place, view: 'cases' }} stale={stale} /></Suspense>;
  if (place.view === 'handoffs') return <Suspense><HandoffsPage staff={staff} here={here} place={place} stale={stale} /></Suspense>;
  if (place.view === 'device' && may.operate) return <Suspense><DevicePage staff={staff} place={place} stale={stale} /></Suspense>;
  if (place.view === 'devices' || place.view === 'device') return <DevicesPage staff={staff} here={here} place={place} line={p.line} feed={p.feed} stale={stale} mayChange={may.operate} />;
  if (place.view === 'queue' && may.dispatch) return <QueuePage staff={staff} here={here} stale={stale} />;
  if (place.view === 'enrol' && may.operate) return <ClaimsPage staff={staff} place={place} roots={p.roots} stale={stale} />;
  return <OverviewPage staff={staff} here={here} place={place} mayQueue={may.dispatch} stale={stale} />;
}

function Header({ staff, place, may, newer }: { staff: Staff; place: Place; may: Rights; newer: string }) {
  useTick(1000);
  const claims = usePolled<{ claims: Claim[] | null }>(staff.api, may.operate ? '/claims' : '', 10_000);
  const dead = usePolled<Page<HandoffRow>>(staff.api, may.see ? '/handoffs?state=dead' : '', 15_000);
  const now = Date.now() * 1000;
  const n = (claims.value?.claims ?? []).filter((c) => c.expires_at > now).length;
  const here = !may.see ? 'cases' : place.view === 'device' ? 'devices' : place.view;
  const tab = (view: Place['view'], text: string, badge = 0) => (
    <a href={hrefOf({ view, unit: place.unit })} className={here === view ? 'on' : ''} {...(here === view ? { 'aria-current': 'page' as const } : {})} onClick={(e) => { e.preventDefault(); go({ view, unit: place.unit }); }}>
      {text}{badge > 0 && <i className="badge">{badge}</i>}
    </a>
  );
  const { staff: who } = staff.me;
  return (
    <header className="hd">
      <span className="logo"><Icon name="scale" /></span>
      <span className="name">{t('staff.brand')} {t('console.name')}</span>
      <nav>
        {may.see && tab('overview', t('nav.overview'))}
        {may.see && tab('devices', t('nav.devices'))}
        {may.dispatch && tab('queue', t('nav.queue'))}
        {tab('cases', t('nav.cases'))}
        {may.see && tab('handoffs', t('nav.handoffs'), dead.value?.total ?? 0)}
        {may.operate && tab('enrol', t('nav.enrol'), n)}
      </nav>
      <span className="grow" />
      {newer !== '' && <button type="button" className="pill" onClick={() => location.reload()}>{t('version.new')}，{t('version.go')}</button>}
      <span className="org num">{staff.me.demo && `${t('demo')}　`}{dateLine(now)}</span>
      <Dropdown
        trigger={['click']}
        popupRender={() => (
          <div className="whoami">
            <b>{who.name}</b><span>{who.title}</span><span>{who.unit.path.join(' › ') || who.unit.name}</span>
            <Button block onClick={() => void staff.signOut()}>{t('signin.leave')}</Button>
          </div>
        )}
      >
        <button type="button" className="ava" aria-label={who.name}>{Array.from(who.name).at(0)}</button>
      </Dropdown>
    </header>
  );
}
