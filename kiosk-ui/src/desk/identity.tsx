import { Button, Checkbox, Input, Popconfirm, Select } from 'antd';
import { useState } from 'react';
import { Say, type Parts } from './bits';
import { birthYearOf, isIdNo, isMobile, sexOf } from './matter';
import { t, word } from './t';
import type { Party } from './types';

type Form = { name: string; id_no: string; phone: string; sex: string; ethnic: string; birth_year: number; address: string; occupation: string };

const formOf = (p: Party): Form => ({ name: p.name, id_no: '', phone: '', sex: p.sex, ethnic: p.ethnic, birth_year: p.birth_year, address: p.address, occupation: p.occupation });

/** First thing in the form that cannot be right, '' when none. What is on file already may stay empty here. */
function wrong(f: Form, p: Party): string {
  if (f.name.trim() === '') return 'name';
  if (f.id_no === '' ? p.id_no_masked === '' : !isIdNo(f.id_no)) return 'id_no';
  if (f.phone === '' ? false : !isMobile(f.phone)) return 'phone';
  return '';
}

/** While the mediator is alone with a party: what to look at, what to write down, and the result. */
export function Identity({ m, p }: Parts & { p: Party }) {
  const [form, setForm] = useState<Form>(() => formOf(p));
  const [card, setCard] = useState(false);
  const [face, setFace] = useState(false);
  const [touched, setTouched] = useState(false);
  const set = (change: Partial<Form>) => {
    setTouched(true);
    setForm((f) => ({ ...f, ...change }));
  };
  const setId = (raw: string) => {
    const id = raw.replace(/\s/g, '').toUpperCase();
    set(isIdNo(id) ? { id_no: id, birth_year: birthYearOf(id), sex: sexOf(id) } : { id_no: id });
  };
  const bad = wrong(form, p);
  const needsCode = p.channel === 'party' && p.phone_code !== 'passed'; // who comes by his own phone proves its number too
  const known = p.id_no_masked !== '';
  const save = async (): Promise<boolean> => {
    const ok = await m.put('person', `/parties/${p.id}`, { ...form, name: form.name.trim(), phone: form.phone.replace(/[\s-]/g, ''), birth_year: form.birth_year || 0 });
    if (ok) setTouched(false);
    return ok;
  };
  const pass = async () => {
    if ((touched || !known) && !(await save())) return;
    const methods = [card && 'card', face && 'face', p.phone_code === 'passed' && 'phone_code'].filter((x) => x !== false);
    await m.run('identity', `/parties/${p.id}/identity`, { methods, passed: true });
  };
  const busy = m.busy === 'person' || m.busy === 'identity';
  return (
    <div className="check">
      <Say tone="t" icon="user">{t('check.look', { name: p.name })}</Say>
      <div className="looks">
        <Checkbox checked={card} onChange={(e) => setCard(e.target.checked)}>{t('check.card')}</Checkbox>
        <Checkbox checked={face} onChange={(e) => setFace(e.target.checked)}>{t('check.face')}</Checkbox>
      </div>
      <div className="form tight">
        <div className="named">
          <label><span>{t('pf.name')}</span><Input value={form.name} maxLength={40} onChange={(e) => set({ name: e.target.value })} /></label>
          <label>
            <span>{t('pf.id_no')}</span>
            <Input value={form.id_no} maxLength={18} inputMode="text" placeholder={p.id_no_masked || t('pf.id_no.ph')} status={form.id_no.length === 18 && !isIdNo(form.id_no) ? 'error' : ''} onChange={(e) => setId(e.target.value)} />
          </label>
        </div>
        <div className="four">
          <label><span>{t('pf.sex')}</span><Select aria-label={t('pf.sex')} value={form.sex || undefined} onChange={(sex) => set({ sex })} options={['男', '女'].map((x) => ({ value: x, label: x }))} /></label>
          <label><span>{t('pf.ethnic')}</span><Input value={form.ethnic} maxLength={20} placeholder={t('pf.ethnic.ph')} onChange={(e) => set({ ethnic: e.target.value })} /></label>
          <label><span>{t('pf.birth')}</span><Input value={form.birth_year || ''} maxLength={4} inputMode="numeric" onChange={(e) => set({ birth_year: Number(e.target.value.replace(/\D/g, '')) })} /></label>
          <label><span>{t('pf.occupation')}</span><Input value={form.occupation} maxLength={40} placeholder={t('pf.occupation.ph')} onChange={(e) => set({ occupation: e.target.value })} /></label>
        </div>
        <div className="lived">
          <label><span>{t('pf.address')}</span><Input value={form.address} maxLength={120} placeholder={t('pf.address.ph')} onChange={(e) => set({ address: e.target.value })} /></label>
          <label><span>{t('pf.phone')}</span><Input value={form.phone} maxLength={13} inputMode="tel" placeholder={p.phone_masked || t('pf.phone.ph')} onChange={(e) => set({ phone: e.target.value })} /></label>
        </div>
      </div>
      <div className="code">
        <span className={p.phone_code === 'passed' ? 'tag g' : p.phone_code === 'failed' ? 'tag r' : 'tag'}>{word('pcode', p.phone_code)}</span>
        <span className="dim">{p.channel === 'party' ? t('check.code.must') : t('check.code.note')}</span>
        <span className="grow" />
        {p.phone_code !== 'passed' && (
          <Button size="small" loading={m.busy === 'code'} disabled={p.phone_masked === ''} onClick={() => void m.run('code', `/parties/${p.id}/phone-codes`)}>
            {p.phone_code === 'none' ? t('check.code.send') : t('check.code.again')}
          </Button>
        )}
      </div>
      {(bad !== '' || needsCode) && <p className="dim why">{bad !== '' ? word('pf.bad', bad) : t(p.phone_code === 'sent' ? 'check.code.wait' : p.phone_code === 'failed' ? 'check.code.failed' : 'check.code.first')}</p>}
      <div className="acts">
        {p.link !== null && (
          <Popconfirm title={t('check.out.sure', { name: p.name })} okText={t('check.out.yes')} cancelText={t('cancel')} onConfirm={() => void m.run('revoke', `/invites/${p.link?.id}/revoke`)}>
            <Button danger loading={m.busy === 'revoke'}>{t('check.out')}</Button>
          </Popconfirm>
        )}
        <span className="grow" />
        <Button loading={m.busy === 'person'} disabled={busy || bad !== '' || !touched} onClick={() => void save()}>{t('check.save')}</Button>
        <Button type="primary" loading={m.busy === 'identity'} disabled={busy || bad !== '' || needsCode || !card || !face} onClick={() => void pass()}>{t('check.pass')}</Button>
      </div>
    </div>
  );
}
