// What an operator's command lays over kiosk and tablet: words to read, and the notice that a picture of the screen is taken.
import terminal from '../../locales/zh-CN/terminal.json';
import { useEffect } from 'preact/hooks';
import { useStore, useTick } from '../core/hooks.preact';
import type { Speaker } from '../core/speak';
import { makeT } from '../core/t';
import type { Terminal } from '../core/terminal';

const t = makeT(terminal);

export function Laid({ terminal: term, speaker }: { terminal: Terminal; speaker: Speaker }) {
  const o = useStore(term.overlay);
  useTick(1000, o !== null);
  useEffect(() => {
    if (o && o.kind === 'message' && o.speak) speaker.say(o.text, true);
  }, [o]);
  if (!o) return null;
  if (o.kind === 'notice') {
    return <div class="laid" role="status"><i>!</i><p><b>{t('shot.title')}</b>{t('shot.why', { reason: o.reason })}<small>{t('shot.sub')}</small></p></div>;
  }
  const left = Math.max(0, Math.ceil((o.until - Date.now()) / 1000));
  return (
    <div class="told" role="alertdialog" aria-label={t('msg.title')}>
      <div>
        <h2>{t('msg.title')}</h2>
        <p>{o.text}</p>
        <button type="button" class="primary" ref={(el) => { if (el && document.activeElement === document.body) el.focus({ preventScroll: true }); }} onClick={o.ok}>{t('msg.ok')}</button>
        <small>{t('msg.left', { n: left })}</small>
      </div>
    </div>
  );
}
