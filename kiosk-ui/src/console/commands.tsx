import { App as Antd, Checkbox, Input, Modal, Radio, Select, Slider } from 'antd';
import { useState } from 'react';
import { asApiError, newKey } from '../core/api';
import { hourMinuteSecond } from '../core/clock';
import type { Fact } from '../core/facts';
import type { DeviceRow } from '../core/types';
import { pastTime } from '../staff/format';
import type { Staff } from '../staff/gate';
import { Icon, type IconName } from '../staff/icons';
import { errorSentence } from '../staff/t';
import { DRAFT, isOver, isOverdue, mayCancel, mayWait, NAMES, orderOf, span, steps, summary, toneOf, type Command, type CommandName, type Draft } from './command';
import { usePolled } from './data';
import { t, word } from './t';

const ICONS: Record<CommandName, IconName> = { 'message.show': 'chat', 'volume.set': 'sound', screenshot: 'camera', 'log.fetch': 'doc', 'page.reload': 'refresh', reboot: 'power' };
const LIVES = [0, 600, 3600, 86_400, 604_800] as const;
const SECONDS = [30, 60, 300, 1800] as const;

type Page = { rows: Command[] | null; next: string };

/** What was asked of a device, how far it is, what it brought; and the six things that may be asked. */
export function Commands({ staff, device }: { staff: Staff; device: DeviceRow }) {
  const [limit, setLimit] = useState(8);
  const { value, fact } = usePolled<Page>(staff.api, `/devices/${device.id}/commands?limit=${limit}`, 2000);
  const [asking, setAsking] = useState<CommandName | null>(null);
  const [seen, setSeen] = useState<Command | null>(null);
  const rows = value?.rows ?? [];
  const now = Date.now() * 1000;
  const off = device.life !== 'active';
  return (
    <>
      <h3>{t('cmd.title')}</h3>
      <div className="cmdbar">
        {NAMES.map((n) => (
          <button key={n} type="button" className="cmdb" disabled={off} onClick={() => setAsking(n)}><Icon name={ICONS[n]} size={18} />{word('cmd', n)}</button>
        ))}
      </div>
      {value !== null && rows.length === 0 && <p className="dim">{t('cmd.none')}</p>}
      <ul className="cmds">
        {rows.map((c) => <Row key={c.id} staff={staff} device={device} c={c} now={now} fact={fact} onSee={() => setSeen(c)} />)}
      </ul>
      {value !== null && value.next !== '' && <button type="button" className="link" onClick={() => setLimit(limit + 20)}>{t('cmd.more')}</button>}
      {asking !== null && <Ask key={asking} staff={staff} device={device} name={asking} onDone={() => { setAsking(null); fact.nudge(); }} />}
      {seen !== null && <Picture device={device} c={seen} onClose={() => setSeen(null)} />}
    </>
  );
}

const fileOf = (device: DeviceRow, c: Command) => `/api/v1/devices/${device.id}/commands/${c.id}/file`;

function Row({ staff, device, c, now, fact, onSee }: { staff: Staff; device: DeviceRow; c: Command; now: number; fact: Fact<Page>; onSee: () => void }) {
  const { message } = Antd.useApp();
  const [busy, setBusy] = useState(false);
  const cancel = async () => {
    setBusy(true);
    try {
      const after = await staff.api.post<Command>(`/devices/${device.id}/commands/${c.id}/cancel`, { key: newKey() });
      void message.success(t(after.state === 'cancelled' ? 'cmd.cancelled' : 'cmd.cancel.asked'));
    } catch (e) {
      const s = errorSentence(asApiError(e).code);
      void message.error(`${s.what}。${s.todo}`);
    } finally {
      setBusy(false);
      fact.nudge();
    }
  };
  const late = isOverdue(c, now);
  const words = summary(c);
  return (
    <li className={`cmd t-${toneOf(c.state)}`}>
      <p className="cmdh">
        <b>{word('cmd', c.name)}</b>
        {words !== '' && <span title={words}>{words}</span>}
        <i className="cst">{late ? t('cmd.overdue') : word('cst', c.state)}</i>
      </p>
      <ol className="cmdt">
        {steps(c).map((s) => (
          <li key={s.key} className={s.at > 0 ? 'on' : ''} title={s.at > 0 ? hourMinuteSecond(s.at) : ''}>
            {word('cmdt', s.key)}<small>{s.key === 'queued' ? hourMinuteSecond(s.at) : s.after || '–'}</small>
          </li>
        ))}
      </ol>
      <p className="cmdf">
        <span>{[pastTime(c.queued_at, now), c.by, why(c, now)].filter((x) => x !== '').join(' · ')}</span>
        {c.file !== null && c.file.kind === 'screenshot' && <button type="button" className="link" onClick={onSee}>{t('cmd.see')}</button>}
        {c.file !== null && c.file.kind === 'log' && <a className="link" href={fileOf(device, c)} download>{t('cmd.log', { kb: Math.max(1, Math.round(c.file.size / 1024)) })}</a>}
        {mayCancel(c) && <button type="button" className="link" disabled={busy} onClick={() => void cancel()}>{t('cmd.cancel')}</button>}
      </p>
    </li>
  );
}

/** What stands in the way, or why it did not happen. */
function why(c: Command, now: number): string {
  if (c.code !== '') return word('why', c.code, c.code);
  if (isOver(c)) return c.detail === '' ? '' : word('det', c.detail, '');
  if (c.cancel_at > 0) return t('cmd.cancelling');
  if (c.waiting !== '') return word('wait', c.waiting);
  if (c.state === 'queued') return now > c.not_after_at ? t('cmd.maybe') : t(c.sent ? 'cmd.sent' : 'cmd.waits', { left: span((c.not_after_at - now) / 1e6) });
  return '';
}

function Picture({ device, c, onClose }: { device: DeviceRow; c: Command; onClose: () => void }) {
  return (
    <Modal open title={t('cmd.picture', { name: device.name || device.serial })} footer={null} width={1080} onCancel={onClose}>
      <img className="cmdpic" src={fileOf(device, c)} alt={t('cmd.see')} />
      <p className="dim">{t('cmd.picture.what', { when: hourMinuteSecond(c.file?.at ?? 0), reason: summary(c) })}</p>
    </Modal>
  );
}

function Ask({ staff, device, name, onDone }: { staff: Staff; device: DeviceRow; name: CommandName; onDone: () => void }) {
  const { message } = Antd.useApp();
  const [d, setD] = useState<Draft>(DRAFT);
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey); // pressing again after a lost answer is the same command
  const [trouble, setTrouble] = useState('');
  const set = (p: Partial<Draft>) => setD({ ...d, ...p });
  const label = word('cmd', name);
  const order = orderOf(name, d, Date.now() * 1000);
  const act = async () => {
    if (order === null) return;
    setBusy(true);
    setTrouble('');
    try {
      await staff.api.post<Command>(`/devices/${device.id}/commands`, { key, ...order });
      void message.success(t('cmd.done', { name: device.name || device.serial, what: label }));
      onDone();
    } catch (e) {
      const s = errorSentence(asApiError(e).code);
      setTrouble(`${s.what}。${s.todo}`);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Modal
      mask={{ closable: false }} // a stray click beside the form loses nothing
      open title={`${label} · ${device.name || device.serial}`} okText={word('cmdgo', name)} cancelText={t('cancel')} confirmLoading={busy} onCancel={onDone} onOk={() => void act()}
      okButtonProps={{ disabled: order === null, danger: name === 'reboot' }}
    >
      <p className="ask">{word('cmdask', name)}</p>
      <div className="cmdform">
        {name === 'message.show' && (
          <>
            <label className="fld"><span>{t('cmd.text')}</span><Input.TextArea autoFocus rows={3} maxLength={200} showCount value={d.text} placeholder={t('cmd.text.ph')} onChange={(e) => set({ text: e.target.value })} /></label>
            <label className="fld"><span>{t('cmd.seconds')}</span><Select value={d.seconds} onChange={(seconds: number) => set({ seconds })} options={SECONDS.map((s) => ({ value: s, label: span(s) }))} /></label>
            <Checkbox checked={d.speak} onChange={(e) => set({ speak: e.target.checked })}>{t('cmd.speak')}</Checkbox>
          </>
        )}
        {name === 'volume.set' && <label className="fld"><span>{t('cmd.level', { n: d.level })}</span><Slider min={0} max={100} step={5} value={d.level} onChange={(level: number) => set({ level })} /></label>}
        {name === 'screenshot' && <label className="fld"><span>{t('cmd.reason')}</span><Input autoFocus maxLength={60} value={d.reason} placeholder={t('cmd.reason.ph')} onChange={(e) => set({ reason: e.target.value })} /></label>}
        {mayWait(name) && (
          <Radio.Group value={d.wait} onChange={(e) => set({ wait: e.target.value === true })}>
            <Radio value={false}>{t('cmd.busy.reject')}</Radio>
            <Radio value>{t('cmd.busy.wait')}</Radio>
          </Radio.Group>
        )}
        <label className="fld"><span>{t('cmd.life')}</span><Select value={d.life} onChange={(life: number) => set({ life })} options={LIVES.map((s) => ({ value: s, label: s === 0 ? t('cmd.life.default', { n: word('cmdlife', name) }) : span(s) }))} /></label>
      </div>
      {device.presence !== 'connected' && <p className="cmdoff">{t('cmd.off')}</p>}
      {trouble !== '' && <p className="asktrouble" role="alert">{trouble}</p>}
    </Modal>
  );
}
