import { Button, Dropdown, Input } from 'antd';
import { useEffect, useMemo, useState, type ReactNode } from 'react';
import { newKey } from '../core/api';
import { hourMinuteSecond } from '../core/clock';
import { useStore } from '../core/hooks.react';
import { Icon } from '../staff/icons';
import { Say, type Parts } from './bits';
import { ClauseCard, LintLine } from './clause';
import { apart, applied, freezeStop, KINDS, lintOf, moved, newClause, NO_TEXT, ordinal, standing, yuanOf, type AgText } from './clauses';
import type { Matter } from './dispute';
import { isDirty, same, type Base, type Draft } from './draft';
import { createNotebook, type Notebook } from './notebook';
import { Preview } from './preview';
import { t, word } from './t';
import type { Clause, Dispute, Lint, Party } from './types';

const baseOf = (d: Dispute): Base<AgText> => {
  const a = d.agreement;
  return { version: a?.revision ?? 0, value: a === null ? NO_TEXT : { facts: a.facts, clauses: a.clauses }, savedAt: null };
};

/** The draft of a dispute's agreement: saved two seconds after a change, under the revision it was made from. */
export function useAgreementBook(m: Matter): Notebook<AgText> {
  const { putDraft, refetch } = m;
  const book = useMemo(
    () =>
      createNotebook<AgText>({
        name: 'agreement',
        empty: NO_TEXT,
        put: async (_, text, version) => ({ ...baseOf(await putDraft(text, version)), savedAt: Date.now() * 1000 }),
        look: async () => baseOf(await refetch()),
        shelf: sessionStorage,
        saveEveryMs: 2000,
      }),
    [putDraft, refetch],
  );
  const d = m.dispute;
  const writing = d !== null && d.state === 'mediating' && (d.agreement === null || d.agreement.state === 'draft');
  // a version of its own begins at its own revision: the text of an earlier version never answers for it
  const id = writing ? `${d.id}.${d.agreement?.v ?? 1}` : '';
  useEffect(() => {
    if (d !== null && id !== '') book.open(id, baseOf(d));
    else book.shut();
  }, [book, d, id]);
  return book;
}

/** 协议: the clauses while they are written. */
export function Editor({ book, ...x }: Parts & { book: Notebook<AgText> }) {
  const { d, m, work } = x;
  const draft = useStore(book);
  const [open, setOpen] = useState('');
  const [look, setLook] = useState(false);
  const a = d.agreement;
  const lint = standing(a?.lint ?? [], draft.base.value, draft.text);
  const setClauses = (clauses: Clause[]) => book.edit({ clauses });
  const add = (kind: Clause['kind']) => {
    const c = newClause(kind, newKey(), d.parties);
    setClauses([...draft.text.clauses, c]);
    setOpen(c.id);
  };
  const take = (l: Lint) => {
    const next = applied(draft.text, l);
    if (next !== null) book.edit(next);
  };
  const joint = work.desk?.session?.state === 'joint';
  const stop = a === null ? { code: 'empty' as const, n: 0 } : freezeStop(a, draft, joint);
  const freeze = async () => {
    if (!(await book.flush())) return;
    const now = await m.refetch();
    await m.run('freeze', '/agreement/freeze', { revision: now.agreement?.revision ?? 0 });
  };
  const menu = { items: KINDS.map((k) => ({ key: k, label: word('ckind', k) })), onClick: ({ key }: { key: string }) => add(key as Clause['kind']) };
  return (
    <>
      <div className="dbody">
        <div className="agbar" role="status">
          {savedLine(draft)}
          <span className="grow" />
          <Button size="small" disabled={a === null || a.blocks.length === 0} onClick={() => setLook(!look)}><Icon name="tv" size={15} />{look ? t('ag.write') : t('ag.look')}</Button>
          <Dropdown trigger={['click']} menu={menu}><Button size="small" type="primary">{t('ag.add')} ▾</Button></Dropdown>
        </div>
        {draft.conflict !== null && <Clash mine={draft.text} theirs={draft.conflict.value} parties={d.parties} onChoose={book.choose} />}
        {a?.sign_mode === 'paper' && <Say tone="y" icon="pen">{t('ag.paper')}</Say>}
        {look && a !== null ? (
          <Preview d={d} />
        ) : (
          <>
            <label className="clause facts">
              <b>{t('ag.facts')}</b>
              <Input.TextArea variant="borderless" value={draft.text.facts} maxLength={4000} autoSize={{ minRows: 2, maxRows: 8 }} placeholder={t('ag.facts.ph')} onChange={(e) => book.edit({ facts: e.target.value })} />
              {lintOf(lint, '').map((l, i) => <LintLine key={i} l={l} parties={d.parties} onTake={take} />)}
            </label>
            {draft.text.clauses.map((c, i) => (
              <ClauseCard
                key={c.id}
                n={i + 1}
                clause={c}
                parties={d.parties}
                lint={lintOf(lint, c.id)}
                unclear={[]}
                open={open === c.id}
                first={i === 0}
                last={i === draft.text.clauses.length - 1}
                onOpen={() => setOpen(open === c.id ? '' : c.id)}
                onEdit={(change) => setClauses(draft.text.clauses.map((y) => (y.id === c.id ? { ...y, ...change } : y)))}
                onTake={take}
                onMove={(by) => setClauses(moved(draft.text.clauses, c.id, by))}
                onDrop={() => setClauses(draft.text.clauses.filter((y) => y.id !== c.id))}
              />
            ))}
            {draft.text.clauses.length === 0 && (
              <div className="first">
                <p>{t('ag.first')}</p>
                <div className="tags">{KINDS.map((k) => <Button key={k} size="small" onClick={() => add(k)}>{word('ckind', k)}</Button>)}</div>
              </div>
            )}
            <p className="dim same"><Icon name="tv" size={15} /> {t('ag.same')}</p>
          </>
        )}
      </div>
      <div className="foot2">
        <span className="dim grow">{stop === null ? t('ag.freeze.note') : ''}</span>
        <Button type="primary" disabled={stop !== null} loading={m.busy === 'freeze'} onClick={() => void freeze()}>{stop === null ? t('ag.freeze') : t(`stop.${stop.code}`, { n: stop.n })}</Button>
      </div>
    </>
  );
}

function savedLine(d: Draft<AgText>): ReactNode {
  if (d.conflict !== null) return <span className="st r"><Icon name="warn" size={15} />{t('ag.conflict')}</span>;
  if (d.failed !== '' && isDirty(d)) return <span className="st r"><Icon name="warn" size={15} />{t('note.failed')}</span>;
  if (d.sent !== null) return <span className="st">{t('note.saving')}</span>;
  if (isDirty(d)) return <span className="st">{t('note.unsaved')}</span>;
  return d.base.savedAt !== null ? <span className="st g"><Icon name="check" size={15} />{t('note.saved', { time: hourMinuteSecond(d.base.savedAt) })}</span> : <span className="st">{t('ag.asheld')}</span>;
}

/** Both drafts beside each other; for each place that differs the mediator takes one. */
function Clash({ mine, theirs, parties, onChoose }: { mine: AgText; theirs: AgText; parties: Party[]; onChoose: (t: AgText) => void }) {
  const ids = [...new Set([...mine.clauses, ...theirs.clauses].map((c) => c.id))];
  const of = (x: AgText, id: string) => x.clauses.find((c) => c.id === id);
  const differ = ids.filter((id) => !same(of(mine, id), of(theirs, id)));
  const [from, setFrom] = useState<Record<string, 'mine' | 'theirs'>>({});
  const pick = (id: string) => from[id] ?? 'mine';
  const rows = [...(mine.facts === theirs.facts ? [] : ['facts']), ...differ];
  const words = (x: AgText, id: string) => {
    if (id === 'facts') return x.facts || t('note.blank');
    const c = of(x, id);
    if (c === undefined) return t('ag.conflict.gone');
    const other = of(x === mine ? theirs : mine, id);
    const parts = apart(c, other ?? newClause(c.kind, c.id, []));
    return parts.length === 0 ? word('ckind', c.kind) : parts.map((f) => `${f === 'tags' ? t('cl.tags.short') : word(`cf.${c.kind}`, f, word('cf', f))}：${partWords(c, f, parties)}`).join('\n');
  };
  const done = () => {
    const clauses = ids.map((id) => (pick(id) === 'mine' ? of(mine, id) : of(theirs, id))).filter((c) => c !== undefined);
    onChoose({ facts: pick('facts') === 'mine' ? mine.facts : theirs.facts, clauses });
  };
  return (
    <div className="clash" role="alertdialog" aria-label={t('ag.conflict')}>
      <p><b>{t('ag.conflict')}</b>{t('note.conflict.do')}</p>
      {rows.map((id) => (
        <fieldset key={id} className="sides">
          <legend>{id === 'facts' ? t('ag.facts') : t('cl.nth', { n: ordinal(ids.indexOf(id) + 1) })}</legend>
          {(['mine', 'theirs'] as const).map((side) => (
            <label key={side} className={pick(id) === side ? 'opt on' : 'opt'}>
              <input type="radio" name={`ag-${id}`} checked={pick(id) === side} onChange={() => setFrom({ ...from, [id]: side })} />
              <span><em>{t(side === 'mine' ? 'note.conflict.mine' : 'note.conflict.theirs')}</em>{words(side === 'mine' ? mine : theirs, id)}</span>
            </label>
          ))}
        </fieldset>
      ))}
      <Button type="primary" block onClick={done}>{t('note.conflict.done')}</Button>
    </div>
  );
}

/** One part of a clause as it is read. */
function partWords(c: Clause, f: ReturnType<typeof apart>[number], parties: Party[]): string {
  switch (f) {
    case 'who':
    case 'to':
      return parties.find((p) => p.id === c[f])?.name ?? t('note.blank');
    case 'amount_fen':
      return c.amount_fen === null ? t('note.blank') : `${yuanOf(c.amount_fen)} ${t('cl.yuan')}`;
    case 'instalments':
      return c.instalments.length === 0 ? t('note.blank') : c.instalments.map((x) => `${x.by} ${yuanOf(x.amount_fen)} ${t('cl.yuan')}`).join('；');
    case 'tags':
      return !c.tags_confirmed ? t('cl.untagged') : c.tags.length === 0 ? t('cl.tags.none') : c.tags.map((x) => word('ctag', x)).join('、');
    default:
      return c[f] || t('note.blank');
  }
}
