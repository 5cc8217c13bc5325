// /join/<token> and /s/<token>: says who asks and for what; one button, and only its POST spends the link.
import { useEffect, useRef, useState } from 'preact/hooks';
import { type ApiError, asApiError, createApi } from '../../core/api';
import { Icon } from '../../light/icons';
import { useBusy } from '../../light/ui';
import { Message } from '../parts';
import { speaker } from '../voice';
import { category, t as shared } from '../../light/dispute/t';
import { err } from '../../light/dispute/touch';
import { t as own } from '../t';
import { PartyPage } from './page';
import { t } from './t';
import type { PartyGrant, Purpose } from './session';

export type LinkPairing = { token: string } | { code: string };

interface LinkPeek { purpose: Purpose; state: 'live' | 'inert' | 'spent' | 'over' | 'revoked'; unit: string; mediator: string; from: string; category: string; place: string[] | string }

type Stage =
  | { at: 'checking' }
  | { at: 'peek'; peek: LinkPeek; pairing: LinkPairing }
  | { at: 'in'; grant: PartyGrant }
  | { at: 'failed'; error: ApiError };

const open = createApi();
const again = 5000;

/** A link in a text is not a code on a screen: its own sentences. */
const wordsOf = (code: string) => err(code === 'token.spent' ? 'link.used' : code === 'token.expired' || code === 'auth.required' ? 'link.over' : code);

/** held: this browser redeemed this very link before; keep is told which link it holds now, '' for none. */
export function Door(p: { pairing: LinkPairing | null; held: boolean; keep: (link: string) => void }) {
  const [stage, go] = useState<Stage>({ at: 'checking' });
  const begin = () => { void find(p, go); };
  useEffect(begin, []);
  const inert = stage.at === 'peek' && stage.peek.state === 'inert';
  useEffect(() => {
    if (!inert) return undefined;
    const id = setInterval(begin, again); // it opens when the other side has said yes
    return () => clearInterval(id);
  }, [inert]);

  if (stage.at === 'checking') return <Message title={t('join.checking')} busy />;
  if (stage.at === 'failed') {
    const e = wordsOf(stage.error.code);
    const retry = stage.error.temporary ? { label: own('cam.moved.here'), run: () => { go({ at: 'checking' }); begin(); } } : undefined;
    return <Message title={e.what} sub={e.todo} icon="ask" action={retry} />;
  }
  if (stage.at === 'in') {
    return <PartyPage grant={stage.grant} onOver={(error) => { p.keep(''); go({ at: 'failed', error }); }} />;
  }
  return <Peek peek={stage.peek} pairing={stage.pairing} onGrant={(grant) => {
    p.keep('token' in stage.pairing ? stage.pairing.token : 'code');
    go({ at: 'in', grant });
  }} onFail={(error) => go({ at: 'failed', error })} />;
}

async function find(p: { pairing: LinkPairing | null; held: boolean; keep: (link: string) => void }, go: (s: Stage) => void): Promise<void> {
  try {
    if (p.held || !p.pairing) {
      go({ at: 'in', grant: await open.get<PartyGrant>('/links/mine') });
      return;
    }
  } catch (e) {
    const failed = asApiError(e);
    if (failed.temporary || !p.pairing) {
      if (!failed.temporary) p.keep('');
      go({ at: 'failed', error: failed });
      return;
    }
    p.keep('');
  }
  if (!p.pairing) return;
  try {
    go({ at: 'peek', peek: await open.post<LinkPeek>('/links/peek', p.pairing), pairing: p.pairing });
  } catch (e) {
    go({ at: 'failed', error: asApiError(e) });
  }
}

const NOBODY: PartyGrant = { link_id: '', purpose: 'join', csrf: '' };

/** What this browser may do already; nothing of it when the server knows it not. Throws when no answer came. */
async function mine(): Promise<PartyGrant> {
  try {
    return await open.get<PartyGrant>('/links/mine');
  } catch (e) {
    if (asApiError(e).temporary) throw e;
    return NOBODY;
  }
}

function Peek(p: { peek: LinkPeek; pairing: LinkPairing; onGrant: (g: PartyGrant) => void; onFail: (e: ApiError) => void }) {
  const { peek } = p;
  const [busy, run] = useBusy();
  const [error, setError] = useState<ApiError | null>(null);
  const before = useRef<string | null>(null); // the link that this browser held before the first press: of an earlier case
  const place = Array.isArray(peek.place) ? peek.place.join(' ') : peek.place;
  const joins = peek.purpose === 'join';

  if (peek.state === 'inert') return <Message title={t('join.inert')} sub={t('join.inert.sub')} icon="ask" />;
  if (peek.state !== 'live') {
    const e = wordsOf(peek.state === 'spent' ? 'token.spent' : 'link.over');
    return <Message title={e.what} sub={e.todo} icon="ask" />;
  }
  const use = () => {
    speaker.unlock();
    run(async () => {
      try {
        if (before.current === null) before.current = (await mine()).link_id;
        p.onGrant(await open.post<PartyGrant>('/links/redeem', p.pairing));
      } catch (e) {
        const failed = asApiError(e);
        const now = await mine().catch(() => NOBODY);
        if (before.current !== null && now.link_id !== '' && now.link_id !== before.current) p.onGrant(now); // a press did reach the server, its answer was lost
        else if (failed.temporary) setError(failed);
        else p.onFail(failed);
      }
    });
  };
  return (
    <div class="stack">
      <section class="tvcard">
        <Icon name={joins ? 'hands' : 'pen'} />
        <p class="eyebrow">{peek.unit}</p>
        <h2>{t(joins ? 'join.title' : 's.title')}</h2>
        <p>{joins ? t('join.from', { from: peek.from }) : t('s.from', { place })}</p>
        {joins && <p>{t('join.mediator', { name: peek.mediator })}</p>}
        {joins && peek.category && <p>{t('join.about', { category: category(peek.category) })}</p>}
        {!joins && peek.from && <p><b>{t('s.me', { name: peek.from })}</b></p>}
      </section>
      <button type="button" class="huge" disabled={busy} onClick={use}>
        <Icon name={joins ? 'video' : 'pen'} /><b>{t(joins ? 'join.use' : 's.use')}</b><span>{t(joins ? 'join.use.sub' : 's.use.sub')}</span>
      </button>
      {error && <p class="bad" role="alert">{wordsOf(error.code).what}。{wordsOf(error.code).todo}。</p>}
      <p class="note">{joins ? t('join.free') : shared('sign.free')}</p>
      {joins && <p class="note">{t('join.notmine')}</p>}
      <button type="button" class="pb" onClick={() => { speaker.unlock(); speaker.say(joins ? t('join.say', { from: peek.from }) : t('s.say'), true); }}>
        <Icon name="speak" /><div><b>{own('phone.read')}</b><span>{own('phone.read.sub')}</span></div>
      </button>
    </div>
  );
}
