import { useMemo } from 'react';
import tiles from '../../tiles/1504.json';
import { hourMinuteSecond } from '../core/clock';
import { useTick } from '../core/hooks.react';
import type { FactView } from '../core/facts';
import type { DeviceRow, Overview } from '../core/types';
import type { Staff } from '../staff/gate';
import { count, lasted, pastTime, placeLine, rate, stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import { Chip, Use } from './chips';
import { Beat } from './beat';
import { usePolled, useShared, type SessionRow } from './data';
import { seenText } from './devices';
import { engineTier, lanes, saying, shade, worst, type Node } from './fleet';
import { t, word } from './t';
import { go, hrefOf, type Place } from './url';

type Rows = { rows: DeviceRow[] | null; total: number; next: string };

/** One sentence, six numbers that filter, where it is worst, what waits, and the devices to see to. */
export function OverviewPage({ staff, here, place, mayQueue, stale }: { staff: Staff; here: Node; place: Place; mayQueue: boolean; stale: boolean }) {
  const { overview, queue, at } = useShared();
  useTick(1000);
  if (overview === null) return <div className="main" />;
  const now = Date.now() * 1000;
  const say = saying(overview, here, here.kids);
  const off = here.devices - here.online;
  const longest = Math.max(0, ...(queue ?? []).filter((k) => k.state === 'waiting').map((k) => k.waited_s));
  const at0 = { view: 'devices' as const, unit: place.unit };
  const { met, missed } = overview.today;
  const todo = undone(overview, place.unit);
  return (
    <main className={stale ? 'main stale' : 'main'}>
      <div className={`say ${say.tone}`} role="status">
        <Icon name={say.tone === 'good' ? 'ear' : 'warn'} />
        <b>{t(say.key, say.vars)}</b>
        <span className="fresh"><i className="live">●</i> {t('line.live', { time: hourMinuteSecond(at * 1000) })}</span>
      </div>
      <div className="six">
        <Card to={mayQueue ? { view: 'queue' } : null} title={t('card.met')} n={count(overview.today.met)} unit={t('card.met.unit')} sub={t('card.met.sub', { live: overview.sessions.live, ring: overview.tickets.ringing })} />
        <Card
          to={mayQueue ? { view: 'queue' } : null}
          title={t('card.wait')}
          n={count(overview.tickets.waiting)}
          unit={t('card.wait.unit')}
          sub={overview.tickets.waiting === 0 ? t('card.wait.none') : longest > 0 ? t('card.wait.sub', { time: stopwatch(longest) }) : ' '}
        />
        <Card
          to={mayQueue ? { view: 'queue' } : null} title={t('card.waited')}
          n={overview.today.met === 0 ? '–' : stopwatch(overview.today.wait_p50_ms / 1000)} unit={overview.today.met === 0 ? '' : `/ ${stopwatch(overview.today.wait_p95_ms / 1000)}`}
          sub={t('card.seats.sub', { ready: overview.seats.ready, busy: overview.seats.busy, away: overview.seats.away })}
          tone={overview.seats.ready === 0 && overview.tickets.waiting > 0 ? 'down' : ''}
        />
        <Card
          to={null} title={t('card.rate')} n={met + missed === 0 ? '–' : ((100 * met) / (met + missed)).toFixed(1)} unit={met + missed === 0 ? '' : '%'}
          sub={missed === 0 ? (overview.rated.count === 0 ? t('card.rated.none') : t('card.rated.sub', { n: overview.rated.count, avg: overview.rated.avg.toFixed(1) })) : t('card.rate.sub', { n: missed })}
          tone={met + missed > 0 && met / (met + missed) < 0.95 ? 'down' : ''}
        />
        <Card to={{ ...at0, chip: 'online' }} title={t('card.online')} n={count(here.online)} unit={`/ ${count(here.devices)}`} sub={t('card.online.sub', { rate: rate(here.online, here.devices), n: count(overview.devices.suspect) })} tone={off > 0 ? '' : 'up'} />
        <Card
          to={todo.to ?? { ...at0, chip: 'offline', class: 'public' }} title={t('card.todo')} n={count(todo.n)} unit={t('card.todo.unit')}
          sub={todo.n === 0 ? t('card.todo.none', { n: count(overview.devices.fault) }) : todo.text} tone={todo.n > 0 ? 'down' : ''}
        />
      </div>
      <div className="mid">
        <Grid here={here} place={place} />
        <section className="card">
          <h2>{t('see.title')} <small>{t('see.note')}</small></h2>
          <ToSee kids={here.kids} />
        </section>
        <div className="stack">
          <section className="card">
            <h2>{t('lanes.title')} <small>{t('lanes.note')}</small></h2>
            <Lanes />
          </section>
          {mayQueue && <section className="card"><h2>{t('s.title')} <small>{t('s.note', { n: overview.sessions.live })}</small></h2><Talks staff={staff} /></section>}
        </div>
      </div>
      <div className="low">
        <Todo staff={staff} place={place} total={here.devices} now={now} />
        <section className="card gates">
          <h2>{t('gw.title')} <small>{t('gw.note')}</small></h2>
          <Gateways now={now} />
        </section>
      </div>
    </main>
  );
}

/** What nobody has dealt with yet, the gravest first, and where it is seen to. */
function undone(o: Overview, unit: string): { n: number; text: string; to: Partial<Place> | null } {
  const lost = o.gateways.filter((g) => g.state === 'lost').length;
  const n = lost + o.handoffs.dead + o.devices.quarantined;
  if (lost > 0) return { n, text: t('card.todo.lost', { n: lost }), to: null };
  if (o.handoffs.dead > 0) return { n, text: t('card.todo.dead', { n: o.handoffs.dead }), to: { view: 'handoffs', state: 'dead' } };
  return { n, text: t('card.todo.quarantined', { n: o.devices.quarantined }), to: o.devices.quarantined > 0 ? { view: 'devices', unit, chip: 'quarantined' } : null };
}

function Card({ to, title, n, unit, sub, tone = '' }: { to: Partial<Place> | null; title: string; n: string; unit: string; sub: string; tone?: string }) {
  const inner = <><span>{title}</span><b>{n} <small>{unit}</small></b><em className={tone}>{sub}</em></>;
  if (to === null) return <div className="cell">{inner}</div>;
  return <a className="cell" href={hrefOf(to)} onClick={(e) => { e.preventDefault(); go(to); }}>{inner}</a>;
}

/** The county units on their hand-placed cells; below a county, its own children in order. Never a map. */
function Grid({ here, place }: { here: Node; place: Place }) {
  const cells = useMemo(() => {
    const placed = tiles.cells.flatMap((c) => {
      const n = here.kids.find((k) => k.code.startsWith(c.code));
      return n === undefined ? [] : [{ n, col: c.col, row: c.row, name: c.short }];
    });
    if (placed.length === tiles.cells.length) return placed;
    return here.kids.map((n, i) => ({ n, col: (i % 5) + 1, row: Math.floor(i / 5) + 1, name: n.name.replace(/（示例）$/, '') }));
  }, [here]);
  const whole = cells.length === tiles.cells.length && cells.every((c) => c.n.level === 'county');
  return (
    <section className="card">
      <h2>{whole ? t('grid.title') : `${here.name} ${t('grid.units')}`} {whole && <small>{t('grid.note')}</small>}</h2>
      <div className="tiles">
        {cells.map(({ n, col, row, name }) => {
          const s = shade(n.online, n.devices);
          return (
            <button key={n.id} type="button" className={`tile ${s}`} style={{ gridColumn: col, gridRow: row }} onClick={() => go({ ...place, unit: n.id })}>
              <span>{s === 'r' ? '✕ ' : ''}{name}</span><b>{rate(n.online, n.devices)}</b>
            </button>
          );
        })}
      </div>
      <div className="legend">
        {t('grid.legend')}<i className="tile r" />{t('grid.l0')}<i className="tile y" />{t('grid.l1')}<i className="tile g2" />{t('grid.l2')}<i className="tile g3" />{t('grid.l3')}<i className="tile none" />{t('grid.l4')}
      </div>
    </section>
  );
}

/** What to look at, one line a place and cause: lost gateways, packages that went nowhere, places that are dark. */
function ToSee({ kids }: { kids: Node[] }) {
  const { overview } = useShared();
  const now = Date.now() * 1000;
  const losses = (overview?.losses ?? []).slice(0, 2);
  const dead = overview?.handoffs.dead ?? 0;
  const list = worst(kids, 5 - losses.length - (dead > 0 ? 1 : 0));
  if (list.length + losses.length + dead === 0) return <div className="calmly"><Icon name="ear" size={28} />{t('worst.none')}</div>;
  return (
    <ul className="al">
      {losses.map((l) => {
        const back = l.links === 0 ? 100 : Math.floor((100 * l.back) / l.links);
        const open = l.settled_at === 0;
        return (
          <li key={`${l.node}${l.at}`}>
            <span className={open ? 'tag r' : 'tag t'}>{open ? `✕ ${t('see.urgent')}` : `■ ${t('see.over')}`}</span>
            <div className="place">
              <b>{t(l.why === 'restarted' ? 'see.restarted' : open ? 'see.lost' : 'see.lost.over', { node: l.node, links: count(l.links), back })}</b>
              <small>{t('see.lost.sub', { time: pastTime(l.at, now), moving: count(l.moving), off: count(l.off) })}</small>
            </div>
          </li>
        );
      })}
      {dead > 0 && (
        <li>
          <span className="tag r">✕ {t('see.urgent')}</span>
          <button type="button" className="place" onClick={() => go({ view: 'handoffs', state: 'dead' })}><b>{t('see.dead', { n: dead })}</b><small>{t('see.dead.sub')}</small></button>
        </li>
      )}
      {list.map((u) => {
        const bad = shade(u.online, u.devices) === 'r';
        return (
          <li key={u.id}>
            <span className={bad ? 'tag r' : 'tag y'}>{bad ? '✕' : '▲'} {rate(u.online, u.devices)}</span>
            <button type="button" className="place" onClick={() => go({ view: 'devices', unit: u.id, chip: 'offline' })}>
              <b>{u.name}</b><small>{t('worst.line', { off: count(u.devices - u.online), total: count(u.devices) })}</small>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function Talks({ staff }: { staff: Staff }) {
  const s = usePolled<{ rows: SessionRow[] | null }>(staff.api, '/console/sessions', 5000);
  const now = Date.now() * 1000;
  const rows = (s.value?.rows ?? []).slice(0, 3);
  if (rows.length === 0) return <div className="calmly small">{t('s.none')}</div>;
  return (
    <ul className="talks">
      {rows.map((r) => <li key={r.id}><b>{r.no}</b><span>{word('cat', r.category)} · {placeLine(r.place, 1)}</span><span className="dim">{r.mediator} {r.started_at > 0 ? stopwatch((now - r.started_at) / 1e6) : '–'}</span></li>)}
    </ul>
  );
}

const NODE: Record<string, { icon: string; tone: string }> = { up: { icon: '●', tone: 'g' }, late: { icon: '◔', tone: 'y' }, lost: { icon: '✕', tone: 'r' }, gone: { icon: '◌', tone: '' } };

/** The nodes with what they carry, and the packages that have not arrived. */
function Gateways({ now }: { now: number }) {
  const { overview } = useShared();
  if (overview === null) return null;
  const most = Math.max(1, ...overview.gateways.map((g) => g.links));
  const { queued, dead } = overview.handoffs;
  return (
    <>
      <ul className="nodes">
        {overview.gateways.map((g) => {
          const look = NODE[g.state] ?? { icon: '–', tone: '' };
          return (
            <li key={g.node}>
              <span className={`tag ${look.tone}`}>{look.icon} {word('node', g.state)}</span>
              <b title={g.node}>{g.node}</b>
              <u><i style={{ width: `${(100 * g.links) / most}%` }} /></u>
              <span className="dim">{g.state === 'up' || g.state === 'late' ? t('gw.load', { links: count(g.links), rooms: g.rooms }) : t('gw.since', { time: pastTime(g.at, now) })}</span>
            </li>
          );
        })}
      </ul>
      <a className={dead > 0 ? 'handline bad' : 'handline'} href={hrefOf({ view: 'handoffs' })} onClick={(e) => { e.preventDefault(); go({ view: 'handoffs', state: dead > 0 ? 'dead' : '' }); }}>
        <span>{t('gw.handoffs')}</span><b>{t('gw.queued', { n: queued })}</b><b className={dead > 0 ? 'down' : ''}>{t('gw.dead', { n: dead })}</b>
      </a>
    </>
  );
}

function Lanes() {
  const { queue } = useShared();
  const list = lanes(queue ?? []).slice(0, 7);
  const most = list[0]?.n ?? 1;
  if (list.length === 0) return <div className="calmly"><Icon name="ear" size={28} />{t('lanes.none')}</div>;
  return (
    <div className="lanes">
      {list.map((l) => (
        <div key={l.category}>
          <span>{word('cat', l.category)}</span>
          <u><i className={l.longest > 900 ? 'late' : ''} style={{ width: `${(100 * l.n) / most}%` }} /></u>
          <span>{t('lanes.line', { n: l.n, time: stopwatch(l.longest) })}</span>
        </div>
      ))}
    </div>
  );
}

const TODO = ['quarantined', 'pending', 'offline', 'lost'] as const;

function Todo({ staff, place, total, now }: { staff: Staff; place: Place; total: number; now: number }) {
  const query = (chip: string) => `/devices?chip=${chip}&limit=8${chip === 'offline' ? '&class=public&sort=since&desc=1' : ''}${place.unit === '' ? '' : `&unit=${place.unit}`}`;
  const a = usePolled<Rows>(staff.api, query(TODO[0]), 10_000);
  const b = usePolled<Rows>(staff.api, query(TODO[1]), 10_000);
  const c = usePolled<Rows>(staff.api, query(TODO[2]), 10_000);
  const d = usePolled<Rows>(staff.api, query(TODO[3]), 10_000);
  const few = (f: FactView<Rows>, n: number) => (f.value?.rows ?? []).slice(0, n);
  const rows = [...few(a, 2), ...few(b, 2), ...few(c, 6), ...few(d, 2)].slice(0, 6);
  const placeOf = (r: DeviceRow) => ({ view: 'devices' as const, unit: place.unit, chip: r.chip, device: r.id });
  const open = (r: DeviceRow) => go(placeOf(r));
  return (
    <section className="card grow todo">
      <h2>{t('todo.title')} <small>{t('todo.note')}</small><span className="grow" /><button type="button" className="link" onClick={() => go({ view: 'devices', unit: place.unit })}>{t('todo.all', { n: count(total) })}</button></h2>
      <div className="tbl">
        <table>
          <thead>
            <tr><th className="w-chip">{t('col.chip')}</th><th>{t('col.name')}</th><th className="w-kind">{t('col.kind')}</th><th className="w-place">{t('col.place')}</th><th className="w-engine">{t('col.engine')}</th><th className="w-day">{t('col.day')}</th><th className="w-seen">{t('col.seen')}</th></tr>
          </thead>
          <tbody>
            {rows.map((r) => (
              <tr key={r.id} onClick={() => open(r)}>
                <td><Chip chip={r.chip} klass={r.class} /><Use row={r} /></td>
                <td title={`${r.name} ${r.serial}`}><a className="rowname" href={hrefOf(placeOf(r))} onClick={(e) => { e.preventDefault(); e.stopPropagation(); open(r); }}>{r.name || t('noname')}</a></td>
                <td>{word('kind', r.kind)}</td>
                <td title={r.place.join(' › ')}>{placeLine(r.place, 1)}</td>
                <td>{engineTier(r.engine)}</td>
                <td><Beat day={r.day ?? ''} /></td>
                <td>{seenText(r, now)}{r.since_at > 0 && <span className="dim"> · {lasted((now - r.since_at) / 1e6)}</span>}</td>
              </tr>
            ))}
          </tbody>
        </table>
        {rows.length === 0 && c.value !== null && <div className="calmly"><Icon name="ear" size={28} />{t('todo.none')}</div>}
      </div>
    </section>
  );
}
