import { useState } from 'preact/hooks';
import { type ApiError, asApiError } from '../core/api';
import { Icon } from '../light/icons';
import { useBusy } from '../light/ui';
import { speaker } from './voice';
import { err, t } from './t';

const letters = 8;

/** Crockford letters: what people type for what the screen shows (O → 0, I and L → 1). */
export const cleanCode = (s: string): string =>
  s.toUpperCase().replace(/[O]/g, '0').replace(/[IL]/g, '1').replace(/[^0-9A-HJKMNP-TV-Z]/g, '').slice(0, letters);

export const showCode = (code: string): string => (code.length > 4 ? `${code.slice(0, 4)}-${code.slice(4)}` : code);

export function Home(p: { onCode: (code: string) => Promise<void> }) {
  const [code, setCode] = useState('');
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, run] = useBusy();
  const missing = letters - code.length;

  const submit = (e: Event) => {
    e.preventDefault();
    speaker.unlock();
    if (missing > 0) return;
    setError(null);
    run(async () => {
      try {
        await p.onCode(showCode(code));
      } catch (x) {
        setError(asApiError(x));
      }
    });
  };

  return (
    <div class="stack">
      <form class="code" onSubmit={submit}>
        <div class="hero"><Icon name="phone" /><div><b>{t('home.hero')}</b><span>{t('home.hero.sub')}</span></div></div>
        <label for="code">{t('home.code')}</label>
        <p id="code-hint">{t('home.code.hint')}</p>
        <input id="code" value={showCode(code)} onInput={(e) => { setCode(cleanCode(e.currentTarget.value)); setError(null); }}
          placeholder="····-····" autocapitalize="characters" autocomplete="off" autocorrect="off" spellcheck={false} inputmode="text" enterkeyhint="go" aria-describedby="code-hint" />
        <button type="submit" class="big" disabled={busy || missing > 0}>{missing > 0 ? t('home.code.short', { n: missing }) : t('home.code.go')}</button>
        {error && <p class="bad" role="alert">{err(error.code).what}。{err(error.code).todo}。</p>}
      </form>
      <section class="how">
        <h2>{t('home.how')}</h2>
        <ol>
          <li><i>1</i>{t('home.how.1')}</li>
          <li><i>2</i>{t('home.how.2')}</li>
          <li><i>3</i>{t('home.how.3')}</li>
        </ol>
      </section>
      <button type="button" class="pb" onClick={() => { speaker.unlock(); speaker.say(t('home.say'), true); }}>
        <Icon name="speak" /><div><b>{t('phone.read')}</b><span>{t('phone.read.sub')}</span></div>
      </button>
    </div>
  );
}
