// The short written answer of a consult: while people talk, and once more at the end.
import type { Situation } from '../../core/types';
import type { Dir } from '../../core/keys';
import { t } from '../../light/dispute/t';
import { icons } from '../ui/icons-late';
import { Button, useTv } from '../ui/screen';
import { Column, Frame, glyphs } from './frame';
import type { Matter } from './matter';
import { useSheet } from './scroll';

export function Answer({ m, s, text }: { m: Matter; s: Situation; text: string }) {
  const tv = useTv();
  const sheet = useSheet(text);
  const name = s.session ? s.session.mediator.name : s.rating ? s.rating.mediator : '';
  const turn = (dir: Dir): boolean => (dir === 'd' ? sheet.down() : dir === 'u' ? sheet.up() : false);
  return (
    <Frame
      name="answer" say={s.session ? t('answer.title') : text} mute={s.session !== null} icon={glyphs.paper} title={t('answer.title')} place={t('answer.from', { name })}
      cols="two" keys={['ok', s.session ? 'back' : 'close']}
      row={<>
        <Button id="ok" first word={t(s.session ? 'answer.back' : 'answer.ok')} onArrow={turn} onPress={() => m.dismiss()} />
        <Button id="say" icon={icons.speak} word={t('answer.say')} onArrow={turn} onPress={() => tv.voice.say(text, true)} />
      </>}
    >
      <div class="m-agree">
        <article class="m-sheet">
          <div class="m-text" ref={sheet.ref}>{text.split('\n').map((l, i) => <p key={i}>{l}</p>)}</div>
          {sheet.more && <div class="m-more">▼</div>}
        </article>
        <Column s={s} name={name}><p class="soft">{t('answer.keep')}</p></Column>
      </div>
    </Frame>
  );
}
