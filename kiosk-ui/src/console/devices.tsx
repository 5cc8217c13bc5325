import { Button, Checkbox, Dropdown, Input, Popover } from 'antd';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { hourMinuteSecond } from '../core/clock';
import type { DeviceRow } from '../core/types';
import type { Staff } from '../staff/gate';
import type { Line } from '../staff/line';
import { count, pastTime, placeLine } from '../staff/format';
import { Icon } from '../staff/icons';
import { errorSentence } from '../staff/t';
import { Beat } from './beat';
import { Chip, ChipDefs, CHIPS, Simulated, Use } from './chips';
import { usePolled } from './data';
import { Drawer } from './drawer';
import { engineTier, type Node } from './fleet';
import { query, useFleetList, type Chips, type ViewFeed } from './fleetlist';
import { Grid, type Column } from './grid';
import { readSaved, withSaved, writeSaved, type Saved } from './saved';
import { t, word } from './t';
import { go, hrefOf, parsePlace, type Place } from './url';

const KINDS = ['stb', 'kiosk', 'tablet', 'app'] as const;
const CLASSES = ['public', 'home', 'worker', 'mobile'] as const;
const TIERS = ['A', 'B', 'C', 'D'] as const;

export function DevicesPage({ staff, here, place, line, feed, stale, mayChange }: { staff: Staff; here: Node; place: Place; line: Line; feed: ViewFeed; stale: boolean; mayChange: boolean }) {
  const list = useFleetList(staff.api, line.link, line.up, feed, place);
  const [seen, setSeen] = useState<[number, number]>([0, 0]);
  const now = useRef(place);
  now.current = place;

  const { look } = list;
  const settle = useRef<ReturnType<typeof setTimeout>>(undefined);
  const onLook = useCallback((first: number, last: number) => {
    look(first, last);
    clearTimeout(settle.current);
    // Where one is in the list stands in the address as well, once one has come to rest.
    settle.current = setTimeout(() => {
      setSeen([first, last]);
      const row = first === 0 ? '' : String(first);
      if (now.current.view === 'devices' && now.current.row !== row) go({ ...now.current, row }, true);
    }, 400);
  }, [look]);
  useEffect(() => () => clearTimeout(settle.current), []);
  const open = useCallback((id: string) => go({ ...now.current, device: id }), []);
  const columns = useColumns(place, open);
  // The place in the address counts when the page or the list begins, not while one scrolls.
  const filterKey = query(place);
  const begin = useRef({ key: filterKey, row: Number(place.row) || 0, round: 0 });
  if (begin.current.key !== filterKey) begin.current = { key: filterKey, row: 0, round: begin.current.round + 1 };
  const { windows: w, moved } = list;

  return (
    <main className={stale ? 'main stale' : 'main'}>
      <States place={place} chips={list.chips} />
      <Filters staff={staff} here={here} place={place} />
      <section className="card grow devtable">
        {moved > 0 && (
          <div className="news" role="status"><i>●</i>{t('dev.moved', { n: count(moved) })}<button type="button" className="link" onClick={list.renew}>{t('dev.reorder')}</button></div>
        )}
        {list.error !== null && w.total === 0 ? <Wrong code={list.error.code} /> : (
          <Grid
            key={begin.current.round}
            windows={w} columns={columns} sort={place.sort} selected={place.device} label={t('dev.label', { place: here.name })} busy={list.loading} start={begin.current.row}
            onSort={(sort) => go({ ...now.current, sort, row: '' })} onOpen={open} onLook={onLook}
            empty={list.loading ? <div className="calmly">{t('loading')}</div> : <div className="calmly"><b>{t('dev.none')}</b>{t('dev.none.do')}</div>}
          />
        )}
        <div className="end">
          <span aria-live="polite">{t('dev.count', { place: here.name, total: count(w.now), from: count(w.total === 0 ? 0 : seen[0] + 1), to: count(Math.min(w.total, seen[1])) })}</span>
          <span>{list.at > 0 && t('dev.live', { time: hourMinuteSecond(list.at) })}</span>
          <span className="grow" />
          <span>{t('dev.hint')}</span>
        </div>
      </section>
      <Drawer staff={staff} id={place.device} mayChange={mayChange} onClose={() => go({ ...place, device: '' })} />
    </main>
  );
}

function Wrong({ code }: { code: string }) {
  const e = errorSentence(code);
  return <div className="calmly" role="alert"><Icon name="warn" size={28} /><b>{e.what}</b>{e.todo}</div>;
}

/** The chips as filters, with the server's counts of the filter beside them. */
function States({ place, chips }: { place: Place; chips: Chips }) {
  const all = Object.entries(chips).reduce((sum, [c, n]) => sum + (c === 'retired' ? 0 : (n ?? 0)), 0);
  return (
    <div className="states" role="group" aria-label={t('col.chip')}>
      <button type="button" className={place.chip === '' ? 'on' : ''} aria-pressed={place.chip === ''} onClick={() => go({ ...place, chip: '', device: '', row: '' })}><span className="tag t">{t('dev.all')}</span><b>{count(all)}</b></button>
      {CHIPS.slice(0, 7).map((c) => (
        <button key={c} type="button" className={place.chip === c ? 'on' : ''} aria-pressed={place.chip === c} onClick={() => go({ ...place, chip: place.chip === c ? '' : c, device: '', row: '' })}>
          <Chip chip={c} /><b>{count(chips[c] ?? 0)}</b>
        </button>
      ))}
    </div>
  );
}

function Filters({ staff, here, place }: { staff: Staff; here: Node; place: Place }) {
  const models = usePolled<{ models: { model: string; n: number }[] }>(staff.api, '/devices/models', 60_000);
  const set = (p: Partial<Place>) => go({ ...place, ...p, device: '', row: '' });
  const exported = `/api/v1/devices/export?${query(place)}`;
  return (
    <div className="filters devices-filters">
      <Search place={place} />
      {place.unit !== '' && <Pill text={here.name} onDrop={() => set({ unit: '' })} />}
      <Choice label={t('dev.kind.all')} one={(v) => t('dev.kind', { v: word('kind', v) })} value={place.kind} options={KINDS.map((k) => [k, word('kind', k)])} onPick={(kind) => set({ kind })} />
      <Choice label={t('dev.class.all')} one={(v) => t('dev.class', { v: word('class', v) })} value={place.class} options={CLASSES.map((k) => [k, word('class', k)])} onPick={(v) => set({ class: v })} />
      <Choice label={t('dev.tier.all')} one={(v) => t('dev.tier', { v })} value={place.tier} options={TIERS.map((k) => [k, t('dev.tier', { v: k })])} onPick={(tier) => set({ tier })} />
      <Choice
        label={t('dev.model.all')} one={(v) => t('dev.model', { v })} value={place.model}
        options={(models.value?.models ?? []).map((m) => [m.model, `${m.model} · ${count(m.n)}`])} onPick={(model) => set({ model })}
      />
      {place.chip !== '' && <Pill text={word('chip', place.chip)} onDrop={() => set({ chip: '' })} />}
      <span className="grow" />
      <SavedFilters place={place} />
      <ColumnPick place={place} />
      <a className="pillf plain" href={exported} download>{t('dev.export')}</a>
    </div>
  );
}

/** What a name or number begins with; asked for when typing rests, or at once with Enter. */
function Search({ place }: { place: Place }) {
  const [text, setText] = useState(place.q);
  const asked = useRef(place.q);
  const now = useRef(place);
  now.current = place;
  useEffect(() => {
    if (place.q !== asked.current) {
      asked.current = place.q;
      setText(place.q);
    }
  }, [place.q]);
  const ask = (q: string) => {
    if (q === asked.current) return;
    asked.current = q;
    go({ ...now.current, q, device: '', row: '' }, true);
  };
  useEffect(() => {
    const id = setTimeout(() => ask(text.trim()), 250);
    return () => clearTimeout(id);
  });
  return (
    <Input
      className="search" allowClear prefix={<Icon name="find" size={16} />} value={text} placeholder={t('dev.find')} aria-label={t('dev.find')}
      maxLength={100} onChange={(e) => setText(e.target.value)} onPressEnter={() => ask(text.trim())}
    />
  );
}

function Choice({ label, one, value, options, onPick }: { label: string; one: (v: string) => string; value: string; options: [string, string][]; onPick: (v: string) => void }) {
  return (
    <Dropdown trigger={['click']} menu={{ selectedKeys: [value], items: [{ key: '', label }, ...options.map(([key, text]) => ({ key, label: text }))], onClick: ({ key }) => onPick(key) }}>
      <button type="button" aria-haspopup="menu" className={value === '' ? 'pillf' : 'pillf on'}>{value === '' ? label : one(value)} ▾</button>
    </Dropdown>
  );
}

function Pill({ text, onDrop }: { text: string; onDrop: () => void }) {
  return <button type="button" className="pillf on" title={t('dev.drop')} onClick={onDrop}>{text} <s>✕</s></button>;
}

function SavedFilters({ place }: { place: Place }) {
  const [list, setList] = useState<Saved[]>(readSaved);
  const [name, setName] = useState('');
  const put = (l: Saved[]) => {
    setList(l);
    writeSaved(l);
  };
  const keep = () => {
    const n = name.trim();
    if (n === '') return;
    put(withSaved(list, { name: n, href: hrefOf({ ...place, device: '', row: '' }) }));
    setName('');
  };
  return (
    <Popover
      trigger="click"
      placement="bottomRight"
      content={
        <div className="savedbox">
          <div className="savenew">
            <Input value={name} maxLength={20} placeholder={t('dev.save.ph')} aria-label={t('dev.save.ph')} onChange={(e) => setName(e.target.value)} onPressEnter={keep} />
            <Button type="primary" disabled={name.trim() === ''} onClick={keep}>{t('dev.save.do')}</Button>
          </div>
          {list.length === 0 && <p className="dim">{t('dev.save.none')}</p>}
          <ul>
            {list.map((s) => (
              <li key={s.name}>
                <a className="rowname" href={s.href} onClick={(e) => { e.preventDefault(); history.pushState(null, '', s.href); window.dispatchEvent(new Event('popstate')); }}>{s.name}</a>
                <button type="button" className="link" aria-label={t('dev.save.drop', { name: s.name })} onClick={() => put(list.filter((x) => x.name !== s.name))}>✕</button>
              </li>
            ))}
          </ul>
        </div>
      }
    >
      <button type="button" className="pillf plain" aria-haspopup="dialog">{t('dev.save')} ▾</button>
    </Popover>
  );
}

const COLUMNS = ['chip', 'name', 'serial', 'kind', 'place', 'model', 'engine', 'app', 'net', 'day', 'seen', 'since', 'key'] as const;
type ColumnKey = (typeof COLUMNS)[number];
const SHOWN: readonly ColumnKey[] = ['chip', 'name', 'serial', 'kind', 'place', 'model', 'engine', 'app', 'net', 'day', 'seen'];

/** The columns of an address, in their own order; what it does not know is left out. */
export function columnsOf(cols: string): ColumnKey[] {
  const want = new Set(cols.split('.'));
  const list = COLUMNS.filter((c) => want.has(c));
  return list.length === 0 ? [...SHOWN] : list;
}

function ColumnPick({ place }: { place: Place }) {
  const shown = columnsOf(place.cols);
  const set = (list: ColumnKey[]) => {
    const cols = COLUMNS.filter((c) => list.includes(c)).join('.');
    go({ ...place, cols: cols === SHOWN.join('.') ? '' : cols }, true);
  };
  return (
    <Popover
      trigger="click"
      placement="bottomRight"
      content={
        <div className="colpick" role="group" aria-label={t('dev.cols')}>
          {COLUMNS.map((c) => (
            <Checkbox key={c} checked={shown.includes(c)} disabled={c === 'name'} onChange={(e) => set(e.target.checked ? [...shown, c] : shown.filter((x) => x !== c))}>{t(`col.${c}`)}</Checkbox>
          ))}
        </div>
      }
    >
      <button type="button" className="pillf plain" aria-haspopup="dialog">{t('dev.cols')} ▾</button>
    </Popover>
  );
}

/** "14:20，断网": causes that only repeat the life of the device are left out. */
export function seenText(r: DeviceRow, nowAt: number): string {
  const cause = word('cause', r.cause, '');
  return cause === '' ? pastTime(r.seen_at, nowAt) : `${pastTime(r.seen_at, nowAt)}，${cause}`;
}

function useColumns(place: Place, open: (id: string) => void): Column[] {
  const at = hrefOf({ ...place, device: '', row: '' });
  return useMemo(() => {
    const here = parsePlace('/console', at.split('?')[1] ?? '');
    const now = () => Date.now() * 1000;
    const all: Record<ColumnKey, Column> = {
      chip: { key: 'chip', title: `${t('col.chip')} ⓘ`, tip: <ChipDefs />, width: 160, sort: 'chip', cell: (r) => <><Chip chip={r.chip} klass={r.class} /><Use row={r} /></> },
      name: {
        key: 'name', title: t('col.name'), width: 182, sort: 'name',
        cell: (r, gone) => (
          <>
            <a
              className="rowname" tabIndex={-1} href={hrefOf({ ...here, view: 'devices', device: r.id })} title={gone ? t('dev.gone') : r.name}
              onClick={(e) => {
                if (e.metaKey || e.ctrlKey) { e.stopPropagation(); return; }
                e.preventDefault();
                e.stopPropagation();
                open(r.id);
              }}
            >
              {r.name || t('noname')}
            </a>
            <Simulated on={r.simulated} />
          </>
        ),
      },
      serial: { key: 'serial', title: t('col.serial'), width: 86, sort: 'serial', cell: (r) => <span className="dim" title={r.serial}>{r.serial}</span> },
      kind: { key: 'kind', title: t('col.kind'), width: 122, cell: (r) => `${word('kind', r.kind)} · ${word('class', r.class)}` },
      place: { key: 'place', title: t('col.place'), width: 152, cell: (r) => <span title={r.place.join(' › ')}>{placeLine(r.place)}</span> },
      model: { key: 'model', title: t('col.model'), width: 94, sort: 'model', cell: (r) => r.model || '–' },
      engine: { key: 'engine', title: t('col.engine'), width: 62, cell: (r) => engineTier(r.engine) },
      app: { key: 'app', title: t('col.app'), width: 58, sort: 'app_ver', cell: (r) => r.app_ver || '–' },
      net: { key: 'net', title: t('col.net'), width: 52, cell: (r) => (r.chip !== 'online' ? <span className="dim">{r.chip === 'suspect' ? '–' : '断'}</span> : r.rtt_ms === null ? <span className="dim">–</span> : `${Math.round(r.rtt_ms)} ms`) },
      day: { key: 'day', title: t('col.day'), width: 90, cell: (r) => <Beat day={r.day ?? ''} /> },
      seen: { key: 'seen', title: t('col.seen'), width: 112, cell: (r) => (r.chip === 'online' ? '现在' : seenText(r, now())) },
      since: { key: 'since', title: t('col.since'), width: 108, sort: 'since', cell: (r) => (r.since_at > 0 ? pastTime(r.since_at, now()) : '–') },
      key: { key: 'key', title: t('col.key'), width: 84, cell: (r) => word('key', r.key_store, '–') },
    };
    return columnsOf(here.cols).map((c) => all[c]);
  }, [at, open]);
}
