// After the talk: five answers by the keys 1 to 5, or none; then goodbye.
import { useEffect } from 'preact/hooks';
import type { Situation } from '../../core/types';
import { Icon } from '../ui/icons';
import { icons } from '../ui/icons-late';
import { Button, Press, Screen, useTv } from '../ui/screen';
import { t } from '../words-late';

export const SCORES = [1, 2, 3, 4, 5] as const;
const MOUTHS = ['M8 16.8c2.4-2.6 5.6-2.6 8 0', 'M8 16c2.4-1.3 5.6-1.3 8 0', 'M8 15.5h8', 'M8 15c2.4 1.6 5.6 1.6 8 0', 'M7.5 14.2c2 3.8 7 3.8 9 0'];

const Mood = ({ score }: { score: number }) => (
  <svg class="ic mood" viewBox="0 0 24 24" aria-hidden="true"><path d={`M21.5 12a9.5 9.5 0 1 1-19 0 9.5 9.5 0 0 1 19 0zM8.5 9.5v.6M15.5 9.5v.6${MOUTHS[score - 1]!}`} /></svg>
);

export function Rating({ s }: { s: Situation }) {
  const tv = useTv();
  return (
    <Screen name="rating" say={t('rate.say')} title={t('rate.title')} place={`${s.rating ? s.rating.mediator : ''}　${t('rate.sub')}`} keys={[['key.ok', 'key.do.choose'], ['key.back', 'key.do.skip']]}>
      <div class="scores">
        {SCORES.map((n) => (
          <Press key={n} id={`score${n}`} digit={n} first={n === 3} final class="t score" say={`${n}，${t(`rate.${n}`)}。`} onPress={() => tv.rate(n)}>
            <Mood score={n} /><b>{t(`rate.${n}`)}</b><i class="n">{n}</i>
          </Press>
        ))}
      </div>
      <div class="skip"><Button id="skip" final word={t('rate.skip')} say={t('rate.skip')} onPress={() => tv.rate(0)} /></div>
    </Screen>
  );
}

export function Bye({ score }: { score: number }) {
  const tv = useTv();
  useEffect(() => tv.voice.ding(), []);
  return (
    <Screen name="bye" say={t('bye.say')} keys={[['key.ok', 'key.do.choose']]}>
      <div class="bye">
        <div class="tick"><Icon d={icons.check} /></div>
        <h1>{t('bye.title')}</h1>
        {score > 0 && <p>{t('bye.rated', { n: score, word: t(`rate.${score as 1}`) })}</p>}
        <p class="soft">{t('bye.sub')}</p>
        <Button id="home" first icon={icons.home} word={t('bye.home')} onPress={() => tv.endBye()} />
      </div>
    </Screen>
  );
}
