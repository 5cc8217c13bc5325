import { Button, Input } from 'antd';
import { useEffect, useState, type SyntheticEvent } from 'react';
import { asApiError, type Api } from '../core/api';
import { useTick } from '../core/hooks.react';
import type { Me } from '../core/types';
import { stopwatch } from './format';
import { Icon } from './icons';
import { errorSentence, t } from './t';

type Trouble = { what: string; todo: string; mild?: boolean };

/** Login, password and, once the server asks for it, the six digits of the second factor. */
export function SignIn({ page, api, over, onIn }: { page: string; api: Api; over: boolean; onIn: (me: Me) => void }) {
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const [totp, setTotp] = useState('');
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(over ? { what: t('signin.over'), todo: '', mild: true } : null);
  const [lockedUntil, setLockedUntil] = useState(0); // local ms
  useTick(500, lockedUntil > 0);

  const lockedFor = Math.ceil((lockedUntil - Date.now()) / 1000);
  const locked = lockedUntil > 0 && lockedFor > 0;
  useEffect(() => {
    if (lockedUntil > 0 && lockedFor <= 0) {
      setLockedUntil(0);
      setTrouble(null);
    }
  }, [lockedUntil, lockedFor]);

  const go = async (ev: SyntheticEvent) => {
    ev.preventDefault();
    if (busy || locked) return;
    setBusy(true);
    try {
      onIn(await api.post<Me>('/staff/login', { login: login.trim(), password, ...(asked && totp ? { totp } : {}) }));
    } catch (e) {
      const err = asApiError(e);
      if (err.code === 'auth.totp_required') {
        setAsked(true);
        setTotp('');
        setTrouble(asked ? { what: t('signin.totp.wrong'), todo: t('signin.totp.wrong.do') } : { what: t('signin.totp.need'), todo: t('signin.totp.hint'), mild: true });
      } else if (err.code === 'auth.wrong') {
        setTrouble(asked ? { what: t('signin.totp.wrong'), todo: t('signin.totp.wrong.do') } : { what: t('signin.wrong'), todo: t('signin.wrong.do') });
        setTotp('');
      } else if (err.code === 'auth.locked' || err.status === 429) {
        setLockedUntil(Date.now() + Math.max(1000, err.retryMs));
        setTrouble({ what: t('signin.locked'), todo: '' });
      } else {
        setTrouble(err.status === 0 ? { what: t('signin.down'), todo: t('signin.down.do') } : errorSentence(err.code));
      }
    } finally {
      setBusy(false);
    }
  };

  const sentence = locked ? { what: t('signin.locked'), todo: t('signin.locked.wait', { time: stopwatch(lockedFor) }) } : trouble;
  return (
    <main className="gate">
      <form onSubmit={go}>
        <div className="brand">
          <span className="logo"><Icon name="scale" size={24} /></span>
          <h1>
            {t('staff.brand')} {page}
            <small>{t('staff.foot')}</small>
          </h1>
        </div>
        {sentence && (
          <div className={trouble?.mild && !locked ? 'say3 y' : 'say3'} role="alert">
            <Icon name={locked ? 'clock' : 'warn'} />
            <span><b>{sentence.what}</b>{sentence.todo}</span>
          </div>
        )}
        <label>
          <span className="lb">{t('signin.login')}</span>
          <Input name="login" autoComplete="username" autoFocus value={login} onChange={(e) => setLogin(e.target.value)} size="large" />
        </label>
        <label>
          <span className="lb">{t('signin.password')}</span>
          <Input.Password name="password" autoComplete="current-password" value={password} onChange={(e) => setPassword(e.target.value)} size="large" />
        </label>
        {asked && (
          <label>
            <span className="lb">{t('signin.totp')}</span>
            <Input name="totp" inputMode="numeric" autoComplete="one-time-code" maxLength={6} autoFocus value={totp} onChange={(e) => setTotp(e.target.value.replace(/\D/g, ''))} size="large" />
          </label>
        )}
        <Button type="primary" htmlType="submit" size="large" block loading={busy} disabled={locked || login === '' || password === '' || (asked && totp.length !== 6)}>
          {busy ? t('signin.busy') : t('signin.go')}
        </Button>
      </form>
    </main>
  );
}
