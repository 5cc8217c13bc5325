// Six digits on a pad of our own: the code of the agreement, or the code that came by text.
import { useEffect, useState } from 'preact/hooks';
import { showCode } from '../../agreement/digest';
import { codeOf, emptyBoxes, erased, isEmpty, typed } from '../../core/digits';
import { spokenDigits } from '../../core/t';
import { Trouble, useCommand, type Command, type PaperProps, type StepProps } from './parts';
import { t } from './touch';

function Pad(p: { cmd: Command; send: (code: string) => Promise<unknown>; onPress: () => void }) {
  const [boxes, set] = useState(emptyBoxes());
  const press = (n: number) => {
    p.onPress();
    const next = typed(boxes, n);
    set(next);
    const code = codeOf(next);
    if (code) p.cmd.run(() => p.send(code).then(() => undefined, (e: unknown) => { set(emptyBoxes()); throw e; }));
  };
  return (
    <>
      <div class="dp-boxes" role="img" aria-label={boxes.d.map((x) => (x === null ? '·' : x)).join(' ')}>
        {boxes.d.map((x, i) => <i key={i} class={x !== null ? 'y' : i === boxes.at ? 'now' : ''}>{x === null ? '' : x}</i>)}
      </div>
      <Trouble error={p.cmd.error} />
      <div class="dp-keypad">
        {[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => <button type="button" key={n} disabled={p.cmd.busy} onClick={() => press(n)}>{n}</button>)}
        <span />
        <button type="button" disabled={p.cmd.busy} onClick={() => press(0)}>0</button>
        <button type="button" class="del" disabled={p.cmd.busy || isEmpty(boxes)} onClick={() => { p.onPress(); set(erased(boxes)); }}>{t('code.delete')}</button>
      </div>
    </>
  );
}

export function Readback({ c, a, speaker, onBack }: PaperProps & { onBack: () => void }) {
  const cmd = useCommand();
  const say = t('code.say', { code: spokenDigits(a.code) });
  useEffect(() => speaker.say(say), [say]);
  const call = useCommand();
  const [called, setCalled] = useState(false);
  return (
    <section class="dp">
      <h2>{t('code.title')}</h2>
      <div class="paper mid-text"><p>{t('code.is')}</p><p class="codebig">{showCode(a.code)}</p><p>{t('code.do')}</p></div>
      {a.mediator_called && <p class="good" role="status">{t('code.called')}</p>}
      <Pad cmd={cmd} send={(code) => c.readback(code)} onPress={() => speaker.unlock()} />
      <p class="note">{t('code.same')}{t('code.differ')}</p>
      <div class="dp-pair quiet">
        <button type="button" class="mid" onClick={onBack}>{t('code.back')}</button>
        <button type="button" class="mid" disabled={call.busy || called} onClick={() => call.run(() => c.unclear((a.blocks || [])[0]!.n, true).then(() => setCalled(true)))}>{called ? t('code.called') : t('code.call')}</button>
      </div>
      <Trouble error={call.error} />
    </section>
  );
}

export function PhoneCode({ c, speaker }: StepProps) {
  const cmd = useCommand();
  useEffect(() => speaker.say(t('phone.say')), []);
  return (
    <section class="dp">
      <h2>{t('phone.title')}</h2>
      <div class="paper mid-text"><p>{t('phone.is')}</p><p>{t('phone.place')}</p></div>
      <Pad cmd={cmd} send={(code) => c.phoneCode(code)} onPress={() => speaker.unlock()} />
      <p class="note">{t('phone.do')}</p>
    </section>
  );
}
