import { Button, Dropdown } from 'antd';
import { useTick } from '../core/hooks.react';
import { secondsLeft } from '../core/clock';
import type { Desk, TicketDigest } from '../core/types';
import { leaseShare, placeLine, stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import type { Work } from './desk';
import { inCall, sceneOf } from './scene';
import { t, word } from './t';

export const DECLINE = ['busy', 'conflict', 'skill', 'other'] as const;

/** What is known of a ticket before anybody speaks: kind, language, class, camera. Class "normal" is no chip. */
export function TicketTags({ ticket }: { ticket: TicketDigest }) {
  const klass = word('tclass', ticket.class, '');
  return (
    <div className="tags">
      <span className="tag">{word('tkind', ticket.kind)}</span>
      <span className={ticket.lang === 'mn' ? 'tag t' : 'tag'}>{word('lang', ticket.lang)}</span>
      {klass !== '' && <span className="tag y">{klass}</span>}
      {ticket.capture && <span className="tag g">✓ {t('queue.capture')}</span>}
    </div>
  );
}

const whereLine = (k: TicketDigest) => `${placeLine(k.place)}　${word('device', k.terminal)}`;

function Offer({ work, offer }: { work: Work; offer: NonNullable<Desk['offer']> }) {
  useTick(250);
  const now = work.clock.nowUs();
  const left = secondsLeft(offer.until_at, now);
  const k = offer.ticket;
  return (
    <section className="offer" aria-label={t('offer.title')}>
      <div className="lease" role="timer" aria-label={t('offer.left', { n: left })}>
        <i style={{ transform: `scaleX(${leaseShare(offer.until_at, offer.lease_ms, now)})` }} />
      </div>
      <div className="oh"><Icon name="bell" /><b>{t('offer.title')}</b><span className="grow" /><span className="num">{t('offer.left', { n: left })}</span></div>
      <div className="l1"><b>{k.no}</b><span>{word('cat', k.category)}</span><span className="w">{t('queue.waited', { time: stopwatch(k.waited_s) })}</span></div>
      <div className="l2">{whereLine(k)}</div>
      <TicketTags ticket={k} />
      <div className="acts">
        <Button type="primary" size="large" loading={work.busy === 'accept'} disabled={left === 0 || work.busy !== ''} onClick={() => void work.answer(true)}>
          {t('offer.take')} <kbd>F2</kbd>
        </Button>
        <Dropdown
          trigger={['click']}
          disabled={work.busy !== ''}
          menu={{
            items: [{ key: 'why', type: 'group', label: t('offer.why'), children: DECLINE.map((r) => ({ key: r, label: word('offer.why', r) })) }],
            onClick: ({ key }) => void work.answer(false, key),
          }}
        >
          <Button size="large">{t('offer.not')}</Button>
        </Dropdown>
      </div>
    </section>
  );
}

/** The left pane: the offer while there is one, then the waiting tickets this seat may take. */
export function Queue({ work, desk, fetchedAt }: { work: Work; desk: Desk; fetchedAt: number }) {
  useTick(1000);
  const since = (Date.now() - fetchedAt) / 1000;
  const scene = sceneOf(desk);
  const mine = desk.queue;
  const next = mine[0];
  const calm = scene !== 'idle' ? t('queue.none.busy') : desk.seat.state === 'ready' ? t('queue.none.ready') : t('queue.none.away');
  const foot = inCall(scene) || scene === 'ringing' ? (next ? t('queue.foot.call', { no: next.no }) : t('queue.foot.call.none')) : scene === 'wrap' ? t('queue.foot.wrap') : t('queue.foot.ready');
  const resting = scene === 'idle' && desk.offer === null && desk.seat.state !== 'ready';
  return (
    <section className="card qpane">
      <h2>{t('queue.title')} <small>{t('queue.count', { all: desk.waiting, mine: mine.length })}</small></h2>
      {desk.offer !== null && <Offer key={desk.offer.id} work={work} offer={desk.offer} />}
      <ul className="q">
        {mine.map((k, i) => (
          <li key={k.id} className={i === 0 && desk.offer === null ? 'qi next' : 'qi'}>
            <div className="l1"><b>{k.no}</b><span>{word('cat', k.category)}</span><span className="w num">{stopwatch(k.waited_s + since)}</span></div>
            <div className="l2">{whereLine(k)}</div>
            <TicketTags ticket={k} />
          </li>
        ))}
        {mine.length === 0 && desk.offer === null && (
          <li className="qnone"><Icon name="user" size={30} /><b>{t('queue.none')}</b><span>{calm}</span></li>
        )}
        {desk.waiting > mine.length && mine.length > 0 && <li className="qmore">{t('queue.others', { n: desk.waiting - mine.length })}</li>}
      </ul>
      <div className="mine"><span>{t('queue.today', { n: desk.today.served })}</span><span>{t('queue.all', { n: desk.waiting })}</span></div>
      <div className="foot">
        {resting ? (
          <Button type="primary" block loading={work.busy === 'seat'} onClick={() => void work.setSeat('ready')}>{t('seat.go_ready')}</Button>
        ) : (
          <div className="calm">{foot}</div>
        )}
      </div>
    </section>
  );
}
