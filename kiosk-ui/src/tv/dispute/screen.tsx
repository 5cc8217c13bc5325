// The person's matter on the TV: which step shows, and leaving it, which is asked twice.
import { useStore } from '../../core/hooks.preact';
import { stepOf } from '../../core/dispute';
import type { Situation } from '../../core/types';
import { refusesHere } from '../../light/dispute/lines';
import { t } from '../../light/dispute/t';
import { Starting } from '../notice/notice';
import { Button, useTv, Veil } from '../ui/screen';
import { Answer } from './answer';
import { Ask } from './ask';
import { PhoneCode, Readback } from './code';
import { Checking, Closed, Done, Mismatch, OnPaper, Waiting } from './end';
import { Read } from './read';
import { Sign } from './sign';

export function MatterScreen({ s }: { s: Situation }) {
  const tv = useTv();
  const m = tv.matter;
  const { thing, reread } = useStore(m);
  const v = useStore(m.c);
  if (!thing) return <Starting />;
  if (thing.kind === 'answer') return <Answer key={thing.key} m={m} s={s} text={thing.answer} />;
  const step = stepOf(v);
  const { d } = v;
  if (!step || !d) return <Starting />;
  const p = { m, d, s };
  if (step.at === 'ask') return <Ask key={step.ask.id} {...p} q={step.ask} />;
  if (step.at === 'phone-code') return <PhoneCode {...p} />;
  if (step.at === 'done') return <Done {...p} />;
  if (step.at === 'closed') return <Closed {...p} />;
  const a = d.agreement;
  if (!a) return <Starting />;
  if (step.at === 'checking-proof') return <Checking {...p} a={a} />;
  if (step.at === 'mismatch') return <Mismatch {...p} a={a} />;
  if (reread || step.at === 'read') return <Read key={a.digest} {...p} a={a} />;
  if (step.at === 'code') return <Readback {...p} a={a} />;
  if (step.at === 'sign' || step.at === 'signed') return <Sign {...p} a={a} />;
  if (step.at === 'paper') return <OnPaper {...p} a={a} />;
  return <Waiting {...p} a={a} />;
}

/** Withdraw asks once more before the mediation is left, or before a paper is not signed. */
export function Withdraw() {
  const tv = useTv();
  const m = tv.matter;
  const { d } = m.c.get();
  const refuses = d !== null && tv.screen().base === 'matter' && refusesHere(d);
  const word = refuses ? '.sign' : '';
  const go = () => {
    tv.close();
    void tv.command(() => (refuses ? m.c.refuse(t('quit.reason')) : m.c.withdraw()));
  };
  return (
    <Veil name="withdraw" label={t(`quit.title${word}` as 'quit.title')} say={t(`quit.say${word}` as 'quit.say')}>
      <div class="ask">
        <h2>{t(`quit.title${word}` as 'quit.title')}</h2>
        <p>{t(`quit.sub${word}` as 'quit.sub')}</p>
        <div class="two">
          <Button id="stay" first word={t(`quit.no${word}` as 'quit.no')} onPress={() => tv.close()} />
          <Button id="go" final word={t(`quit.yes${word}` as 'quit.yes')} say={t(`quit.yes${word}` as 'quit.yes')} onPress={go} />
        </div>
      </div>
    </Veil>
  );
}
