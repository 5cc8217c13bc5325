import { Button, Input, Modal, Radio } from 'antd';
import { useState } from 'react';
import { hourMinute } from '../core/clock';
import { Head, Say, type Parts } from './bits';
import { fileUrl } from './signing';
import { dayWords } from './matter';
import { t, word } from './t';
import type { Dispute } from './types';

const CODES = ['2', '3', '4', '5', '6', '7', '8'] as const;

/** 谈不成: the code of the court's rules art. 25, and why. The routes are told next. */
export function CloseDialog({ m, d, onClose }: Parts & { onClose: () => void }) {
  const [code, setCode] = useState('');
  const [reason, setReason] = useState('');
  const ready = code !== '' && reason.trim() !== '';
  const go = async () => {
    if (await m.run('close', '/close', { code, reason: reason.trim() })) onClose();
  };
  return (
    <Modal
      open
      width={520}
      mask={{ closable: false }} // a stray click beside the form loses nothing
      title={t('end.title')}
      onCancel={onClose}
      footer={[<Button key="no" onClick={onClose}>{t('cancel')}</Button>, <Button key="go" type="primary" danger disabled={!ready} loading={m.busy === 'close'} onClick={() => void go()}>{t('end.go')}</Button>]}
    >
      <div className="form">
        <Radio.Group className="codes" value={code} onChange={(e) => setCode(String(e.target.value))} options={CODES.map((c) => ({ value: c, label: word('closing', c) }))} />
        <label><span>{t('end.reason')}</span><Input.TextArea value={reason} maxLength={400} autoSize={{ minRows: 2, maxRows: 5 }} placeholder={t('end.reason.ph')} onChange={(e) => setReason(e.target.value)} /></label>
        <p className="dim">{d.number === '' ? t('end.note.early') : t('end.note')}</p>
      </div>
    </Modal>
  );
}

/** 卷宗: what is in the file, where it went, and after a failure the other lawful ways. */
export function Dossier(x: Parts) {
  const { d } = x;
  return (
    <div className="dbody">
      {d.closing !== null && <Closing {...x} />}
      <Delivery d={d} />
      <section className="dsec">
        <Head title={t('dos.papers')}><span className="dim">{t('dos.count', { n: d.files.length })}</span></Head>
        {d.files.length === 0 ? <p className="dim">{t(d.closing === null ? 'dos.none' : 'dos.none.closed')}</p> : (
          <ul className="files">
            {[...d.files].sort((a, b) => a.paper - b.paper).map((f) => (
              <li key={f.digest + f.name}><a href={fileUrl(d, f.digest)} target="_blank" rel="noreferrer">{f.name}</a><span className="grow" /><span className="dim num">{kib(f.size)}</span></li>
            ))}
          </ul>
        )}
      </section>
    </div>
  );
}

const kib = (n: number): string => (n < 1024 * 1024 ? `${Math.max(1, Math.round(n / 1024))} KB` : `${(n / 1024 / 1024).toFixed(1)} MB`);

function Closing({ m, d }: Parts) {
  const c = d.closing;
  if (c === null) return null;
  return (
    <section className="dsec">
      <Head title={t('end.done')}><span className="tag y">{word('closing', c.code)}</span></Head>
      {c.reason !== '' && <p className="said">{c.reason}</p>}
      <Head title={t('end.routes')} />
      <ol className="said routes">{c.routes.map((r) => <li key={r.code}>{r.text}</li>)}</ol>
      {c.guided_at === null ? (
        <div className="acts">
          <span className="dim grow">{t('end.routes.do')}</span>
          <Button loading={m.busy === 'shown'} onClick={() => void m.run('shown', '/guidance', { how: 'shown' })}>{t('end.shown')}</Button>
          <Button type="primary" loading={m.busy === 'aloud'} onClick={() => void m.run('aloud', '/guidance', { how: 'read_aloud' })}>{t('end.aloud')}</Button>
        </div>
      ) : (
        <Say tone="g" icon="check">{t('end.guided', { time: hourMinute(c.guided_at) })}</Say>
      )}
    </section>
  );
}

function Delivery({ d }: { d: Dispute }) {
  const h = d.handoff;
  if (h === null) return d.closing === null ? <p className="dim">{t('dos.before')}</p> : null;
  const tone = h.state === 'verified' || h.state === 'acked' ? 'g' : h.state === 'dead' || h.state === 'failed' ? 'r' : 'y';
  return (
    <section className="dsec">
      <Head title={t('dos.handoff')}><span className={`tag ${tone}`}>{word('hstate', h.state)}</span></Head>
      {h.receipt_no !== '' ? <p className="receipt"><em>{t('dos.receipt')}</em><b className="num">{h.receipt_no}</b></p> : <p className="dim">{h.attempts > 1 ? t('dos.tries', { n: h.attempts }) : t('dos.soon')}</p>}
      {d.confirm_last_on !== null && d.confirm_last_on !== '' && <Say tone="t" icon="clock">{t('dos.confirm', { day: dayWords(d.confirm_last_on) })}</Say>}
    </section>
  );
}
