// Between and after: waiting for the mediator, on paper, not the frozen text, in force, over.
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { dayText, hourMinute } from '../../core/clock';
import { dayWords } from '../../core/pages';
import { closedLine, closedTitle, doneLine } from '../../light/dispute/lines';
import { t } from '../../light/dispute/t';
import { Icon } from '../ui/icons';
import { icons } from '../ui/icons-late';
import { Button, useTv } from '../ui/screen';
import { Column, Frame, glyphs, QuitButton, type PaperProps, type StepProps } from './frame';

/** A step with one sentence and a way back to the talk. */
function Plain(p: PaperProps & { name: string; say: string; title: string; sub: ComponentChildren; aside: string; row?: ComponentChildren; alarm?: boolean }) {
  return (
    <Frame
      name={p.name} say={p.say} icon={glyphs.paper} title={p.title} place={t('signed.place')} cols="three" keys={['ok', 'back']}
      row={<><Button id="talk" first word={t('back.call')} onPress={() => p.m.dismiss()} />{p.row}<QuitButton /></>}
    >
      <div class="m-agree"><article class={`m-sheet keyin${p.alarm ? ' alarm' : ''}`}><div class="ask-line strong">{p.sub}</div></article><Column s={p.s} name={p.d.mediator}><p class="soft">{p.aside}</p></Column></div>
    </Frame>
  );
}

export const Checking = (p: PaperProps) => <Plain {...p} name="proof" say={t('proof.title')} title={t('proof.title')} sub="" aside="" />;

export const Waiting = (p: PaperProps) => <Plain {...p} name="held" say={t('held.title')} title={t('held.title')} sub={t('held.sub')} aside="" />;

export const OnPaper = (p: PaperProps) => (
  <Plain
    {...p} name="paper" say={t('paper.say')} title={t('paper.title')} aside={t('sign.free') + t('sign.free.sub')}
    sub={<>{t('paper.sub')}<ol class="m-plain"><li>{t('paper.1')}</li><li>{t('paper.2')}</li><li>{t('paper.3')}</li></ol></>}
    row={<Button id="reread" word={t('sign.again')} onPress={() => p.m.reread(true)} />}
  />
);

export function Mismatch(p: PaperProps) {
  const tv = useTv();
  return (
    <Plain
      {...p} name="mismatch" say={t('mismatch.say')} title={t('mismatch.title')} sub={t('mismatch.sub')} aside={t('code.differ')} alarm
      row={<Button id="again" word={t('mismatch.again')} onPress={() => void tv.command(() => p.m.c.refetch())} />}
    />
  );
}

export function Done({ m, d, s }: StepProps) {
  const tv = useTv();
  useEffect(() => tv.voice.ding(), []);
  const at = d.agreement ? d.agreement.effective_at : null;
  const line = doneLine(d);
  return (
    <Frame
      name="done" say={line} icon={glyphs.seal} title={t('done.title')} place={at ? t('done.at', { day: dayText(at).split(' ')[0]!, at: hourMinute(at) }) : t('done.place')}
      cols="two" keys={['ok', s.session ? 'back' : 'close']}
      row={<><Button id="ok" first word={t(s.session ? 'back.call' : 'done.ok')} onPress={() => m.dismiss()} /><Button id="again" icon={icons.speak} word={t('ask.again')} onPress={() => tv.voice.say(line, true)} /></>}
    >
      <div class="m-agree">
        <article class="m-sheet m-done">
          <Icon d={icons.check} />
          <dl>
            <dt>{t('done.number')}</dt><dd>{d.number}</dd>
            <dt>{t('done.receipt')}</dt><dd>{d.receipt_no || t('done.receipt.wait')}</dd>
          </dl>
          {d.confirm_last_on && <div class="m-confirm">{t('done.confirm')}<b>{t('done.confirm.last', { day: dayWords(d.confirm_last_on) })}</b><span>{t('done.confirm.sub')}</span></div>}
        </article>
        <Column s={s} name={d.mediator}><p class="soft">{t('done.place')}</p><p class="soft">{t('done.phone')}</p></Column>
      </div>
    </Frame>
  );
}

export function Closed({ m, d, s }: StepProps) {
  const tv = useTv();
  const line = closedLine(d);
  const routes = (d.closing && d.closing.routes) || [];
  return (
    <Frame
      name="closed" say={line} icon={glyphs.paper} title={closedTitle(d)} place={d.number} cols="two" keys={['ok', s.session ? 'back' : 'close']}
      row={<><Button id="ok" first word={t(s.session ? 'back.call' : 'closed.ok')} onPress={() => m.dismiss()} /><Button id="again" icon={icons.speak} word={t('closed.again')} onPress={() => tv.voice.say(line, true)} /></>}
    >
      <div class="m-agree">
        <article class="m-sheet">
          <h2>{routes.length > 0 ? t('closed.routes') : t('closed.wait')}</h2>
          <div class="m-text routes"><ol class="m-plain">{routes.map((r) => <li key={r.code}>{r.text}</li>)}</ol></div>
          {d.receipt_no && <div class="m-receipt">{t('done.receipt')} <b>{d.receipt_no}</b></div>}
        </article>
        <Column s={s} name={d.mediator}><p class="soft">{t('closed.sub')}</p></Column>
      </div>
    </Frame>
  );
}
