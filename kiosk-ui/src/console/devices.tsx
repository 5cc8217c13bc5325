import { Dropdown, Table, type TableColumnsType } from 'antd';
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react';
import { hourMinuteSecond } from '../core/clock';
import { asApiError } from '../core/api';
import type { DeviceRow } from '../core/types';
import type { Staff } from '../staff/gate';
import type { Line } from '../staff/line';
import { count, pastTime, placeLine } from '../staff/format';
import { Chip, ChipHead, CHIPS, Simulated, Use } from './chips';
import { usePolled, useShared } from './data';
import { Drawer } from './drawer';
import { engineTier, type Node } from './fleet';
import { useLiveDevices, WINDOW, type ViewFeed } from './live';
import { t, word } from './t';
import { go, hrefOf, type Place } from './url';

const KINDS = ['stb', 'kiosk', 'tablet', 'app'] as const;
type Page = { rows: DeviceRow[] | null; next: string; total: number };

/** How the device list is asked for by REST: for a text search, and for what lies beyond the live window. */
export function listPath(p: Pick<Place, 'unit' | 'chip' | 'kind' | 'q'>, limit: number, cursor = ''): string {
  const s = new URLSearchParams();
  for (const k of ['unit', 'chip', 'kind', 'q'] as const) if (p[k] !== '') s.set(k, p[k]);
  s.set('limit', String(limit));
  if (cursor !== '') s.set('cursor', cursor);
  return `/devices?${s.toString()}`;
}

export function DevicesPage({ staff, here, place, line, feed, stale, mayChange }: { staff: Staff; here: Node; place: Place; line: Line; feed: ViewFeed; stale: boolean; mayChange: boolean }) {
  const searching = place.q !== '';
  const live = useLiveDevices(line.link, line.up, feed, place, !searching);
  const found = usePolled<Page>(staff.api, searching ? listPath(place, WINDOW) : '', 5000);
  const more = useMore(staff, place);
  const base = searching ? (found.value?.rows ?? []) : live.rows;
  const rows = useMemo(() => {
    const ids = new Set(base.map((r) => r.id));
    return [...base, ...more.rows.filter((r) => !ids.has(r.id))];
  }, [base, more.rows]);
  const total = searching ? (found.value?.total ?? 0) : live.total;
  const loading = searching ? found.value === null : live.loading;
  const at = searching ? found.at * 1000 : live.at;

  const box = useRef<HTMLDivElement>(null);
  const height = useHeight(box);
  const open = useRef((id: string) => id);
  open.current = (id) => {
    go({ ...place, device: id });
    return id;
  };
  const columns = useColumns(live.gone, open);

  return (
    <main className={stale ? 'main stale' : 'main'}>
      <States place={place} here={here} />
      <div className="filters">
        {place.unit !== '' && <Pill text={here.name} onDrop={() => go({ ...place, unit: '' })} />}
        <Dropdown
          trigger={['click']}
          menu={{ items: [{ key: '', label: t('dev.kind.all') }, ...KINDS.map((k) => ({ key: k, label: word('kind', k) }))], onClick: ({ key }) => go({ ...place, kind: key, device: '' }) }}
        >
          <button type="button" className="pillf">{place.kind === '' ? t('dev.kind.all') : t('dev.kind', { v: word('kind', place.kind) })} ▾</button>
        </Dropdown>
        {place.chip !== '' && <Pill text={word('chip', place.chip)} onDrop={() => go({ ...place, chip: '' })} />}
        {searching && <Pill text={t('dev.q', { q: place.q })} onDrop={() => go({ ...place, q: '' })} />}
        <span className="grow" />
        <span className="dim">{at > 0 && t('dev.live', { time: hourMinuteSecond(at) })}</span>
      </div>
      <section className="card grow devtable">
        {live.moved > 0 && !searching && (
          <div className="news" role="status"><i>●</i>{t('dev.moved', { n: live.moved })}<button type="button" className="link" onClick={live.reorder}>{t('dev.reorder')}</button></div>
        )}
        <div className="tbl" ref={box}>
          {height > 0 && (
            <Table<DeviceRow>
              virtual
              size="small"
              rowKey="id"
              columns={columns}
              dataSource={rows}
              pagination={false}
              loading={loading && rows.length === 0}
              scroll={{ x: 1080, y: height - 38 }}
              rowClassName={(r) => `${r.id === place.device ? 'sel' : ''}${live.gone.has(r.id) ? ' gone' : ''}`}
              onRow={(r) => ({ onClick: () => open.current(r.id) })}
              locale={{ emptyText: <div className="calmly"><b>{t('dev.none')}</b>{t('dev.none.do')}</div> }}
            />
          )}
        </div>
        <div className="end">
          <span>{t('dev.count', { place: here.name, total: count(total), shown: count(rows.length) })}</span>
          {rows.length < total && <button type="button" className="link" disabled={more.busy} onClick={more.load}>{t('dev.more')}</button>}
          <span className="grow" />
          <span>{t('dev.hint')}</span>
        </div>
      </section>
      <Drawer staff={staff} id={place.device} mayChange={mayChange} onClose={() => go({ ...place, device: '' })} />
    </main>
  );
}

function Pill({ text, onDrop }: { text: string; onDrop: () => void }) {
  return <button type="button" className="pillf on" title={t('dev.drop')} onClick={onDrop}>{text} <s>✕</s></button>;
}

/** The chips as filters, with the server's counts where it gives them. */
function States({ place, here }: { place: Place; here: Node }) {
  const { overview } = useShared();
  const whole = place.unit === '' && overview !== null;
  const n: Partial<Record<string, number>> = { online: here.online, ...(whole ? { suspect: overview.devices.suspect, offline: overview.devices.offline } : {}) };
  return (
    <div className="states">
      <button type="button" className={place.chip === '' ? 'on' : ''} onClick={() => go({ ...place, chip: '', device: '' })}><span className="tag t">{t('dev.all')}</span><b>{count(here.devices)}</b></button>
      {CHIPS.slice(0, 7).map((c) => (
        <button key={c} type="button" className={place.chip === c ? 'on' : ''} aria-pressed={place.chip === c} onClick={() => go({ ...place, chip: place.chip === c ? '' : c, device: '' })}>
          <Chip chip={c} /><b>{n[c] === undefined ? '' : count(n[c])}</b>
        </button>
      ))}
    </div>
  );
}

/** What lies beyond the live window, fetched on request by the list's own cursor. */
function useMore(staff: Staff, place: Place): { rows: DeviceRow[]; busy: boolean; load: () => void } {
  const key = `${place.unit}|${place.chip}|${place.kind}|${place.q}`;
  const [state, setState] = useState<{ key: string; rows: DeviceRow[]; next: string | null }>({ key, rows: [], next: null });
  const [busy, setBusy] = useState(false);
  useEffect(() => setState({ key, rows: [], next: null }), [key]);
  const load = useCallback(async () => {
    setBusy(true);
    try {
      // The live window ends where the first REST page of its size ends.
      const next = state.next ?? (await staff.api.get<Page>(listPath(place, WINDOW))).next;
      if (next === '') return;
      const page = await staff.api.get<Page>(listPath(place, 100, next));
      setState((s) => (s.key === key ? { key, rows: [...s.rows, ...(page.rows ?? [])], next: page.next } : s));
    } catch (e) {
      asApiError(e); // the banner says that the line is down; the button stays for another try
    } finally {
      setBusy(false);
    }
  }, [staff, place, key, state.next]);
  return { rows: state.rows, busy, load: () => void load() };
}

function useHeight(ref: React.RefObject<HTMLDivElement | null>): number {
  const [h, setH] = useState(0);
  useLayoutEffect(() => {
    const el = ref.current;
    if (el === null) return;
    const seen = new ResizeObserver(() => setH(el.clientHeight));
    seen.observe(el);
    return () => seen.disconnect();
  }, [ref]);
  return h;
}

/** "14:20，断网": causes that only repeat the life of the device are left out. */
export function seenText(r: DeviceRow, nowAt: number): string {
  const cause = word('cause', r.cause, '');
  return cause === '' ? pastTime(r.seen_at, nowAt) : `${pastTime(r.seen_at, nowAt)}，${cause}`;
}

function useColumns(gone: ReadonlySet<string>, open: React.RefObject<(id: string) => string>): TableColumnsType<DeviceRow> {
  return useMemo(() => {
    const now = () => Date.now() * 1000;
    return [
      { key: 'chip', title: <ChipHead />, width: 176, render: (_, r) => <><Chip chip={r.chip} klass={r.class} /><Use row={r} /></> },
      {
        key: 'name',
        title: t('col.name'),
        width: 176,
        ellipsis: true,
        render: (_, r) => (
          <>
            <a
              className="rowname"
              href={hrefOf({ view: 'devices', device: r.id })}
              title={gone.has(r.id) ? t('dev.gone') : r.name}
              onClick={(e) => {
                e.preventDefault();
                e.stopPropagation();
                open.current(r.id);
              }}
            >
              {r.name || t('noname')}
            </a>
            <Simulated on={r.simulated} />
          </>
        ),
      },
      { key: 'serial', title: t('col.serial'), width: 132, ellipsis: true, render: (_, r) => <span className="dim">{r.serial}</span> },
      { key: 'kind', title: t('col.kind'), width: 108, render: (_, r) => `${word('kind', r.kind)} · ${word('class', r.class)}` },
      { key: 'place', title: t('col.place'), width: 172, ellipsis: true, render: (_, r) => placeLine(r.place) },
      { key: 'model', title: t('col.model'), width: 76, ellipsis: true, render: (_, r) => r.model || '–' },
      { key: 'engine', title: t('col.engine'), width: 66, ellipsis: true, render: (_, r) => engineTier(r.engine) },
      { key: 'app', title: t('col.app'), width: 62, ellipsis: true, render: (_, r) => r.app_ver || '–' },
      { key: 'net', title: t('col.net'), width: 66, render: (_, r) => (r.chip !== 'online' ? <span className="dim">{r.chip === 'suspect' ? '–' : '断'}</span> : r.rtt_ms === null ? <span className="dim">–</span> : `${Math.round(r.rtt_ms)} ms`) },
      { key: 'seen', title: t('col.seen'), width: 120, ellipsis: true, render: (_, r) => (r.chip === 'online' ? '现在' : seenText(r, now())) },
    ];
  }, [gone, open]);
}
