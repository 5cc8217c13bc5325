import { Button } from 'antd';
import { useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react';
import { asApiError, createApi, type Api } from '../core/api';
import type { Me } from '../core/types';
import { Icon } from './icons';
import { SignIn } from './signin';
import { t } from './t';

/** A signed-in member of staff: who it is, and the calls made in his name. */
export type Staff = { me: Me; api: Api; lost: () => void; signOut: () => Promise<void> };

type State = { at: 'loading' } | { at: 'down' } | { at: 'out'; over: boolean } | { at: 'in'; me: Me };

/** Passes every call on; an answer 401 means that the sign-in is over. */
function guarded(api: Api, lost: () => void): Api {
  const watch = <T,>(p: Promise<T>): Promise<T> =>
    p.catch((e: unknown) => {
      if (asApiError(e).status === 401) lost();
      throw e;
    });
  return {
    get: (path, opts) => watch(api.get(path, opts)),
    post: (path, body, opts) => watch(api.post(path, body, opts)),
    put: (path, body, opts) => watch(api.put(path, body, opts)),
  };
}

/** Shows the sign-in until somebody is signed in, then what `children` draws for him. */
export function Gate({ page, children }: { page: string; children: (staff: Staff) => ReactNode }) {
  const [state, setState] = useState<State>({ at: 'loading' });
  const csrf = useRef('');
  const api = useMemo(() => createApi({ csrf: () => csrf.current }), []);
  const enter = useCallback((me: Me) => {
    csrf.current = me.csrf;
    setState({ at: 'in', me });
  }, []);
  const lost = useCallback(() => setState((s) => (s.at === 'in' ? { at: 'out', over: true } : s)), []);
  const look = useCallback(() => {
    api.get<Me>('/staff/me').then(enter, (e: unknown) => setState(asApiError(e).status === 401 ? { at: 'out', over: false } : { at: 'down' }));
  }, [api, enter]);

  useEffect(look, [look]);
  useEffect(() => {
    if (state.at !== 'down') return;
    const id = setInterval(look, 3000);
    return () => clearInterval(id);
  }, [state.at, look]);

  const me = state.at === 'in' ? state.me : null;
  const staff = useMemo<Staff | null>(
    () =>
      me && {
        me,
        api: guarded(api, lost),
        lost,
        signOut: async () => {
          await api.post('/staff/logout');
          sessionStorage.clear();
          setState({ at: 'out', over: false });
        },
      },
    [me, api, lost],
  );

  if (staff !== null) return children(staff);
  if (state.at === 'out') return <SignIn page={page} api={api} over={state.over} onIn={enter} />;
  return (
    <Sheet title={state.at === 'down' ? t('signin.down') : t('loading')}>
      {state.at === 'down' && (
        <>
          <p>{t('signin.down.do')}</p>
          <Button type="primary" onClick={look}>{t('again')}</Button>
        </>
      )}
    </Sheet>
  );
}

/** One sentence and one thing to do, alone on the page. */
export function Sheet({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <div className="gate">
      <div className="sheet" role="alert">
        <div className="brand">
          <span className="logo"><Icon name="scale" size={24} /></span>
          <h1>{title}</h1>
        </div>
        {children}
      </div>
    </div>
  );
}
