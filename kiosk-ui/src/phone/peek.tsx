// Whose TV is this? One button; only its POST spends the code, so link previews and scanners spend none.
import { useMemo, useState } from 'preact/hooks';
import { type ApiError, asApiError, createApi } from '../core/api';
import type { CaptureGrant, CapturePeek } from '../core/types';
import { Icon } from '../light/icons';
import { useBusy } from '../light/ui';
import { createPress } from './paired';
import { Message } from './parts';
import { speaker } from './voice';
import { err, t } from './t';

export type Pairing = { token: string } | { code: string };

const api = createApi();

export const placeText = (place: CapturePeek['place']): string => (Array.isArray(place) ? place.join(' ') : place);

export function Peek(p: { pairing: Pairing; tv: CapturePeek; onGrant: (g: CaptureGrant) => void }) {
  const [busy, run] = useBusy();
  const [error, setError] = useState<ApiError | null>(null);
  const press = useMemo(() => createPress(api, p.pairing), [p.pairing]);
  const name = p.tv.device_name;

  if (error && !error.temporary) return <Message title={err(error.code).what} sub={err(error.code).todo} icon="tv" />;

  const use = () => {
    speaker.unlock();
    run(async () => {
      try {
        p.onGrant(await press());
      } catch (e) {
        setError(asApiError(e));
      }
    });
  };

  return (
    <div class="stack">
      <section class="tvcard">
        <Icon name="tv" />
        <p class="eyebrow">{t('cam.prompt.peek')}</p>
        <h2>{t('cam.of', { name })}</h2>
        <p>{placeText(p.tv.place)}</p>
      </section>
      <button type="button" class="huge" disabled={busy} onClick={use}>
        <Icon name="video" /><b>{t('cam.use')}</b><span>{t('cam.use.sub')}</span>
      </button>
      {error && <p class="bad" role="alert">{err(error.code).what}。{err(error.code).todo}。</p>}
      <p class="note">{t('cam.notmine')}</p>
      <button type="button" class="pb" onClick={() => { speaker.unlock(); speaker.say(t('cam.say.peek', { name }), true); }}>
        <Icon name="speak" /><div><b>{t('phone.read')}</b><span>{t('phone.read.sub')}</span></div>
      </button>
    </div>
  );
}
