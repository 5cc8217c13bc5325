import { App as Antd, Button, Input, Popconfirm, Segmented, TreeSelect } from 'antd';
import { useCallback, useEffect, useMemo, useRef, useState, type SyntheticEvent } from 'react';
import { secondsLeft } from '../core/clock';
import { asApiError, newKey } from '../core/api';
import { useTick } from '../core/hooks.react';
import type { DeviceRow } from '../core/types';
import type { Staff } from '../staff/gate';
import { errorSentence } from '../staff/t';
import { claimCode, pastTime, stopwatch } from '../staff/format';
import { Icon } from '../staff/icons';
import { usePolled, type Claim } from './data';
import type { Node } from './fleet';
import { t, word } from './t';
import type { Place } from './url';

type Claims = { claims: Claim[] | null };
type Choice = { value: string; title: string; children: Choice[] };

const CLASSES = ['public', 'home', 'worker', 'mobile'] as const;
const classFor = (kind: string): (typeof CLASSES)[number] => (kind === 'kiosk' ? 'public' : kind === 'tablet' ? 'worker' : kind === 'app' ? 'mobile' : 'home');
const choices = (nodes: Node[]): Choice[] => nodes.map((n) => ({ value: n.id, title: n.name, children: choices(n.kids) }));

/** New devices: the code on their screen, then what they are, then where they stand. Only who sees the screen knows the code. */
export function ClaimsPage({ staff, place, roots, stale }: { staff: Staff; place: Place; roots: Node[]; stale: boolean }) {
  const { message } = Antd.useApp();
  const waiting = usePolled<Claims>(staff.api, '/claims', 4000);
  const [code, setCode] = useState(claimCode(place.code));
  const [found, setFound] = useState<Claim | null>(null);
  const [trouble, setTrouble] = useState<{ what: string; todo: string } | null>(null);
  const [busy, setBusy] = useState(false);
  useTick(1000);
  const now = Date.now() * 1000;

  const { api } = staff;
  const look = useCallback(
    async (typed: string) => {
      setBusy(true);
      setTrouble(null);
      try {
        const answer = await api.get<Claims>(`/claims?code=${encodeURIComponent(typed)}`);
        const claim = answer.claims?.[0] ?? null;
        setFound(claim);
        if (claim === null) setTrouble(errorSentence('claim.unknown_code'));
      } catch (e) {
        setTrouble(errorSentence(asApiError(e).code));
      } finally {
        setBusy(false);
      }
    },
    [api],
  );
  const asked = useRef(false);
  useEffect(() => {
    if (asked.current || place.code === '') return;
    asked.current = true;
    void look(claimCode(place.code));
  }, [place.code, look]);

  const over = (text: string, good: boolean) => {
    if (good) void message.success(text, 6);
    else void message.info(text, 6);
    setFound(null);
    setCode('');
    waiting.fact.nudge();
  };
  const list = (waiting.value?.claims ?? []).filter((c) => c.expires_at > now);
  return (
    <main className={stale ? 'main enrol stale' : 'main enrol'}>
      <section className="card">
        <h2>{t('en.title')}</h2>
        <div className="enbox">
          {found === null ? (
            <form
              onSubmit={(e: SyntheticEvent) => {
                e.preventDefault();
                if (code.length === 9) void look(code);
              }}
            >
              <label htmlFor="claim-code" className="lb">{t('en.code')}</label>
              <div className="coderow">
                <Input id="claim-code" autoFocus autoComplete="off" spellCheck={false} className="code" placeholder="XXXX-XXXX" value={code} onChange={(e) => { setCode(claimCode(e.target.value)); setTrouble(null); }} status={trouble === null ? '' : 'error'} />
                <Button type="primary" size="large" htmlType="submit" loading={busy} disabled={code.length !== 9}>{t('en.find')}</Button>
              </div>
              {trouble === null ? <p className="hint">{t('en.code.hint')}</p> : <div className="say3" role="alert"><Icon name="warn" /><span><b>{trouble.what}</b>{trouble.todo}</span></div>}
            </form>
          ) : (
            <Approve key={found.id} staff={staff} claim={found} roots={roots} now={now} onBack={() => setFound(null)} onOver={over} />
          )}
        </div>
      </section>
      <section className="card">
        <h2>{t('en.queue')} <small>{t('en.queue.note', { n: list.length })}</small></h2>
        <div className="tbl scroll">
          <table>
            <thead><tr><th>{t('col.kind')}</th><th>{t('en.model')}</th><th>{t('en.serial')}</th><th /></tr></thead>
            <tbody>
              {list.map((c) => (
                <tr key={c.id}>
                  <td>{word('kind', c.kind)}</td>
                  <td>{c.model || '–'}</td>
                  <td className="dim">{c.serial}</td>
                  <td className="dim num">{t('en.when', { time: pastTime(c.at, now) })} · {t('en.left', { time: stopwatch(secondsLeft(c.expires_at, now)) })}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {list.length === 0 && <div className="calmly"><Icon name="plug" size={28} />{t('en.queue.none')}</div>}
        </div>
        <div className="end">{t('en.queue.hint')}</div>
      </section>
    </main>
  );
}

function Approve({ staff, claim, roots, now, onBack, onOver }: { staff: Staff; claim: Claim; roots: Node[]; now: number; onBack: () => void; onOver: (text: string, good: boolean) => void }) {
  const [unit, setUnit] = useState<string | null>(null);
  const [name, setName] = useState('');
  const [klass, setKlass] = useState<string>(classFor(claim.kind));
  const [busy, setBusy] = useState<'' | 'approve' | 'refuse'>('');
  const [trouble, setTrouble] = useState<{ what: string; todo: string } | null>(null);
  const [keys] = useState(() => ({ approve: newKey(), refuse: newKey() }));
  const tree = useMemo(() => choices(roots), [roots]);
  const top = roots[0]?.id;

  const act = async (what: 'approve' | 'refuse') => {
    setBusy(what);
    setTrouble(null);
    try {
      if (what === 'approve') {
        const d = await staff.api.post<DeviceRow>(`/claims/${claim.id}/approve`, { key: keys.approve, unit_id: unit, name: name.trim(), class: klass });
        onOver(t('en.done', { name: d.name || name.trim() }), true);
      } else {
        await staff.api.post(`/claims/${claim.id}/refuse`, { key: keys.refuse });
        onOver(t('en.refused'), false);
      }
    } catch (e) {
      setTrouble(errorSentence(asApiError(e).code));
    } finally {
      setBusy('');
    }
  };
  const left = secondsLeft(claim.expires_at, now);
  return (
    <div className="approve">
      <div className="found">
        <Icon name="tv" size={30} />
        <div>
          <b>{t('en.found')}</b>
          <dl className="kv">
            <div><dt>{t('col.kind')}</dt><dd>{word('kind', claim.kind)} · {claim.model || '–'}</dd></div>
            <div><dt>{t('en.serial')}</dt><dd>{claim.serial}</dd></div>
            <div><dt>{t('en.code')}</dt><dd className="num">{claim.code} · {t('en.when', { time: pastTime(claim.at, now) })} · {left > 0 ? t('en.left', { time: stopwatch(left) }) : t('en.expired')}</dd></div>
          </dl>
          <p>{t('en.not_seen')}</p>
        </div>
      </div>
      {trouble !== null && <div className="say3" role="alert"><Icon name="warn" /><span><b>{trouble.what}</b>{trouble.todo}</span></div>}
      <label className="fld"><span>{t('en.unit')}</span>
        <TreeSelect
          className="unitpick"
          showSearch={{ treeNodeFilterProp: 'title' }}
          treeData={tree}
          treeDefaultExpandedKeys={top === undefined ? [] : [top]}
          placeholder={t('en.unit.ph')}
          value={unit}
          onChange={setUnit}
          aria-label={t('en.unit')}
        />
      </label>
      <label className="fld"><span>{t('en.name')}</span><Input maxLength={40} placeholder={t('en.name.ph')} value={name} onChange={(e) => setName(e.target.value)} /></label>
      <div className="fld"><span>{t('en.class')}</span><Segmented options={CLASSES.map((c) => ({ value: c, label: word('class', c) }))} value={klass} onChange={setKlass} /></div>
      <div className="acts">
        <Button onClick={onBack}>{t('en.back')}</Button>
        <span className="grow" />
        <Popconfirm title={t('en.refuse.sure')} description={t('en.refuse.note')} okText={t('en.refuse')} cancelText={t('cancel')} okButtonProps={{ danger: true }} onConfirm={() => void act('refuse')}>
          <Button danger loading={busy === 'refuse'}>{t('en.refuse')}</Button>
        </Popconfirm>
        <Button type="primary" loading={busy === 'approve'} disabled={unit === null || name.trim() === '' || left === 0} onClick={() => void act('approve')}>{t('en.approve')}</Button>
      </div>
    </div>
  );
}
