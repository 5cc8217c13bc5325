// The step of a dispute that a touch page shows now; null while people only talk.
import { useEffect, useRef, useState } from 'preact/hooks';
import { useStore } from '../../core/hooks.preact';
import { mayWithdraw, stepKey, stepOf, type PartyDispute, type Step } from '../../core/dispute';
import type { Speaker } from '../../core/speak';
import { Ask } from './ask';
import { PhoneCode, Readback } from './code';
import { Closed, Done, Quit } from './end';
import { Trouble, useCommand, type StepProps } from './parts';
import { Read } from './read';
import { OnPaper, Sign, Signed } from './sign';
import { t } from './touch';

export interface PanelProps { c: PartyDispute; speaker: Speaker; pen: boolean; nowUs: () => number; onOk?: () => void; /** 退出调解 stands here also while people only talk. */ always?: boolean }

export function DisputePanel(p: PanelProps) {
  const v = useStore(p.c);
  const step = stepOf(v);
  const [reread, setReread] = useState(false); // the person goes through the paper once more
  const key = stepKey(step);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    setReread(false);
    if (!key) p.speaker.say(''); // nothing is asked any more: no old line stays
    window.scrollTo(0, 0);
    if (box.current) box.current.scrollTop = 0;
  }, [key]);
  const { d } = v;
  if (!d || (!step && !p.always)) return null;
  const s: StepProps = { c: p.c, d, speaker: p.speaker, pen: p.pen, nowUs: p.nowUs };
  return (
    <div class="dispute" ref={box}>
      {step && <Body key={key} s={s} step={step} reread={reread} onReread={setReread} onOk={p.onOk || null} />}
      {mayWithdraw(d) && <Quit {...s} />}
    </div>
  );
}

function Body(p: { s: StepProps; step: Step; reread: boolean; onReread: (on: boolean) => void; onOk: (() => void) | null }) {
  const { s, step } = p;
  if (step.at === 'ask') return <Ask {...s} q={step.ask} />;
  if (step.at === 'phone-code') return <PhoneCode {...s} />;
  if (step.at === 'done') return <Done {...s} onOk={p.onOk} />;
  if (step.at === 'closed') return <Closed {...s} onOk={p.onOk} />;
  const a = s.d.agreement;
  if (!a) return null;
  if (step.at === 'checking-proof') return <section class="dp"><h2>{t('proof.title')}</h2></section>;
  if (step.at === 'mismatch') return <Mismatch {...s} />;
  if (p.reread || step.at === 'read') return <Read {...s} a={a} onDone={p.reread ? () => p.onReread(false) : null} />;
  if (step.at === 'code') return <Readback {...s} a={a} onBack={() => p.onReread(true)} />;
  if (step.at === 'sign') return <Sign {...s} a={a} onBack={() => p.onReread(true)} />;
  if (step.at === 'signed') return <Signed {...s} a={a} />;
  if (step.at === 'paper') return <OnPaper {...s} a={a} />;
  return <Held {...s} />;
}

function Held({ speaker }: StepProps) {
  useEffect(() => speaker.say(t('held.say')), []);
  return <section class="dp"><h2>{t('held.title')}</h2><p class="lead">{t('held.sub')}</p></section>;
}

function Mismatch({ c, speaker }: StepProps) {
  const cmd = useCommand();
  useEffect(() => speaker.say(t('mismatch.say')), []);
  return (
    <section class="dp dp-alarm" role="alert">
      <h2>{t('mismatch.title')}</h2>
      <p class="lead">{t('mismatch.sub')}</p>
      <Trouble error={cmd.error} />
      <button type="button" class="big" disabled={cmd.busy} onClick={() => cmd.run(() => c.refetch())}>{t('mismatch.again')}</button>
    </section>
  );
}
