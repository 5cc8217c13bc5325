// The judicial worker's tablet: the device enrols like every terminal, then a member of staff signs in on it.
import { useEffect, useMemo, useState } from 'preact/hooks';
import { type ApiError, asApiError, createApi } from '../core/api';
import { hourMinute, hourMinuteSecond } from '../core/clock';
import { createFact } from '../core/facts';
import { useFact, useStore, useTick } from '../core/hooks.preact';
import { createSpeaker } from '../core/speak';
import { openTerminal, type Terminal } from '../core/terminal';
import type { Desk, Me } from '../core/types';
import { Icon } from '../light/icons';
import { Laid } from '../light/overlay';
import { coversAll, LineStrip, StatusScreen } from '../light/status';
import { useBusy } from '../light/ui';
import { err, langs, role, t } from './t';

const staleAfter = 30_000;

export function Tablet() {
  const terminal = useMemo(() => openTerminal({ kind: 'tablet', model: 'browser-tablet' }), []);
  const speaker = useMemo(createSpeaker, []);
  useEffect(() => () => terminal.close(), [terminal]);
  const status = useStore(terminal.status);
  const { value: s } = useFact(terminal.situation);
  const [me, setMe] = useState<Me | null | 'asking'>('asking');
  useTick(15000);
  useEffect(() => {
    // asks only where this tab was signed in before: a stranger's page makes no failing call
    if (!signed.get()) setMe(null);
    else createApi().get<Me>('/staff/me').then(setMe, () => { signed.set(false); setMe(null); });
  }, []);

  if (coversAll(status, !!s)) return <div class="tablet"><StatusScreen terminal={terminal} /></div>;
  return (
    <div class="tablet">
      <header>
        <div class="mark"><Icon name="scale" /></div>
        <div><h1>{t('tab.title')}</h1><p>{s ? `${t('tab.device', { name: s.device.name })} · ${s.device.place.join(' ')}` : ''}</p></div>
        <p class="time">{hourMinute(terminal.clock.nowUs())}</p>
      </header>
      <LineStrip terminal={terminal} />
      <Laid terminal={terminal} speaker={speaker} />
      <main>
        {me === null && <SignIn onMe={(m) => { signed.set(true); setMe(m); }} />}
        {me !== null && me !== 'asking' && <Board me={me} terminal={terminal} onOut={() => { signed.set(false); setMe(null); }} />}
      </main>
    </div>
  );
}

/** Whether this tab holds a sign-in; the cookie itself is not visible to scripts. */
const signed = {
  get(): boolean {
    try {
      return sessionStorage.getItem('heyi.signed') === '1';
    } catch {
      return false;
    }
  },
  set(on: boolean): void {
    try {
      if (on) sessionStorage.setItem('heyi.signed', '1');
      else sessionStorage.removeItem('heyi.signed');
    } catch {
      // without storage a reload asks for the password again
    }
  },
};

function SignIn({ onMe }: { onMe: (m: Me) => void }) {
  const [login, setLogin] = useState('');
  const [password, setPassword] = useState('');
  const [totp, setTotp] = useState('');
  const [asksTotp, setAsksTotp] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, run] = useBusy();
  const submit = (e: Event) => {
    e.preventDefault();
    setError(null);
    run(async () => {
      try {
        onMe(await createApi().post<Me>('/staff/login', totp ? { login, password, totp } : { login, password }));
      } catch (x) {
        const failed = asApiError(x);
        if (failed.code === 'auth.totp_required') setAsksTotp(true);
        setError(failed);
      }
    });
  };
  return (
    <form class="signin" onSubmit={submit}>
      <h2>{t('tab.login')}</h2>
      <label>{t('tab.name')}<input value={login} onInput={(e) => setLogin(e.currentTarget.value)} autocomplete="username" autocapitalize="none" spellcheck={false} required /></label>
      <label>{t('tab.password')}<input type="password" value={password} onInput={(e) => setPassword(e.currentTarget.value)} autocomplete="current-password" required /></label>
      {asksTotp && <label>{t('tab.totp')}<input value={totp} onInput={(e) => setTotp(e.currentTarget.value.replace(/\D/g, '').slice(0, 6))} inputmode="numeric" autocomplete="one-time-code" /></label>}
      {error && <p class="error" role="alert"><b>{err(error.code).what}</b>{err(error.code).todo}。</p>}
      <button type="submit" class="primary" disabled={busy}>{t('tab.go')}</button>
    </form>
  );
}

function Board({ me, terminal, onOut }: { me: Me; terminal: Terminal; onOut: () => void }) {
  const seated = me.staff.roles.some((r) => r === 'mediator' || r === 'lawyer');
  const api = useMemo(() => createApi({ csrf: () => me.csrf }), [me]);
  const desk = useMemo(() => createFact<Desk>({ fetch: () => api.get('/desk'), pollMs: 8000 }), [api]);
  const view = useFact(desk);
  const [sure, setSure] = useState(false);
  const [busy, run] = useBusy();
  useTick(5000);
  useEffect(() => {
    if (seated) desk.nudge();
    return () => desk.close();
  }, [desk, seated]);
  useEffect(() => {
    if (view.error && view.error.status === 401) onOut();
  }, [view.error]);
  useEffect(() => {
    if (!sure) return;
    const id = setTimeout(() => setSure(false), 6000);
    return () => clearTimeout(id);
  }, [sure]);
  const stale = view.at > 0 && Date.now() - view.at > staleAfter;
  const out = () => {
    if (!sure) {
      setSure(true);
      return;
    }
    run(async () => {
      await api.post('/staff/logout', {});
      onOut();
    });
  };
  return (
    <div class="board">
      <section class="who">
        <span class="face" aria-hidden="true">{me.staff.name.slice(-1)}</span>
        <div><small>{t('tab.signed')}</small><h2>{me.staff.name}</h2><p>{me.staff.title}</p></div>
        <dl>
          <dt>{t('tab.unit')}</dt><dd>{me.staff.unit.path.join(' › ') || me.staff.unit.name}</dd>
          <dt>{t('tab.roles')}</dt><dd>{me.staff.roles.map(role).join('、')}</dd>
          <dt>{t('tab.langs')}</dt><dd>{langs(me.staff.langs)}</dd>
        </dl>
        <button type="button" class="out" disabled={busy} onClick={out}>{t(sure ? 'tab.out.sure' : 'tab.out')}</button>
      </section>
      <section class="counts">
        {seated ? (
          <>
            <p><span>{t('tab.waiting')}</span><b>{view.value ? view.value.waiting : '–'}</b>{t('tab.waiting.unit')}</p>
            <p><span>{t('tab.served')}</span><b>{view.value ? view.value.today.served : '–'}</b>{t('tab.served.unit')}</p>
          </>
        ) : <p class="noseat">{t('tab.noseat')}</p>}
        {stale && <p class="old">{t('tab.old', { at: hourMinuteSecond(terminal.clock.nowUs() - (Date.now() - view.at) * 1000) })}</p>}
        <div class="next"><b>{t('tab.next')}</b><span>{t('tab.next.sub')}</span>{seated && <a class="desk" href="/desk">{t('tab.desk')}</a>}</div>
      </section>
    </div>
  );
}
