// Notices that come only after the page has been at work, or never: they are in the second script.
import { useTick } from '../../core/hooks.preact';
import { secondsLeft } from '../../core/clock';
import type { Ticket } from '../../core/types';
import type { Layer } from '../screen-of';
import { Icon, icons } from '../ui/icons';
import { Button, useTv, Veil } from '../ui/screen';
import { t, trouble } from '../words-late';
import { Notice } from './notice';

/** Refused: the server does not believe this box's signature; the id helps the operator find it. */
export const Refused = ({ id }: { id: string }) => (
  <Notice name="refused" icon={icons.lock} title={t('refused.title')} text={t('refused.do', { code: id || '4502' })} say={t('refused.say')} retry={t('retry')} />
);

export const Unsupported = ({ why }: { why: 'insecure' | 'engine' }) => (
  <Notice name="unsupported" icon={icons.lock} title={t(`unsupported.${why}.title`)} text={t(`unsupported.${why}.do`)} say={t('unsupported.say')} />
);

const GRACE_US = (120 + 30 * 60) * 1e6; // a waiting place outlives a lost link by 120 s, then 30 min parked (domain.md 7.1)

/** Parked: the line is gone, the place is not. While the server cannot be asked the page counts by its own clock. */
export function Parked({ ticket, since }: { ticket: Ticket; since: number }) {
  const tv = useTv();
  useTick(5000);
  const now = tv.term.clock.nowUs();
  const until = ticket.state === 'parked' && ticket.until_at !== null ? ticket.until_at : now - (Date.now() - since) * 1000 + GRACE_US;
  const minutes = Math.ceil(secondsLeft(until, now) / 60);
  return (
    <Notice
      name="parked" icon={icons.nonet} title={t('parked.title')} extra={t('parked.no', { no: ticket.no })} say={t('parked.say')} retry={t('retry')}
      text={minutes > 0 ? `${t('parked.left', { n: minutes })}${t('parked.do')}` : t('parked.keep')}
    />
  );
}

/** Trouble tells why a press did nothing. */
export function Trouble({ layer }: { layer: Extract<Layer, { name: 'trouble' }> }) {
  const tv = useTv();
  const e = trouble(layer.code);
  return (
    <Veil name="trouble" label={t('trouble.title')} say={`${e.what}。${e.todo}。`}>
      <div class="ask">
        <h2>{e.what}</h2>
        <p>{e.todo}</p>
        <div class="tel"><Icon d={icons.tel} />{e.call}</div>
        <div class="one"><Button id="ok" first word={t('trouble.ok')} onPress={() => tv.close()} /></div>
      </div>
    </Veil>
  );
}
