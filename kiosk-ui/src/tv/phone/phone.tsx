// A phone becomes the TV's camera and microphone: the code, three steps, and what the phone is doing now.
import { useEffect } from 'preact/hooks';
import type { CaptureView } from '../../core/captures';
import { useStore } from '../../core/hooks.preact';
import type { Situation } from '../../core/types';
import { Icon } from '../ui/icons';
import { icons } from '../ui/icons-late';
import { Button, Hint, Qr, spaced, Top, useTv, Veil } from '../ui/screen';
import { t } from '../words-late';

/** useCapture keeps a usable code while `on`; several places may show it at once. */
export function useCapture(on: boolean): CaptureView {
  const tv = useTv();
  useEffect(() => {
    if (!on) return undefined;
    tv.captures.need();
    const id = setInterval(() => tv.captures.need(), 5000);
    return () => clearInterval(id);
  }, [on]);
  return useStore(tv.captures);
}

export function Phone({ s }: { s: Situation }) {
  const tv = useTv();
  const { paired, live } = s.capture;
  const { link, error } = useCapture(!paired);
  const state = live ? t('phone.live') : paired ? t('phone.paired') : t('phone.waiting');
  return (
    <Veil name="phone" class="full" label={t('phone.title')} say={t(paired ? 'phone.say.paired' : 'phone.say')}>
      <div class="scr plain">
        <Top title={t('phone.title')} place={`${s.device.name}`} />
        <div class="sheet">
          <div class="codebox">
            {link ? <Qr svg={link.qr_svg} size="qr25" alt={t('phone.step.1')} />
              : paired ? <div class="qrimg qr25 empty joined"><Icon d={icons.check} /></div>
                : <div class="qrimg qr25 empty">{t(error ? 'phone.missing' : 'phone.loading')}</div>}
          </div>
          <div>
            <ol class="how">
              {([1, 2, 3] as const).map((n) => (
                <li key={n}><i>{n}</i><div>{t(`phone.step.${n}`)}<small>{t(`phone.step.${n}.sub`)}</small></div></li>
              ))}
            </ol>
          </div>
          <div class="track">
            <p class={paired ? 'yes' : ''}>{state}</p>
            {link && <div class="typed">{t('phone.code')}<b>{spaced(link.code)}</b></div>}
          </div>
        </div>
        <div class="row">
          <Button id="done" first word={paired ? t('phone.done') : t('phone.back')} onPress={() => tv.close()} />
          <Button id="again" icon={icons.swap} word={t('phone.again')} say={t('phone.again')} onPress={() => tv.captures.renew()} />
        </div>
        <Hint keys={[['key.ok', 'key.do.choose'], ['key.back', 'key.do.close']]} />
      </div>
    </Veil>
  );
}
