// Enrolment: this box has a key but no place yet. An operator reads the code and approves; the screen then goes on by itself.
import { secondsLeft } from '../../core/clock';
import { useTick } from '../../core/hooks.preact';
import type { ClaimView } from '../../core/device';
import { Notice } from '../notice/notice';
import { icons } from '../ui/icons';
import { Hint, Qr, Screen, Top, useTv } from '../ui/screen';
import { t } from '../words-late';

export function Claim({ claim }: { claim: ClaimView }) {
  const tv = useTv();
  useTick(10_000);
  if (claim.at === 'refused') return <Notice name="claim-refused" icon={icons.lock} title={t('claim.refused')} text={t('claim.refused.do')} say={t('claim.refused')} retry={t('claim.again')} />;
  if (claim.at !== 'code') {
    return <Notice name="claim-wait" icon={icons.scale} title={t('claim.asking')} text={claim.at === 'down' ? t('claim.down') : t('start.sub')} say={t('claim.asking')} tel={claim.at === 'down'} />;
  }
  const minutes = Math.ceil(secondsLeft(claim.expiresAt, tv.term.clock.nowUs()) / 60);
  return (
    <Screen name="claim" say={t('claim.say')}>
      <Top title={t('claim.title')} place={t('claim.sub')} />
      <div class="enrol">
        <Qr svg={claim.qrSvg} size="qr34" alt={t('claim.step.1')} />
        <ol class="how">
          <li><i>1</i><div>{t('claim.step.1')}<small>{t('claim.step.1.sub')}</small></div></li>
          <li><i>2</i><div>{t('claim.step.2')}<b class="code8">{claim.code}</b></div></li>
          <li><i>3</i><div>{t('claim.step.3')}<small>{t('claim.step.3.sub')}</small></div></li>
          <li class="foot">{t('claim.serial', { serial: claim.serial })}{minutes > 0 && `　${t('claim.expires', { n: minutes })}`}</li>
        </ol>
      </div>
      <Hint keys={[['key.zero', 'key.do.help']]} />
    </Screen>
  );
}
