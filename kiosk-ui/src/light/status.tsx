// What kiosk and tablet show while they are not simply connected: claiming, moved to another window, disabled and so on.
import terminal from '../../locales/zh-CN/terminal.json';
import { useStore, useTick } from '../core/hooks.preact';
import { reloadWhenAnswered } from '../core/reload';
import { makeT } from '../core/t';
import type { Terminal, TerminalStatus } from '../core/terminal';
import { Qr } from './ui';

const t = makeT(terminal);

const minute = 60_000;

/** True when the status needs the whole screen; a short break ('down') keeps the screen that is open. */
export const coversAll = (s: TerminalStatus, hasSituation: boolean): boolean =>
  s.at === 'up' ? !hasSituation : !((s.at === 'down' || s.at === 'connecting') && hasSituation);

/** The strip over an open screen while the line is down; nothing for the first 3 s. */
export function LineStrip({ terminal: term }: { terminal: Terminal }) {
  const s = useStore(term.status);
  useTick(1000, s.at === 'down');
  if (s.at !== 'down' || Date.now() - s.since < 3000) return null;
  return <p class="strip" role="status">{t('st.down')}</p>;
}

export function StatusScreen({ terminal: term }: { terminal: Terminal }) {
  const s = useStore(term.status);
  useTick(15000, s.at === 'claim');
  const screen = (title: string, sub?: string, action?: { label: string; run: () => void }) => (
    <section class="status">
      <h2>{title}</h2>
      {sub && <p>{sub}</p>}
      {action && <button type="button" class="primary" onClick={action.run}>{action.label}</button>}
    </section>
  );
  const again = { label: t('st.retry'), run: () => term.resume() };
  switch (s.at) {
    case 'claim':
      switch (s.claim.at) {
        case 'asking': return screen(t('st.claim.asking'));
        case 'down': return screen(t('st.claim.down'));
        case 'refused': return screen(t('st.claim.refused'), undefined, { label: t('st.claim.again'), run: () => term.resume() });
        case 'code': {
          const left = Math.max(0, Math.ceil((s.claim.expiresAt / 1000 - Date.now()) / minute));
          return (
            <section class="status claim">
              <h2>{t('st.claim.title')}</h2>
              <p>{t('st.claim.sub')}</p>
              <Qr svg={s.claim.qrSvg} label={s.claim.code} />
              <p class="code">{s.claim.code}</p>
              <p>{t('st.claim.serial', { serial: s.claim.serial })} · {t('st.claim.left', { min: left })}</p>
            </section>
          );
        }
      }
      break;
    case 'superseded': return screen(t('st.moved'), t('st.moved.sub'), { label: t('st.moved.here'), run: () => term.resume() });
    case 'disabled': return screen(t('st.disabled'), t('st.disabled.sub'), again);
    case 'quarantined': return screen(t('st.quarantined'), t('st.quarantined.sub'));
    case 'bad_key': return screen(t('st.bad_key'), t('st.bad_key.sub'), again);
    case 'version': return screen(t('st.version'), t('st.version.sub'), { label: t('st.refresh'), run: () => reloadWhenAnswered() });
    case 'unsupported': return s.why === 'insecure' ? screen(t('st.insecure'), t('st.insecure.sub')) : screen(t('st.engine'), t('st.engine.sub'));
    case 'down': return screen(t('st.down'), t('st.down.sub'));
    case 'connecting': return screen(t('st.connecting'));
  }
  return screen(t('st.starting'));
}
