// What an operator's command lays over the page: words to read, closed by OK or after a while, and the notice that a
// picture of the screen is taken.
import { useTick } from '../../core/hooks.preact';
import type { Overlay } from '../../core/types';
import { Icon, icons } from '../ui/icons';
import { Button, Veil } from '../ui/screen';
import { t } from '../words-late';

export function Laid({ o }: { o: Overlay }) {
  useTick(1000);
  if (o.kind === 'notice') {
    return (
      <div class="laid" role="status">
        <span class="eye"><Icon d={icons.video} /></span>
        <div><b>{t('shot.title')}</b>{t('shot.why', { reason: o.reason })}<small>{t('shot.sub')}</small></div>
      </div>
    );
  }
  const left = Math.max(0, Math.ceil((o.until - Date.now()) / 1000));
  return (
    <Veil name={`message ${o.id}`} label={t('msg.title')} say={o.text} mute={!o.speak} class="told">
      <div class={o.text.length > 60 ? 'ask long' : 'ask'}>
        <h2><Icon d={icons.speak} />{t('msg.title')}</h2>
        <p class="words">{o.text}</p>
        <div class="one"><Button id="ok" first word={t('trouble.ok')} onPress={o.ok} /></div>
        <small>{t('msg.left', { n: left })}</small>
      </div>
    </Veil>
  );
}
