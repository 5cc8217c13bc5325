import { Button, Input, Popconfirm } from 'antd';
import { useEffect, useRef, useState } from 'react';
import { useTick } from '../core/hooks.react';
import { stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import { Chip, Head, type Parts } from './bits';
import { useZone } from './call';
import { Identity } from './identity';
import { checkedIn, isMobile, isOver, steps } from './matter';
import { t, word } from './t';
import type { Party, PartyLink } from './types';

/** A step's words, e.g. step.identity.yes. */
const stepWord = (key: string) => word('step', key);

/** Everybody of the dispute, what each has done, and what the mediator does with him next. */
export function Parties(x: Parts) {
  const { d, m } = x;
  const [inviting, setInviting] = useState<string | null>(null); // the name to begin with
  const mayInvite = d.state === 'screening' || d.state === 'contacting';
  useNewcomer(d.parties);
  return (
    <section className="dsec">
      <div id="goal-invite">
        <Head title={t('party.title')}>
          {mayInvite && inviting === null && <Button size="small" onClick={() => setInviting('')}><Icon name="user" size={15} />{t('invite.open')}</Button>}
        </Head>
      </div>
      {inviting !== null && mayInvite && <Invite first={inviting} busy={m.busy === 'invite'} onClose={() => setInviting(null)} onGo={async (name, phone) => (await m.run('invite', '/invites', { name, phone, role: 'respondent', side: 'B' })) && setInviting(null)} />}
      {d.parties.map((p) => <PartyCard key={p.id} {...x} p={p} onAgain={() => setInviting(p.name)} />)}
      {mayInvite && inviting === null && d.parties.length < 2 && <p className="dim">{t('invite.need')}</p>}
    </section>
  );
}

/** An invitation comes into sight when it is made and when its link works; never away from an identity form that is being filled in. */
function useNewcomer(parties: Party[]): void {
  const last = parties.at(-1);
  const invited = last?.link === null || last === undefined || last.here ? '' : `${last.id} ${last.link.state}`;
  const before = useRef(invited);
  useEffect(() => {
    const typing = document.activeElement?.closest('.check') != null;
    if (invited !== before.current && invited !== '' && !typing) document.getElementById(`goal-${last?.id}`)?.scrollIntoView({ block: 'nearest' });
    before.current = invited;
  }, [invited, last?.id]);
}

function PartyCard(x: Parts & { p: Party; onAgain: () => void }) {
  const { d, m, p, work } = x;
  const revoke = () => m.run('revoke', `/invites/${p.link?.id}/revoke`);
  const zone = useZone(x.call.room);
  const here = checkedIn(zone) === p.participant && p.participant !== '';
  const checking = work.desk?.session?.state === 'checking';
  const over = isOver(d);
  return (
    <article className={here ? 'pcard on' : 'pcard'} id={`goal-${p.id}`} aria-label={p.name}>
      <div className="ph">
        <b>{p.name}</b>
        <span className={p.side === 'A' ? 'tag t' : 'tag vi'}>{word('prole', p.role)}</span>
        <span className="dim num">{[p.id_no_masked, p.phone_masked].filter((s) => s !== '').join('　')}</span>
      </div>
      <div className="tags">{steps(p).map((f) => <Chip key={f.key} tone={f.tone}>{stepWord(f.key)}</Chip>)}</div>
      {p.link !== null && !p.here && !over && (
        <LinkCard link={p.link} busy={m.busy === 'revoke'} may={d.number === ''} now={work.clock.nowUs} onRevoke={() => void revoke()} onAgain={() => void revoke().then((ok) => ok && x.onAgain())} />
      )}
      {here && checking && p.identity === null && <Identity {...x} key={p.id} p={p} />}
      {!here && checking && p.here && !over && p.withdrawn_at === null && (
        <div className="acts"><Button type={p.identity === null ? 'primary' : 'default'} size="small" loading={work.busy === 'check'} onClick={() => void work.control({ op: 'check', args: { participant: p.participant } })}>
          <Icon name="door" size={15} />{p.identity === null ? t('check.go', { name: p.name }) : t('check.again', { name: p.name })}
        </Button></div>
      )}
      {here && checking && p.identity !== null && <p className="dim">{t('check.now', { name: p.name })}</p>}
    </article>
  );
}

/** What became of an invitation. Until the dispute is accepted it may be taken back; a person whose link is over is asked anew. */
function LinkCard({ link, busy, may, now, onRevoke, onAgain }: { link: PartyLink; busy: boolean; may: boolean; now: () => number; onRevoke: () => void; onAgain: () => void }) {
  const waits = link.state === 'live' || link.state === 'inert';
  useTick(1000, waits);
  const [copied, setCopied] = useState(false);
  const open = link.state === 'live' && link.url !== '';
  const left = Math.max(0, (link.expires_at - now()) / 1e6);
  const copy = () =>
    void navigator.clipboard?.writeText(link.url).then(
      () => setCopied(true),
      () => setCopied(false),
    );
  return (
    <div className="plink">
      {open && link.qr_svg !== '' && <img className="qr" src={`data:image/svg+xml;utf8,${encodeURIComponent(link.qr_svg)}`} alt={t('link.qr')} />}
      <div>
        <p>{word('link.say', link.state)}</p>
        {open && link.code !== '' && <p className="num">{t('link.code')} <b>{link.code}</b></p>}
        {waits && <p className="dim num">{t('link.left', { time: stopwatch(left) })}</p>}
        <div className="acts">
          {open && <Button size="small" onClick={copy}>{copied ? t('link.copied') : t('link.copy')}</Button>}
          {may && link.state === 'over' && <Button size="small" type="primary" loading={busy} onClick={onAgain}>{t('link.again')}</Button>}
          {may && (waits || link.state === 'spent') && (
            <Popconfirm title={t('link.revoke.sure')} okText={t('link.revoke')} cancelText={t('cancel')} onConfirm={onRevoke}>
              <Button size="small" loading={busy}>{t('link.revoke')}</Button>
            </Popconfirm>
          )}
        </div>
      </div>
    </div>
  );
}

function Invite({ first, busy, onGo, onClose }: { first: string; busy: boolean; onGo: (name: string, phone: string) => void; onClose: () => void }) {
  const [name, setName] = useState(first);
  const [phone, setPhone] = useState('');
  const clean = phone.replace(/[\s-]/g, '');
  const ok = name.trim() !== '' && isMobile(clean);
  return (
    <form
      className="pcard form"
      onSubmit={(e) => {
        e.preventDefault();
        if (ok) onGo(name.trim(), clean);
      }}
    >
      <div className="two">
        <label><span>{t('invite.name')}</span><Input autoFocus={first === ''} value={name} maxLength={40} onChange={(e) => setName(e.target.value)} /></label>
        <label><span>{t('invite.phone')}</span><Input autoFocus={first !== ''} value={phone} maxLength={13} inputMode="tel" onChange={(e) => setPhone(e.target.value)} /></label>
      </div>
      <p className="dim">{t('invite.note')}</p>
      <div className="acts"><Button onClick={onClose}>{t('cancel')}</Button><Button type="primary" htmlType="submit" loading={busy} disabled={!ok}>{t('invite.go')}</Button></div>
    </form>
  );
}
