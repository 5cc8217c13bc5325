import { useMemo } from 'react';
import tiles from '../../tiles/1504.json';
import { hourMinuteSecond } from '../core/clock';
import { useTick } from '../core/hooks.react';
import type { FactView } from '../core/facts';
import type { DeviceRow } from '../core/types';
import type { Staff } from '../staff/gate';
import { count, lasted, placeLine, rate, stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import { Chip, Simulated, Use } from './chips';
import { usePolled, useShared } from './data';
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
  return (
    <main className={stale ? 'main stale' : 'main'}>
      <div className={`say ${say.tone}`} role="status">
        <Icon name={say.tone === 'good' ? 'ear' : 'warn'} />
        <b>{t(say.key, say.vars)}</b>
        <span className="fresh"><i className="live">●</i> {t('line.live', { time: hourMinuteSecond(at * 1000) })}</span>
      </div>
      <div className="six">
        <Card to={mayQueue ? { view: 'queue' } : null} title={t('card.live')} n={count(overview.sessions.live)} unit={t('card.live.unit')} sub={t('card.live.sub', { n: overview.tickets.ringing })} />
        <Card
          to={mayQueue ? { view: 'queue' } : null}
          title={t('card.wait')}
          n={count(overview.tickets.waiting)}
          unit={t('card.wait.unit')}
          sub={overview.tickets.waiting === 0 ? t('card.wait.none') : longest > 0 ? t('card.wait.sub', { time: stopwatch(longest) }) : ' '}
        />
        <Card to={mayQueue ? { view: 'queue' } : null} title={t('card.seats')} n={count(overview.seats.ready)} unit={t('card.seats.unit')} sub={t('card.seats.sub', { busy: overview.seats.busy, away: overview.seats.away })} tone={overview.seats.ready === 0 && overview.tickets.waiting > 0 ? 'down' : ''} />
        <Card to={null} title={t('card.rated')} n={overview.rated.count === 0 ? '–' : overview.rated.avg.toFixed(1)} unit={t('card.rated.unit')} sub={overview.rated.count === 0 ? t('card.rated.none') : t('card.rated.sub', { n: overview.rated.count })} />
        <Card to={{ ...at0, chip: 'online' }} title={t('card.online')} n={count(here.online)} unit={`/ ${count(here.devices)}`} sub={rate(here.online, here.devices)} tone="up" />
        <Card to={{ ...at0, chip: 'offline' }} title={t('card.off')} n={count(Math.max(0, off))} unit={t('card.off.unit')} sub={t('card.off.sub', { n: overview.devices.suspect })} tone={off > 0 ? 'down' : ''} />
      </div>
      <div className="mid">
        <Grid here={here} place={place} />
        <section className="card">
          <h2>{t('worst.title')} <small>{t('worst.note')}</small></h2>
          <Worst kids={here.kids} />
        </section>
        <section className="card">
          <h2>{t('lanes.title')} <small>{t('lanes.note')}</small></h2>
          <Lanes />
        </section>
      </div>
      <Todo staff={staff} place={place} total={here.devices} now={now} />
    </main>
  );
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

function Worst({ kids }: { kids: Node[] }) {
  const list = worst(kids, 5);
  if (list.length === 0) return <div className="calmly"><Icon name="ear" size={28} />{t('worst.none')}</div>;
  return (
    <ul className="al">
      {list.map((u) => (
        <li key={u.id}>
          <span className={shade(u.online, u.devices) === 'r' ? 'tag r' : 'tag y'}>{shade(u.online, u.devices) === 'r' ? '✕' : '▲'} {rate(u.online, u.devices)}</span>
          <button type="button" className="place" onClick={() => go({ view: 'devices', unit: u.id, chip: 'offline' })}>
            <b>{u.name}</b><small>{t('worst.line', { off: count(u.devices - u.online), total: count(u.devices) })}</small>
          </button>
        </li>
      ))}
    </ul>
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
  const query = (chip: string) => `/devices?chip=${chip}&limit=8${place.unit === '' ? '' : `&unit=${place.unit}`}`;
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
            <tr><th>{t('col.chip')}</th><th>{t('col.name')}</th><th>{t('col.serial')}</th><th>{t('col.kind')}</th><th>{t('col.place')}</th><th>{t('col.engine')}</th><th>{t('col.app')}</th><th>{t('col.seen')}</th></tr>
          </thead>
          <tbody>
            {rows.map((r) => (
              <tr key={r.id} onClick={() => open(r)}>
                <td><Chip chip={r.chip} klass={r.class} /><Use row={r} /></td>
                <td><a className="rowname" href={hrefOf(placeOf(r))} onClick={(e) => { e.preventDefault(); e.stopPropagation(); open(r); }}>{r.name || t('noname')}</a> <Simulated on={r.simulated} /></td>
                <td className="dim">{r.serial}</td>
                <td>{word('kind', r.kind)} · {word('class', r.class)}</td>
                <td>{placeLine(r.place)}</td>
                <td>{engineTier(r.engine)}</td>
                <td>{r.app_ver || '–'}</td>
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
