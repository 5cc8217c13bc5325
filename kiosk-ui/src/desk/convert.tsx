import { Button, Input, Modal, Select } from 'antd';
import { useState } from 'react';
import { asApiError, newKey, type ApiError } from '../core/api';
import type { Staff } from '../staff/gate';
import { kindOf, tidy } from './matter';
import { t, word } from './t';
import type { Dispute } from './types';

export const MKINDS = ['people', 'trade', 'admin', 'court_pre', 'court_post', 'labour', 'land'] as const;
const CATEGORIES = [
  'family', 'neighbours', 'housing', 'contract', 'business', 'damage', 'land', 'expropriation', 'environment', 'wages', 'labour', 'medical', 'traffic', 'property',
  'consumer', 'tourism', 'ecommerce', 'other',
] as const;

type Props = { staff: Staff; session: string; category: string; matter: string; onDone: (d: Dispute) => void; onClose: () => void; onTrouble: (e: ApiError) => void };

/** 转为调解: what is registered before the other side is asked. The consult's record stays as it is. */
export function ConvertDialog({ staff, session, category, matter, onDone, onClose, onTrouble }: Props) {
  const [key] = useState(newKey); // pressing twice registers once
  const [cat, setCat] = useState(CATEGORIES.some((c) => c === category) ? category : 'other');
  const [kind, setKind] = useState(kindOf(category));
  const [name, setName] = useState('');
  const [facts, setFacts] = useState(matter);
  const [requests, setRequests] = useState(['', '', '']);
  const [busy, setBusy] = useState(false);
  const wants = requests.map((r) => r.trim()).filter((r) => r !== '');
  const missing = name.trim() === '' ? 'name' : facts.trim() === '' ? 'facts' : wants.length === 0 ? 'requests' : '';

  const go = async () => {
    setBusy(true);
    try {
      const body = { key, mediation_kind: kind, category: cat, applicant: { name: name.trim() }, facts: facts.trim(), requests: wants };
      onDone(tidy(await staff.api.post<Dispute>(`/sessions/${session}/dispute`, body)));
    } catch (e) {
      onTrouble(asApiError(e));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      open
      width={600}
      mask={{ closable: false }} // a stray click beside the form loses nothing
      title={t('conv.title')}
      onCancel={onClose}
      footer={[
        <span key="why" className="dim conv-why">{missing === '' ? t('conv.ask') : word('conv.missing', missing)}</span>,
        <Button key="no" onClick={onClose}>{t('cancel')}</Button>,
        <Button key="go" type="primary" loading={busy} disabled={missing !== ''} onClick={() => void go()}>{t('conv.go')}</Button>,
      ]}
    >
      <div className="form">
        <label><span>{t('conv.name')}</span><Input autoFocus value={name} maxLength={40} placeholder={t('conv.name.ph')} onChange={(e) => setName(e.target.value)} /></label>
        <div className="two">
          <label><span>{t('conv.category')}</span><Select aria-label={t('conv.category')} value={cat} onChange={(v) => { setCat(v); setKind(kindOf(v)); }} options={CATEGORIES.map((c) => ({ value: c, label: word('cat', c) }))} /></label>
          <label><span>{t('conv.kind')}</span><Select aria-label={t('conv.kind')} value={kind} onChange={setKind} options={MKINDS.map((k) => ({ value: k, label: word('mkind', k) }))} /></label>
        </div>
        <label><span>{t('conv.facts')}</span><Input.TextArea value={facts} maxLength={2000} autoSize={{ minRows: 3, maxRows: 8 }} placeholder={t('conv.facts.ph')} onChange={(e) => setFacts(e.target.value)} /></label>
        <fieldset>
          <legend>{t('conv.requests')}</legend>
          {requests.map((r, i) => (
            <Input key={i} value={r} maxLength={200} aria-label={t('conv.request', { n: i + 1 })} placeholder={i === 0 ? t('conv.request.ph') : ''} prefix={<span className="dim">{i + 1}</span>} onChange={(e) => setRequests(requests.map((x, k) => (k === i ? e.target.value : x)))} />
          ))}
        </fieldset>
        <p className="dim">{cat === 'family' ? t('conv.family') : t('conv.note')}</p>
      </div>
    </Modal>
  );
}
