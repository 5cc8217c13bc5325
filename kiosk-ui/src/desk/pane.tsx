import { Button } from 'antd';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { useStore } from '../core/hooks.react';
import { Icon } from '../staff/icons';
import { Editor } from './editor';
import { CloseDialog, Dossier } from './ending';
import { freezeStop, type AgText } from './clauses';
import { daysLeft, firstTab, isOver, type Tab } from './matter';
import { MatterPane } from './matterpane';
import type { Notebook } from './notebook';
import { Signing } from './signing';
import type { Parts } from './bits';
import { t, word } from './t';
import type { Dispute } from './types';

const TABS: readonly Tab[] = ['matter', 'agreement', 'signing', 'dossier', 'note'];

/** The right pane while there is a dispute: its head, its five sides, and the way out of it. */
export function DisputePane({ book, note, noteWanted, banner, ...x }: Parts & { book: Notebook<AgText>; note: ReactNode; noteWanted: boolean; banner: ReactNode }) {
  const { d } = x;
  const [tab, setTab] = useTab(d);
  useEffect(() => {
    if (noteWanted) setTab('note');
  }, [noteWanted, setTab]);
  const [closing, setClosing] = useState(false);
  const draft = useStore(book);
  const a = d.agreement;
  const writing = a === null || a.state === 'draft' || a.state === 'replaced';
  const left = d.deadline_on !== null && d.deadline_on !== '' ? daysLeft(d.deadline_on, x.work.clock.nowUs()) : null;
  const noticed = d.parties.filter((p) => p.notice_at !== null).length;
  const badge = (k: Tab): string => {
    if (k === 'agreement' && a !== null) return writing ? t('tab.draft', { v: a.v }) : t('tab.frozen', { v: a.v });
    if (k === 'dossier' && d.files.length > 0) return String(d.files.length);
    return '';
  };
  const alarm = (k: Tab): boolean => {
    if (k === 'signing') return d.parties.some((p) => p.unclear.length > 0 || (!p.readback.ok && p.readback.tries >= 3));
    if (k === 'dossier') return d.state === 'terminated';
    return k === 'agreement' && a !== null && writing && draft.id !== '' && (draft.conflict !== null || freezeStop(a, draft, true)?.code === 'lint');
  };
  return (
    <>
      <div className="dh">
        <div className="no num">
          {d.number === '' ? t('dis.nonumber') : d.number}
          <span className="grow" />
          {!isOver(d) && <Button size="small" danger onClick={() => setClosing(true)}>{d.state === 'mediating' ? t('end.open') : t('end.open.early')}</Button>}
        </div>
        <h3>{t('dis.title', { names: d.parties.map((p) => p.name).join('、'), cat: word('cat', d.category) })}</h3>
        <div className="tags">
          <span className={d.closing === null ? 'tag t' : 'tag y'}>{word('dstate', d.state)}</span>
          <span className="tag">{word('mkind', d.mediation_kind)}</span>
          {left !== null && !isOver(d) && <span className={left < 4 ? 'tag r' : 'tag y'}>{left < 0 ? t('dis.late') : t('dis.left', { n: left })}</span>}
          <span className={noticed === d.parties.length ? 'tag g' : 'tag'}>{noticed === d.parties.length && '✓ '}{t('dis.notice', { n: noticed, all: d.parties.length })}</span>
        </div>
      </div>
      {banner}
      <div className="dtabs" role="tablist">
        {TABS.map((k) => (
          <button key={k} type="button" role="tab" id={`tab-${k}`} aria-selected={tab === k} aria-controls="dpanel" className={tab === k ? 'on' : ''} onClick={() => setTab(k)}>
            {t(`tab.${k}`)}{badge(k) !== '' && ` ${badge(k)}`}{alarm(k) && <i className="dot r" role="img" aria-label={t('tab.alarm')} />}
          </button>
        ))}
      </div>
      <div className="dpanel" id="dpanel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {tab === 'matter' && <MatterPane {...x} />}
        {tab === 'agreement' && (!writing ? <Signing {...x} /> : d.state === 'mediating' ? <Editor {...x} book={book} /> : <div className="blank"><Icon name="pen" size={34} /><span>{t(isOver(d) ? 'ag.over' : 'ag.early')}</span></div>)}
        {tab === 'signing' && <Signing {...x} />}
        {tab === 'dossier' && <Dossier {...x} />}
        {tab === 'note' && note}
        {tab === 'matter' && <MatterFoot {...x} />}
      </div>
      {closing && <CloseDialog {...x} onClose={() => setClosing(false)} />}
    </>
  );
}

/** The tab follows the matter when it moves on, and stays where the mediator put it until then. */
function useTab(d: Dispute): [Tab, (t: Tab) => void] {
  const want = firstTab(d);
  const [tab, setTab] = useState<Tab>(want);
  const last = useRef(want);
  useEffect(() => {
    if (last.current === want) return;
    last.current = want;
    setTab(want);
  }, [want]);
  return [tab, setTab];
}

/** 一起谈: accepts the dispute, draws its number and brings everybody together; waits until nothing is missing. */
function MatterFoot({ work, d }: Parts) {
  const stop = d.blockers.length;
  if (d.state === 'mediating' || isOver(d) || work.desk?.session?.state !== 'checking') return null;
  return (
    <div className="foot2">
      <span className="grow" />
      <Button type="primary" disabled={stop > 0} loading={work.busy === 'joint'} onClick={() => void work.control({ op: 'joint' })}>
        {stop > 0 ? t('joint.wait', { n: stop }) : t('joint.go')}
      </Button>
    </div>
  );
}
