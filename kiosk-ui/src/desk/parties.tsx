import { Button, Input, Popconfirm } from 'antd';
import { useState } from 'react';
import { useTick } from '../core/hooks.react';
import { stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import { Chip, Head, type Parts } from './bits';
import { Identity } from './identity';
import { checkedIn, isMobile, isOver, steps } from './matter';
import { t, word } from './t';
import type { Party, PartyLink } from './types';

/** A step's words, e.g. step.identity.yes. */
const stepWord = (key: string) => word('step', key);

/** Everybody of the dispute, what each has done, and what the mediator does with him next. */
export function Parties(x: Parts) {
  const { d, m } = x;
  const [inviting, setInviting] = useState(false);
  const mayInvite = d.state === 'screening' || d.state === 'contacting';
  return (
    <section className="dsec">
      <Head title={t('party.title')}>
        {mayInvite && !inviting && <Button size="small" onClick={() => setInviting(true)}><Icon name="user" size={15} />{t('invite.open')}</Button>}
      </Head>
      {inviting && mayInvite && <Invite busy={m.busy === 'invite'} onClose={() => setInviting(false)} onGo={async (name, phone) => (await m.run('invite', '/invites', { name, phone, role: 'respondent', side: 'B' })) && setInviting(false)} />}
      {d.parties.map((p) => <PartyCard key={p.id} {...x} p={p} />)}
      {mayInvite && !inviting && d.parties.length < 2 && <p className="dim">{t('invite.need')}</p>}
    </section>
  );
}

function PartyCard(x: Parts & { p: Party }) {
  const { d, m, p, work, call } = x;
  const zone = call.view?.phase?.zone ?? '';
  const here = checkedIn(zone) === p.participant && p.participant !== '';
  const checking = work.desk?.session?.state === 'checking';
  const over = isOver(d);
  return (
    <article className={here ? 'pcard on' : 'pcard'} aria-label={p.name}>
      <div className="ph">
        <b>{p.name}</b>
        <span className={p.side === 'A' ? 'tag t' : 'tag vi'}>{word('prole', p.role)}</span>
        <span className="dim num">{[p.id_no_masked, p.phone_masked].filter((s) => s !== '').join('　')}</span>
      </div>
      <div className="tags">{steps(p).map((f) => <Chip key={f.key} tone={f.tone}>{stepWord(f.key)}</Chip>)}</div>
      {p.link !== null && !p.here && !over && <LinkCard link={p.link} busy={m.busy === 'revoke'} now={work.clock.nowUs} onRevoke={() => void m.run('revoke', `/invites/${p.link?.id}/revoke`)} />}
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

function LinkCard({ link, busy, now, onRevoke }: { link: PartyLink; busy: boolean; now: () => number; onRevoke: () => void }) {
  useTick(1000, link.state === 'live' || link.state === 'inert');
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
        {(link.state === 'live' || link.state === 'inert') && <p className="dim num">{t('link.left', { time: stopwatch(left) })}</p>}
        <div className="acts">
          {open && <Button size="small" onClick={copy}>{copied ? t('link.copied') : t('link.copy')}</Button>}
          {(link.state === 'live' || link.state === 'inert') && (
            <Popconfirm title={t('link.revoke.sure')} okText={t('link.revoke')} cancelText={t('cancel')} onConfirm={onRevoke}>
              <Button size="small" loading={busy}>{t('link.revoke')}</Button>
            </Popconfirm>
          )}
        </div>
      </div>
    </div>
  );
}

function Invite({ busy, onGo, onClose }: { busy: boolean; onGo: (name: string, phone: string) => void; onClose: () => void }) {
  const [name, setName] = useState('');
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
        <label><span>{t('invite.name')}</span><Input autoFocus value={name} maxLength={40} onChange={(e) => setName(e.target.value)} /></label>
        <label><span>{t('invite.phone')}</span><Input value={phone} maxLength={13} inputMode="tel" onChange={(e) => setPhone(e.target.value)} /></label>
      </div>
      <p className="dim">{t('invite.note')}</p>
      <div className="acts"><Button onClick={onClose}>{t('cancel')}</Button><Button type="primary" htmlType="submit" loading={busy} disabled={!ok}>{t('invite.go')}</Button></div>
    </form>
  );
}
