// The phone page: home, the camera of a TV (/c/<token>), the page of an invited party (/join/<token>) and of somebody who
// signs (/s/<token>). Each names what it is for first; only the button spends the token.
import { useEffect, useState } from 'preact/hooks';
import { ApiError, asApiError, createApi } from '../core/api';
import { useStore } from '../core/hooks.preact';
import type { CaptureGrant, CapturePeek } from '../core/types';
import { CameraPage } from './camera';
import { Home } from './home';
import { Message, Shell } from './parts';
import { linked, paired } from './paired';
import { Peek, type Pairing } from './peek';
import { err, t } from './t';
import { speaker } from './voice';

const open = createApi();

/** Where the page stands. The grant is the cookie's; only its CSRF value passes through here. */
type Stage =
  | { at: 'checking' }
  | { at: 'home' }
  | { at: 'peek'; pairing: Pairing; tv: CapturePeek }
  | { at: 'camera'; grant: CaptureGrant }
  | { at: 'link'; late: Late; pairing: Pairing | null; held: boolean }
  | { at: 'done'; why: 'ended' | 'dropped' }
  | { at: 'failed'; error: ApiError };

type Late = typeof import('./late');

export const tokenOf = (path: string): string => (/^\/c\/([^/]+)$/.exec(path) || [])[1] || '';

/** The token of an invitation or of a signing address. */
export const linkOf = (path: string): string => (/^\/(?:join|s)\/([^/]+)$/.exec(path) || [])[1] || '';

const elderKey = 'heyi.elder';

function elderAtStart(): boolean {
  try {
    return localStorage.getItem(elderKey) !== 'off';
  } catch {
    return true;
  }
}

export function Phone() {
  const [stage, go] = useState<Stage>({ at: 'checking' });
  const [elder, setElder] = useState(elderAtStart);
  const said = useStore(speaker.said);

  useEffect(() => {
    document.documentElement.className = elder ? 'elder' : '';
    try {
      localStorage.setItem(elderKey, elder ? 'on' : 'off');
    } catch {
      // the choice is kept for this page only
    }
  }, [elder]);

  useEffect(() => { void begin(go); }, []);

  return (
    <Shell elder={elder} onElder={() => setElder(!elder)} said={said} camera={stage.at === 'camera' || stage.at === 'link'}>
      {stage.at === 'checking' && <Message title={t('cam.checking')} busy />}
      {stage.at === 'home' && <Home
        onCode={async (code) => {
          try {
            const tv = await open.post<CapturePeek>('/captures/peek', { code });
            go({ at: 'peek', pairing: { code }, tv });
          } catch (e) {
            if (asApiError(e).code !== 'capture.unknown') throw e;
            await open.post('/links/peek', { code }).catch((x: unknown) => { throw asApiError(x).temporary ? x : e; });
            go({ at: 'link', late: await import('./late'), pairing: { code }, held: false });
          }
        }}
      />}
      {stage.at === 'peek' && <Peek pairing={stage.pairing} tv={stage.tv} onGrant={(grant) => { paired.set('token' in stage.pairing ? stage.pairing.token : 'code'); go({ at: 'camera', grant }); }} />}
      {stage.at === 'camera' && <CameraPage
        grant={stage.grant}
        onDone={(why) => { paired.set(''); go({ at: 'done', why }); }}
        onOver={(error) => { paired.set(''); go({ at: 'failed', error }); }}
      />}
      {stage.at === 'link' && <stage.late.Door pairing={stage.pairing} held={stage.held} keep={linked.set} />}
      {stage.at === 'done' && <Message title={t(stage.why === 'ended' ? 'cam.ended' : 'cam.dropped')} sub={t(stage.why === 'ended' ? 'cam.ended.sub' : 'cam.dropped.sub')} icon="check" />}
      {stage.at === 'failed' && <Message title={err(stage.error.code).what} sub={err(stage.error.code).todo} icon="tv"
        action={stage.error.temporary ? { label: t('cam.moved.here'), run: () => { go({ at: 'checking' }); void begin(go); } } : undefined} />}
    </Shell>
  );
}

/** Finds the stage after a load or reload: a grant of this token goes on, a fresh token is looked at, nothing is spent. */
async function begin(go: (s: Stage) => void): Promise<void> {
  const token = tokenOf(location.pathname);
  const link = linkOf(location.pathname);
  if (link || (!token && linked.get() === 'code' && !paired.get())) {
    try {
      go({ at: 'link', late: await import('./late'), pairing: link ? { token: link } : null, held: link === '' || linked.get() === link });
    } catch {
      go({ at: 'failed', error: new ApiError(0, 'net.down') });
    }
    return;
  }
  const held = paired.get();
  const mine = () => open.get<CaptureGrant>('/captures/mine');
  if (held && (!token || held === token)) {
    try {
      go({ at: 'camera', grant: await mine() });
    } catch (e) {
      const failed = asApiError(e);
      if (!failed.temporary) paired.set('');
      go(token || failed.temporary ? { at: 'failed', error: failed } : { at: 'home' });
    }
    return;
  }
  if (!token) {
    go({ at: 'home' });
    return;
  }
  try {
    const tv = await open.post<CapturePeek>('/captures/peek', { token });
    go({ at: 'peek', pairing: { token }, tv });
  } catch (e) {
    go({ at: 'failed', error: asApiError(e) });
  }
}
