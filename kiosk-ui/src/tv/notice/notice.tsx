// Whole screens for when something stands in the way: what happened, what to do now, the number 12348.
import { Icon, icons } from '../ui/icons';
import { Button, Screen, useTv } from '../ui/screen';
import { t, type Key } from '../words';

interface NoticeProps { name: string; icon: string; title: string; text: string; say: string; retry?: string; extra?: string; tel?: boolean }

export function Notice(p: NoticeProps) {
  const tv = useTv();
  return (
    <Screen name={p.name} say={p.say} keys={p.retry ? [['key.ok', 'key.do.choose'], ['key.zero', 'key.do.help']] : [['key.zero', 'key.do.help']]}>
      <div class="notice">
        <div class="sign"><Icon d={p.icon} /></div>
        <h1>{p.title}</h1>
        {p.extra && <p class="strong">{p.extra}</p>}
        <p>{p.text}</p>
        {p.tel !== false && <div class="tel"><Icon d={icons.tel} />{t('tel.line')}</div>}
        {p.retry && <Button id="retry" first word={p.retry} onPress={() => tv.retry()} />}
      </div>
    </Screen>
  );
}

export const Starting = () => <Notice name="starting" icon={icons.scale} title={t('start.title')} text={t('start.sub')} say={t('start.title')} tel={false} />;

const ALONE: Record<'nonet' | 'noserver' | 'disabled' | 'quarantined' | 'moved', { icon: string; retry?: Key }> = {
  nonet: { icon: icons.nonet, retry: 'retry' },
  noserver: { icon: icons.server, retry: 'retry' },
  disabled: { icon: icons.lock, retry: 'retry' },
  quarantined: { icon: icons.lock },
  moved: { icon: icons.window, retry: 'moved.here' },
};

export function Alone({ base }: { base: keyof typeof ALONE }) {
  const a = ALONE[base];
  return <Notice name={base} icon={a.icon} title={t(`${base}.title`)} text={t(`${base}.do`)} say={t(`${base}.say`)} retry={a.retry && t(a.retry)} tel={base === 'nonet' || base === 'noserver'} />;
}
