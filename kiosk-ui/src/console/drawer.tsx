import { App as Antd, Button, Drawer as Side, Input, Modal } from 'antd';
import { lazy, Suspense, useEffect, useState, type ReactNode } from 'react';
import { asApiError, newKey } from '../core/api';
import { dayText, hourMinute } from '../core/clock';
import type { DeviceRow } from '../core/types';
import type { Staff } from '../staff/gate';
import { errorSentence } from '../staff/t';
import { lasted, pastTime } from '../staff/format';
import { Beat } from './beat';
import { Chip, Simulated, Use } from './chips';
import { usePolled } from './data';
import { engineTier } from './fleet';
import { t, word } from './t';
import { facts, timeline, type ClaimLine, type Event, type Inventory, type Line, type Report, type Span } from './timeline';
import { go, hrefOf } from './url';

export type Detail = DeviceRow & {
  spot: string; alg: string; cred_exp_at: number; epoch: number; events: Event[] | null; inventory: Inventory | null; reports: Report[] | null;
  links: Span[] | null; visits: { today: number; month: number }; claims: ClaimLine[] | null;
};
const Commands = lazy(() => import('./commands').then((m) => ({ default: m.Commands })));
type Op = 'disable' | 'enable' | 'revoke';

const TEXT = {
  disable: { label: 'dr.disable', what: 'dr.disable.what' },
  enable: { label: 'dr.enable', what: 'dr.enable.what' },
  revoke: { label: 'dr.revoke', what: 'dr.revoke.what' },
} as const;

/** Which acts fit a life; the server decides again. */
export function actsFor(life: string): Op[] {
  if (life === 'active') return ['disable', 'revoke'];
  if (life === 'disabled' || life === 'quarantined') return ['enable', 'revoke'];
  return [];
}

/** One device: facts, credential, what happened; and the three acts, each with a reason. */
export function Drawer({ staff, id, mayChange, onClose }: { staff: Staff; id: string; mayChange: boolean; onClose: () => void }) {
  const { value: d, error, fact } = usePolled<Detail>(staff.api, id === '' || !mayChange ? '' : `/devices/${id}`, 5000);
  const [op, setOp] = useState<Op | null>(null);
  useEffect(() => setOp(null), [id]);
  const shown = d !== null && d.id === id ? d : null;
  const now = Date.now() * 1000;
  return (
    <Side
      open={id !== '' && mayChange}
      onClose={onClose}
      size={480}
      mask={false}
      title={shown === null ? t('loading') : <span className="drt">{shown.name || t('noname')} <Simulated on={shown.simulated} /></span>}
      footer={
        shown !== null && (
          <div className="drf">
            {actsFor(shown.life).map((a) => (
              <Button key={a} danger={a === 'revoke'} type={a === 'enable' ? 'primary' : 'default'} onClick={() => setOp(a)}>{t(TEXT[a].label)}</Button>
            ))}
          </div>
        )
      }
    >
      {shown === null && error !== null && <p className="dim">{errorSentence(error.code).what}</p>}
      {shown !== null && (
        <div className="dr">
          <div className="tags big">
            <Chip chip={shown.chip} klass={shown.class} /><Use row={shown} /><span className="grow" />
            <a className="link" href={hrefOf({ view: 'device', device: shown.id })} onClick={(e) => { e.preventDefault(); go({ view: 'device', device: shown.id }); }}>{t('dr.page')}</a>
          </div>
          <Beat day={shown.day ?? ''} width={390} height={20} />
          <h3>{t('dr.facts')}</h3>
          <Facts
            rows={[
              [t('dr.serial'), shown.serial],
              [t('dr.place'), shown.place.join(' › ')],
              ...(shown.spot ? [[t('dr.spot'), shown.spot] as [string, ReactNode]] : []),
              [t('dr.kind'), `${word('kind', shown.kind)} · ${word('class', shown.class)}`],
              [t('dr.model'), shown.model || '–'],
              [t('dr.engine'), shown.engine === '' ? '–' : `${engineTier(shown.engine)}`],
              [t('dr.app'), shown.app_ver || '–'],
              [t('dr.since'), shown.since_at > 0 ? `${pastTime(shown.since_at, now)}，${lasted((now - shown.since_at) / 1e6)}了` : '–'],
              [t('dr.seen'), shown.chip === 'online' ? '现在' : pastTime(shown.seen_at, now)],
              ...(word('cause', shown.cause, '') === '' ? [] : [[t('dr.cause'), word('cause', shown.cause)] as [string, ReactNode]]),
              [t('dr.rtt'), shown.rtt_ms === null ? '–' : `${Math.round(shown.rtt_ms)} ms`],
            ]}
          />
          <Suspense><Commands key={shown.id} staff={staff} device={shown} /></Suspense>
          <h3>{t('dr.cred')}</h3>
          <Facts
            rows={[
              [t('dr.alg'), shown.alg === 'p256' ? 'P-256' : shown.alg === 'ed25519' ? 'Ed25519' : shown.alg || '–'],
              [t('dr.key'), word('key', shown.key_store)],
              [t('dr.exp'), shown.cred_exp_at > 0 ? `${new Date(shown.cred_exp_at / 1000).getFullYear()}年${dayText(shown.cred_exp_at).split(' ')[0] ?? ''}` : '–'],
              [<span key="e" title={t('dr.epoch.tip')}>{t('dr.epoch')}</span>, String(shown.epoch)],
            ]}
          />
          <h3>{t('dr.inventory')}</h3>
          {shown.inventory === null && <p className="dim">{t('dr.inventory.none')}</p>}
          {shown.inventory !== null && (
            <Facts
              rows={[
                ...facts(shown.inventory.document, t('inv.yes'), t('inv.no')).map(([k, v]): [ReactNode, ReactNode] => [word('inv', k), v]),
                [t('inv.at'), pastTime(shown.inventory.at, now)],
              ]}
            />
          )}
          <h3>{t('dr.events')}</h3>
          <Timeline lines={timeline(shown.events ?? [], shown.reports ?? [])} now={now} />
        </div>
      )}
      {shown !== null && op !== null && <Ask staff={staff} device={shown} op={op} onDone={() => { setOp(null); fact.nudge(); }} />}
    </Side>
  );
}

/** What was done to the device and what it said itself, newest first. Ids of people say nothing to an operator. */
function Timeline({ lines, now }: { lines: Line[]; now: number }) {
  if (lines.length === 0) return <p className="dim">{t('dr.events.none')}</p>;
  return (
    <ul className="evs">
      {lines.map((l) => (
        <li key={l.key}>
          <time>{dayText(l.at).split(' ')[0]} {hourMinute(l.at)}</time>
          <b>{word(...l.word)}</b>
          <span className="dim">{word('actor', l.actor)}{l.late > 0 && `，${t('rep.late', { when: pastTime(l.late, now) })}`}{l.detail !== '' && (l.word[0] === 'ev' ? `，${word('cause', l.detail)}` : <code>{l.detail}</code>)}</span>
        </li>
      ))}
    </ul>
  );
}

export function Facts({ rows }: { rows: [ReactNode, ReactNode][] }) {
  return <dl className="kv">{rows.map(([k, v], i) => <div key={i}><dt>{k}</dt><dd>{v}</dd></div>)}</dl>;
}

function Ask({ staff, device, op, onDone }: { staff: Staff; device: DeviceRow; op: Op; onDone: () => void }) {
  const { message } = Antd.useApp();
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const [key] = useState(newKey); // one key a question: pressing again after a lost answer is the same command
  const [trouble, setTrouble] = useState('');
  const label = t(TEXT[op].label);
  const name = device.name || device.serial;
  const act = async () => {
    setBusy(true);
    setTrouble('');
    try {
      await staff.api.post<DeviceRow>(`/devices/${device.id}/${op}`, { key, reason: reason.trim() });
      void message.success(t('dr.done', { name, what: label }));
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
      open
      title={`${label} ${name}`}
      mask={{ closable: false }} // a stray click beside the form loses nothing
      okText={label}
      cancelText={t('cancel')}
      okButtonProps={{ danger: op === 'revoke', disabled: reason.trim() === '' }}
      confirmLoading={busy}
      onOk={() => void act()}
      onCancel={onDone}
    >
      <p className="ask">{t(TEXT[op].what)}</p>
      <label className="askwhy">
        <span>{t('dr.reason')}</span>
        <Input.TextArea autoFocus rows={2} maxLength={200} placeholder={t('dr.reason.ph')} value={reason} onChange={(e) => setReason(e.target.value)} />
      </label>
      {trouble !== '' && <p className="asktrouble" role="alert">{trouble}</p>}
    </Modal>
  );
}
