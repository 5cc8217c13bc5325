// Choosing: nine tiles and "说不清，帮我选", then the language. Nothing is sent before the last press.
import type { TicketKind } from '../../core/types';
import fixture from '../../../tiles/categories.json';
import { Icon } from '../ui/icons';
import { icons, topics } from '../ui/icons-late';
import { Press, Screen, useTv } from '../ui/screen';
import { t, tile } from '../words-late';

export function Category({ kind }: { kind: TicketKind }) {
  const tv = useTv();
  const question = kind === 'consult' ? t('choose.consult') : t('choose.mediate');
  return (
    <Screen
      name={`category-${kind}`} say={t('choose.say', { q: question })} title={question} place={t('choose.sub')}
      keys={[['key.digits', 'key.do.jump'], ['key.back', 'key.do.up'], ['key.zero', 'key.do.help']]}
    >
      <div class="nine">
        {fixture.tiles.map((topic) => (
          <Press
            key={topic.category} id={topic.category} digit={topic.key} first={topic.key === 1} class="topic"
            say={t('choose.tile.say', { name: tile(topic.category) })} onPress={() => tv.pickCategory(kind, topic.category)}
          >
            <Icon d={topics[topic.icon]!} /><b>{tile(topic.category)}</b><i class="n">{topic.key}</i>
          </Press>
        ))}
        <Press id="unsure" class="topic unsure" say={t('choose.unsure')} onPress={() => tv.pickCategory(kind, fixture.unsure)}>
          <Icon d={icons.help} /><b>{t('choose.unsure')}</b><span>{t('choose.unsure.sub')}</span>
        </Press>
      </div>
    </Screen>
  );
}

export function Language({ kind, category: topic }: { kind: TicketKind; category: string }) {
  const tv = useTv();
  return (
    <Screen
      name="lang" say={t('lang.say')} title={t('lang.title')} place={t('lang.sub')}
      keys={[['key.ok', 'key.do.choose'], ['key.back', 'key.do.up'], ['key.zero', 'key.do.help']]}
    >
      <div class="langs">
        {(['zh', 'mn'] as const).map((code, i) => (
          <Press key={code} id={code} digit={i + 1} first={i === 0} class="t tongue" say={t(`lang.${code}`)} onPress={() => tv.pickLang(kind, topic, code)}>
            <i class="n">{i + 1}</i><b>{t(`lang.${code}`)}</b><span>{t(`lang.${code}.sub`)}</span>
          </Press>
        ))}
      </div>
    </Screen>
  );
}
