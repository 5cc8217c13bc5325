import { Button, Input } from 'antd';
import { useEffect, useState } from 'react';
import { Icon } from '../staff/icons';
import { errorSentence } from '../staff/t';
import { Head, Say, type Parts } from './bits';
import { goalOf, isOver } from './matter';
import { Parties } from './parties';
import { t, word } from './t';
import type { Dispute } from './types';

/** 纠纷: who, what about, what binds the mediator, and what is still missing before everybody may talk. */
export function MatterPane(x: Parts) {
  const { d } = x;
  const before = ['registered', 'screening', 'contacting', 'accepted'].includes(d.state);
  return (
    <div className="dbody">
      {d.state === 'registered' && <Say tone="y" icon="clock">{t('matter.asked', { name: d.parties.find((p) => p.side === 'A')?.name ?? '' })}</Say>}
      {before && d.state !== 'registered' && <Blockers d={d} />}
      <Parties {...x} />
      {!isOver(d) && <Disclosure {...x} />}
      <section className="dsec">
        <Head title={t('matter.facts')} />
        <p className="said">{d.facts}</p>
        {d.requests.length > 0 && <><Head title={t('matter.requests')} /><ol className="said">{d.requests.map((r) => <li key={r}>{r}</li>)}</ol></>}
      </section>
    </div>
  );
}

/** What binds the mediator to a party; told to everybody, who may still agree (court rules art. 11). */
function Disclosure({ m, d }: Parts) {
  const [text, setText] = useState(d.disclosure || t('disc.none'));
  useEffect(() => {
    if (d.disclosure !== '') setText(d.disclosure);
  }, [d.disclosure]);
  const same = text.trim() === d.disclosure;
  return (
    <section className="dsec" id="goal-disclosure">
      <Head title={t('disc.title')}>{d.disclosure !== '' && same && <span className="tag g">✓ {t('disc.told')}</span>}</Head>
      <Input.TextArea aria-label={t('disc.title')} value={text} maxLength={400} autoSize={{ minRows: 1, maxRows: 4 }} onChange={(e) => setText(e.target.value)} />
      {!same && <div className="acts"><span className="dim grow">{t('disc.note')}</span><Button size="small" type="primary" loading={m.busy === 'disclosure'} disabled={text.trim() === ''} onClick={() => void m.put('disclosure', '/disclosure', { text: text.trim() })}>{t('disc.tell')}</Button></div>}
    </section>
  );
}

/** The sentence of what start_joint still misses; an unknown code says itself as an error does. */
export function blockerWords(d: Dispute, b: Dispute['blockers'][number]): string {
  const name = d.parties.find((p) => p.id === b.party)?.name ?? '';
  const own = word('blocker', b.code, '');
  return own === '' ? `${name} ${errorSentence(b.code).what}`.trim() : own.replace('{name}', name);
}

/** Brings the place of a deed into sight, its first control under the fingers. */
function lead(goal: string): void {
  const place = document.getElementById(`goal-${goal}`);
  place?.scrollIntoView({ block: 'nearest' });
  place?.querySelector<HTMLElement>('textarea, input, button')?.focus({ preventScroll: true });
}

/** The next thing to do stands open; what comes after it unfolds. */
function Blockers({ d }: { d: Dispute }) {
  const [next, ...rest] = d.blockers;
  if (next === undefined) return <Say tone="g" icon="check">{t('block.ready')}</Say>;
  return (
    <section className="blockers">
      <p>
        <Icon name="pen" size={15} /><span className="grow">{blockerWords(d, next)}</span>
        {goalOf(next) !== '' && <Button size="small" onClick={() => lead(goalOf(next))}>{t('block.go')}</Button>}
      </p>
      {rest.length > 0 && (
        <details>
          <summary>{t('block.rest', { n: rest.length })}</summary>
          <ul>{rest.map((b, i) => <li key={i}>{blockerWords(d, b)}</li>)}</ul>
        </details>
      )}
    </section>
  );
}
