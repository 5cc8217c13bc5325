import { Button, Checkbox, Input, Select } from 'antd';
import { useState } from 'react';
import { Icon } from '../staff/icons';
import { fenOf, FIELDS_OF, ordinal, proposalWords, split, splitGap, TAGS, yuanOf, type ClauseField } from './clauses';
import { t, word } from './t';
import type { Clause, Lint, Party } from './types';

type Props = {
  n: number; clause: Clause; parties: Party[]; lint: Lint[]; unclear: string[]; open: boolean; first: boolean; last: boolean;
  onOpen: () => void; onEdit: (change: Partial<Clause>) => void; onTake: (l: Lint) => void; onMove: (by: -1 | 1) => void; onDrop: () => void;
};

/** One clause: closed it is a line, open it is the sentence's parts, each with what the server found unclear in it. */
export function ClauseCard(p: Props) {
  const { clause: c, lint } = p;
  const nameOf = (id: string) => p.parties.find((x) => x.id === id)?.name ?? '';
  const loose = lint.filter((l) => !FIELDS_OF[c.kind].some((f) => f === l.field) && l.field !== 'tags' && l.field !== 'tags_confirmed');
  return (
    <article className={p.open ? 'clause open' : 'clause'}>
      <div className="chd">
        <button type="button" className="ctitle" aria-expanded={p.open} onClick={p.onOpen}>
          <b>{t('cl.nth', { n: ordinal(p.n) })}</b>
          <span>{word('ckind', c.kind)}{line(c, nameOf) !== '' && ` · ${line(c, nameOf)}`}</span>
        </button>
        {p.unclear.map((name) => <span key={name} className="tag r">? {t('cl.unclear', { name })}</span>)}
        {lint.length > 0 ? <span className="tag y">{t('cl.lint', { n: lint.length })}</span> : !c.tags_confirmed ? <span className="tag">{t('cl.untagged')}</span> : null}
      </div>
      {p.open && (
        <div className="cbody form tight">
          {FIELDS_OF[c.kind].map((f) => <Row key={f} {...p} f={f} />)}
          <Tags {...p} />
          {loose.map((l, i) => <LintLine key={i} l={l} {...p} />)}
          <div className="acts">
            <Button size="small" disabled={p.first} onClick={() => p.onMove(-1)}>{t('cl.up')}</Button>
            <Button size="small" disabled={p.last} onClick={() => p.onMove(1)}>{t('cl.down')}</Button>
            <span className="grow" />
            <Button size="small" danger onClick={p.onDrop}>{t('cl.drop')}</Button>
          </div>
        </div>
      )}
      {!p.open && lint.slice(0, 1).map((l, i) => <LintLine key={i} l={l} {...p} />)}
    </article>
  );
}

/** What a closed clause shows of itself. */
function line(c: Clause, nameOf: (id: string) => string): string {
  if (c.kind === 'free') return c.text.slice(0, 24);
  const sum = c.kind === 'pay' && c.amount_fen !== null ? `${yuanOf(c.amount_fen)} 元` : c.what.slice(0, 14);
  return [sum, c.by, c.who !== '' && c.to !== '' ? `${nameOf(c.who)} → ${nameOf(c.to)}` : ''].filter((s) => s !== '').join(' · ');
}

/** Why a place is not clear, standing beside it, with what to write instead as a press. */
export function LintLine({ l, parties, onTake }: { l: Lint; parties: Party[]; onTake: (l: Lint) => void }) {
  const to = proposalWords(l, parties);
  return (
    <span className="lint" role="status">
      <Icon name="warn" size={15} />
      <span>{l.message}{l.proposal !== '' && <button type="button" className="link" onClick={() => onTake(l)}>{l.field === 'tags_confirmed' ? t('cl.tags.none') : to === '' ? t('cl.take.mark') : t('cl.take', { to })}</button>}</span>
    </span>
  );
}

function Row(p: Props & { f: ClauseField }) {
  const { clause: c, f } = p;
  const of = p.lint.filter((l) => l.field === f);
  const label = word(`cf.${c.kind}`, f, word('cf', f));
  const hold = word(`ch.${c.kind}`, f, word('ch', f, ''));
  const status = of.length > 0 ? 'warning' : '';
  const people = p.parties.map((x) => ({ value: x.id, label: x.name }));
  let field;
  switch (f) {
    case 'who':
    case 'to':
      field = <Select aria-label={label} value={c[f] || undefined} status={status} options={people} onChange={(v) => p.onEdit({ [f]: v })} />;
      break;
    case 'amount_fen':
      field = <Money fen={c.amount_fen} label={label} status={status} onChange={(amount_fen) => p.onEdit({ amount_fen })} />;
      break;
    case 'instalments':
      return <Instalments {...p} />;
    case 'by':
      field = <Input type="date" aria-label={label} value={c.by} status={status} disabled={c.instalments.length > 0} onChange={(e) => p.onEdit({ by: e.target.value })} />;
      break;
    default:
      field = <Input.TextArea aria-label={label} value={c[f]} status={status} maxLength={f === 'text' ? 2000 : 400} placeholder={hold} autoSize={{ minRows: f === 'text' ? 3 : 1, maxRows: 8 }} onChange={(e) => p.onEdit({ [f]: e.target.value })} />;
  }
  return (
    <>
      <label className={f === 'who' || f === 'to' || f === 'by' || f === 'amount_fen' ? 'row short' : 'row'}><span>{label}</span>{field}</label>
      {of.map((l, i) => <LintLine key={i} l={l} {...p} />)}
    </>
  );
}

/** A sum as it is typed; the clause has the fen of it, or null while it is no sum. */
function Money({ fen, label, status, onChange }: { fen: number | null; label: string; status: '' | 'warning'; onChange: (fen: number | null) => void }) {
  const [raw, setRaw] = useState(yuanOf(fen));
  const shown = fenOf(raw) === fen ? raw : yuanOf(fen);
  return (
    <Input
      aria-label={label}
      inputMode="decimal"
      value={shown}
      status={raw !== '' && fenOf(raw) === null ? 'error' : status}
      suffix={t('cl.yuan')}
      onChange={(e) => {
        setRaw(e.target.value);
        onChange(fenOf(e.target.value));
      }}
      onBlur={() => setRaw(yuanOf(fen))}
    />
  );
}

function Instalments(p: Props) {
  const { clause: c } = p;
  const gap = splitGap(c);
  const put = (i: number, change: Partial<Clause['instalments'][number]>) => p.onEdit({ instalments: c.instalments.map((x, k) => (k === i ? { ...x, ...change } : x)) });
  if (c.instalments.length === 0) {
    return <div className="acts left beneath"><Button size="small" disabled={c.amount_fen === null || c.amount_fen < 200} onClick={() => p.onEdit({ instalments: split(c.amount_fen ?? 0, 2), by: '' })}>{t('cl.split')}</Button></div>;
  }
  return (
    <fieldset className="parts">
      <legend>{t('cl.parts', { n: c.instalments.length })}</legend>
      {c.instalments.map((x, i) => (
        <div key={i} className="part">
          <Input type="date" aria-label={t('cl.part.by', { n: i + 1 })} value={x.by} onChange={(e) => put(i, { by: e.target.value })} />
          <Money fen={x.amount_fen} label={t('cl.part.sum', { n: i + 1 })} status="" onChange={(v) => put(i, { amount_fen: v ?? 0 })} />
          <Button size="small" aria-label={t('cl.part.drop', { n: i + 1 })} onClick={() => p.onEdit({ instalments: c.instalments.filter((_, k) => k !== i) })}>×</Button>
        </div>
      ))}
      <div className="acts left">
        <Button size="small" disabled={c.instalments.length >= 24} onClick={() => p.onEdit({ instalments: split(c.amount_fen ?? 0, c.instalments.length + 1).map((x, i) => ({ ...x, by: c.instalments[i]?.by ?? '' })) })}>{t('cl.part.add')}</Button>
        {gap !== 0 && <span className="hint r">{t(gap > 0 ? 'cl.part.more' : 'cl.part.less', { sum: yuanOf(Math.abs(gap)) })}</span>}
      </div>
      {p.lint.filter((l) => l.field === 'instalments').map((l, i) => <LintLine key={i} l={l} {...p} />)}
    </fieldset>
  );
}

/** The question of the e-signature law art. 3, answered for every clause by the one who writes it. */
function Tags(p: Props) {
  const { clause: c } = p;
  const set = (tag: Clause['tags'][number], on: boolean) => p.onEdit({ tags: on ? [...c.tags, tag] : c.tags.filter((x) => x !== tag), tags_confirmed: true });
  return (
    <fieldset className="ctags">
      <legend>{t('cl.tags')}</legend>
      {TAGS.map((tag) => <Checkbox key={tag} checked={c.tags.includes(tag)} onChange={(e) => set(tag, e.target.checked)}>{word('ctag', tag)}</Checkbox>)}
      <Checkbox checked={c.tags_confirmed && c.tags.length === 0} onChange={() => p.onEdit({ tags: [], tags_confirmed: true })}>{t('cl.tags.none')}</Checkbox>
      {c.tags.length > 0 && <p className="hint">{t('cl.tags.paper')}</p>}
      {p.lint.filter((l) => l.field === 'tags' || l.field === 'tags_confirmed').map((l, i) => <LintLine key={i} l={l} {...p} />)}
    </fieldset>
  );
}
