import { Button, Input, Modal, Popconfirm, type InputRef } from 'antd';
import { useEffect, useRef, useState, type ReactNode } from 'react';
import { showCode } from '../agreement/digest';
import type { Mark } from '../agreement/mark';
import { hourMinute } from '../core/clock';
import { Icon } from '../staff/icons';
import { Head, Say, type Parts } from './bits';
import { dayWords, progress, signers, signStop } from './matter';
import { SignPad } from './pad';
import { Preview, useVerdict } from './preview';
import { t, word } from './t';
import type { Dispute, Party } from './types';

/** 签字: who has read, keyed and signed the frozen agreement, and the mediator's own signature. */
export function Signing(x: Parts) {
  const { d, m } = x;
  const a = d.agreement;
  const verdict = useVerdict(a);
  const [signing, setSigning] = useState(false);
  const [look, setLook] = useState(false);
  const [seek, setSeek] = useState({ n: 0 }); // a block to be brought into sight, each press anew
  useEffect(() => {
    if (seek.n > 0) document.getElementById(`block-${seek.n}`)?.scrollIntoView({ block: 'center' });
  }, [seek]);
  if (a === null || a.digest === '') return <div className="blank"><Icon name="pen" size={34} /><span>{t('sg.none')}</span></div>;
  const stop = signStop(d);
  const live = a.state === 'frozen' || a.state === 'signing';
  const signedAny = signers(d).some((p) => p.signed_at !== null);
  const good = verdict === 'same';
  return (
    <>
      <div className="dbody">
        {verdict !== null && !good && <Say tone="r">{t('sg.differs')}</Say>}
        <div className="codebox">
          <span><em>{t('sg.code')}</em><b className="num">{good ? showCode(a.code) : '··· ···'}</b></span>
          <span className="dim">{t('sg.version', { v: a.v })}{a.sign_mode === 'paper' && <><br />{t('sg.paper')}</>}</span>
          <span className="grow" />
          <Button size="small" type={a.sign_mode === 'paper' && live ? 'primary' : 'default'} href={fileUrl(d, a.pdf_sha256)} target="_blank" rel="noreferrer">{a.sign_mode === 'paper' ? t('sg.print') : t('sg.pdf')}</Button>
          <Button size="small" onClick={() => setLook(!look)}>{look ? t('sg.hide') : t('sg.show')}</Button>
        </div>
        <ul className="signs">
          {signers(d).map((p) => <PartyLine key={p.id} d={d} p={p} paper={a.sign_mode === 'paper'} />)}
          <Row name={t('sg.me')} done={a.mediator_signed_at}>{a.mediator_signed_at === null ? t(a.sign_mode === 'paper' ? 'sg.me.paper' : 'sg.me.last') : ''}</Row>
          <Row name={t('sg.seal')} done={a.effective_at}>{a.effective_at === null ? t(a.sign_mode === 'paper' ? 'sg.seal.paper' : a.state === 'mediator_signed' ? 'sg.seal.now' : 'sg.seal.after') : ''}</Row>
        </ul>
        {unclearOf(d).map((u) => <Say key={u.key} tone="r" icon="user">{t('sg.unclear', { name: u.name, n: u.n })} <button type="button" className="link" onClick={() => { setLook(true); setSeek({ n: u.first }); }}>{t('sg.unclear.see')}</button></Say>)}
        {a.state === 'mediator_signed' && <Say tone="y" icon="clock">{t('sg.sealing')}</Say>}
        {a.state === 'effective' && a.effective_at !== null && <Say tone="g" icon="check">{t('sg.effective', { time: hourMinute(a.effective_at) })}</Say>}
        {a.sign_mode === 'paper' && live && <PaperPath {...x} />}
        {look && <Preview d={d} />}
      </div>
      {(live || (a.sign_mode === 'paper' && a.state !== 'effective')) && (
        <div className="foot2">
          <Popconfirm
            title={signedAny ? t('sg.revise.sure.signed') : t('sg.revise.sure')}
            description={<div className="endnote">{t('sg.revise.note')}</div>}
            okText={t('sg.revise.yes')}
            cancelText={t('cancel')}
            onConfirm={() => void m.run('revise', '/agreement/revise')}
          >
            <Button loading={m.busy === 'revise'}>{t('sg.revise')}</Button>
          </Popconfirm>
          <span className="grow" />
          {a.sign_mode === 'electronic' && <Button type="primary" disabled={stop !== '' || !good} onClick={() => setSigning(true)}>{stop === 'parties' ? t('sg.wait.parties') : t('sg.sign')}</Button>}
        </div>
      )}
      {signing && <SignDialog {...x} onClose={() => setSigning(false)} />}
    </>
  );
}

export const fileUrl = (d: Dispute, digest: string): string => `/api/v1/disputes/${d.id}/files/${digest}`;

function unclearOf(d: Dispute): { key: string; name: string; n: string; first: number }[] {
  return d.parties.filter((p) => p.unclear.length > 0).map((p) => ({ key: p.id, name: p.name, n: p.unclear.map((n) => placeOf(d, n)).join('、'), first: Math.min(...p.unclear) }));
}

/** What a block is called when people talk about it: "第二条" of the clauses, else its first words. */
function placeOf(d: Dispute, n: number): string {
  const blocks = d.agreement?.blocks ?? [];
  const b = blocks.find((y) => y.n === n);
  if (b === undefined) return String(n);
  if (b.t !== 'clause') return `“${(b.lines[0] ?? '').slice(0, 8)}”`;
  return t('sg.clause', { n: blocks.filter((y) => y.t === 'clause' && y.n <= n).length });
}

function Row({ name, done, children }: { name: string; done: number | null; children: ReactNode }) {
  return (
    <li className={done === null ? '' : 'done'}>
      <b>{name}</b>
      <span className="dim">{children}</span>
      <span className="grow" />
      {done !== null && <span className="tag g">✓ <span className="num">{hourMinute(done)}</span></span>}
    </li>
  );
}

function PartyLine({ d, p, paper }: { d: Dispute; p: Party; paper: boolean }) {
  const at = progress(p, d);
  const words = at.signedAt !== null ? t('sg.signed') : paper ? t('sg.paper.party', { n: at.read, all: at.all }) : at.keyed ? t('sg.keyed') : at.read < at.all ? t('sg.reading', { n: at.read, all: at.all }) : t('sg.read');
  return (
    <Row name={p.name} done={at.signedAt}>
      {words}
      {!at.keyed && at.tries > 0 && <span className={at.tries >= 3 ? 'tag r' : 'tag y'}>{at.tries >= 3 ? t('sg.called') : t('sg.tries', { n: at.tries })}</span>}
    </Row>
  );
}

/** Password again, the six digits outside a demo, and a mark drawn by hand, all bound to the digest this desk worked out. */
function SignDialog({ work, m, d, onClose }: Parts & { onClose: () => void }) {
  const a = d.agreement;
  const verdict = useVerdict(a);
  const [password, setPassword] = useState('');
  const [totp, setTotp] = useState('');
  const [askTotp, setAskTotp] = useState(!work.staff.me.demo);
  const [mark, setMark] = useState<Mark | null>(null);
  const [wrong, setWrong] = useState('');
  const again = useRef<InputRef>(null);
  if (a === null) return null;
  const ready = verdict === 'same' && password !== '' && mark !== null && (!askTotp || totp.length === 6);
  const go = async () => {
    setWrong('');
    const ok = await m.run('sign', '/agreement/sign', { digest: a.digest, password, ...(totp === '' ? {} : { totp }), mark }, (e) => {
      if (e.code === 'auth.totp_required' || (e.code === 'agreement.reauth_required' && e.field === 'totp')) setAskTotp(true);
      else if (e.code !== 'agreement.reauth_required' && e.code !== 'auth.wrong') return false;
      setWrong(e.field === 'totp' || e.code === 'auth.totp_required' ? t('sg.totp.wrong') : t('sg.password.wrong'));
      return true;
    });
    setPassword('');
    setTotp('');
    if (ok) onClose();
    else again.current?.focus();
  };
  return (
    <Modal
      open
      width={640}
      mask={{ closable: false }} // a stray click beside the form loses nothing
      title={t('sg.dialog')}
      onCancel={onClose}
      footer={[<Button key="no" onClick={onClose}>{t('cancel')}</Button>, <Button key="go" type="primary" disabled={!ready} loading={m.busy === 'sign'} onClick={() => void go()}>{t('sg.dialog.go')}</Button>]}
    >
      <div className="form">
        <div className="codebox"><span><em>{t('sg.code')}</em><b className="num">{verdict === 'same' ? showCode(a.code) : '··· ···'}</b></span><span className="dim">{t('sg.dialog.note')}</span></div>
        {verdict !== null && verdict !== 'same' && <Say tone="r">{t('sg.differs')}</Say>}
        {wrong !== '' && <Say tone="r">{wrong}</Say>}
        <div className="two">
          <label><span>{t('sg.password')}</span><Input.Password ref={again} autoFocus onPressEnter={() => ready && m.busy === '' && void go()} visibilityToggle={false} autoComplete="current-password" value={password} onChange={(e) => setPassword(e.target.value)} /></label>
          {askTotp && <label><span>{t('signin.totp')}</span><Input inputMode="numeric" autoComplete="one-time-code" maxLength={6} value={totp} onChange={(e) => setTotp(e.target.value.replace(/\D/g, ''))} /></label>}
        </div>
        <SignPad onMark={setMark} />
      </div>
    </Modal>
  );
}

const SCAN_MAX = 20 * 1024 * 1024;
const SCAN_TYPES = ['application/pdf', 'image/jpeg', 'image/png'];

/** Wet signatures: print, sign, scan; the clerk attests with the day of the last mark. */
function PaperPath({ work, m }: Parts) {
  const [scan, setScan] = useState<File | null>(null);
  const [day, setDay] = useState('');
  const [password, setPassword] = useState('');
  const [totp, setTotp] = useState('');
  const askTotp = !work.staff.me.demo;
  const today = new Date(work.clock.nowUs() / 1000 + 8 * 3600_000).toISOString().slice(0, 10);
  const bad = scan === null ? '' : scan.size > SCAN_MAX ? 'size' : SCAN_TYPES.includes(scan.type) ? '' : 'type';
  const [wrong, setWrong] = useState('');
  const again = useRef<InputRef>(null);
  const missing = scan === null || bad !== '' ? 'scan' : day === '' ? 'day' : day > today ? 'late' : password === '' || (askTotp && totp.length !== 6) ? 'password' : '';
  const go = async () => {
    if (scan === null) return;
    setWrong('');
    const form = new FormData();
    form.set('password', password);
    if (totp !== '') form.set('totp', totp);
    form.set('signed_on', day);
    form.set('scan', scan);
    const ok = await m.upload('paper', '/agreement/paper', form, (e) => {
      if (e.code !== 'agreement.reauth_required' && e.code !== 'auth.wrong') return false;
      setWrong(t(e.field === 'totp' ? 'pp.totp.wrong' : 'pp.password.wrong'));
      return true;
    });
    setPassword('');
    setTotp('');
    if (!ok) again.current?.focus();
  };
  return (
    <section className="dsec paperpath form tight">
      <Head title={t('pp.title')} />
      <ol className="said"><li>{t('pp.1')}</li><li>{t('pp.2')}</li><li>{t('pp.3')}</li></ol>
      <label className="pick">
        <input type="file" accept=".pdf,.jpg,.jpeg,.png,application/pdf,image/jpeg,image/png" onChange={(e) => setScan(e.target.files?.[0] ?? null)} />
        <span className="pickbtn">{scan === null ? t('pp.pick') : t('pp.pick.other')}</span>
        <span className="dim">{scan === null ? t('pp.scan') : scan.name}</span>
      </label>
      {bad !== '' && <p className="hint r">{t(bad === 'size' ? 'pp.size' : 'pp.type')}</p>}
      <div className="two">
        <label><span>{t('pp.day')}</span><Input type="date" max={today} value={day} onChange={(e) => setDay(e.target.value)} /></label>
        <label><span>{t('sg.password')}</span><Input.Password ref={again} visibilityToggle={false} autoComplete="current-password" value={password} onChange={(e) => setPassword(e.target.value)} /></label>
        {askTotp && <label><span>{t('signin.totp')}</span><Input inputMode="numeric" maxLength={6} value={totp} onChange={(e) => setTotp(e.target.value.replace(/\D/g, ''))} /></label>}
      </div>
      {wrong !== '' && <Say tone="r">{wrong}</Say>}
      <div className="acts"><span className="dim grow">{missing === '' ? t('pp.effective', { day: dayWords(day) }) : word('pp.missing', missing)}</span><Button type="primary" disabled={missing !== ''} loading={m.busy === 'paper'} onClick={() => void go()}>{t('pp.go')}</Button></div>
    </section>
  );
}
