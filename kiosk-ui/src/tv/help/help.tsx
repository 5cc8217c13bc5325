// Key 0: what the keys do, and the number to dial with a telephone. Nothing dials.
import { Icon } from '../ui/icons';
import { icons } from '../ui/icons-late';
import { Button, Hint, Top, useTv, Veil } from '../ui/screen';
import type { Base } from '../screen-of';
import { t } from '../words-late';

export function Help({ base }: { base: Base }) {
  const tv = useTv();
  const phone = base === 'home' || base === 'waiting' || base === 'call';
  return (
    <Veil name="help" class="full" label={t('help.title')} say={t('help.say')}>
      <div class="scr plain">
        <Top title={t('help.title')} place="" />
        <div class="sheet2">
          <dl class="remote">
            <dt class="cross" aria-label={t('help.arrows')}><i>▲</i><i>◀</i><i>▶</i><i>▼</i></dt><dd>{t('help.arrows.do')}</dd>
            <dt><span class="k">{t('key.ok')}</span></dt><dd>{t('help.ok.do')}</dd>
            <dt><span class="k">{t('key.back')}</span></dt><dd>{t('help.back.do')}</dd>
            <dt><span class="k">{t('key.digits')}</span></dt><dd>{t('help.digits.do')}</dd>
            <dt><span class="k">{t('key.zero')}</span></dt><dd>{t('help.zero.do')}</dd>
          </dl>
          <div class="dial">
            <Icon d={icons.tel} />
            <p>{t('help.tel')}</p>
            <b>{t('help.tel.no')}</b>
            <p>{t('help.tel.sub')}</p>
          </div>
        </div>
        <div class="row">
          <Button id="done" first word={t('help.done')} onPress={() => tv.close()} />
          {phone && <Button id="phone" icon={icons.phonecam} word={t('help.phone')} onPress={() => { tv.close(); tv.openPhone(); }} />}
        </div>
        <Hint keys={[['key.ok', 'key.do.choose'], ['key.back', 'key.do.close']]} />
      </div>
    </Veil>
  );
}
