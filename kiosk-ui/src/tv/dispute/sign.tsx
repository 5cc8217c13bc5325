// Signing moves to the person's own phone by a one-time code; the TV shows who has signed, and that the seal comes last.
import { showCode } from '../../agreement/digest';
import { hourMinute } from '../../core/clock';
import { spokenDigits } from '../../core/t';
import { useHandover } from '../../light/dispute/handover';
import { t } from '../../light/dispute/t';
import { Icon } from '../ui/icons';
import { icons } from '../ui/icons-late';
import { Button, Qr, spaced, useTv } from '../ui/screen';
import { Frame, glyphs, QuitButton, type PaperProps } from './frame';

export function Sign(p: PaperProps) {
  return p.d.me.signed_at === null ? <ToSign {...p} /> : <HasSigned {...p} />;
}

function ToSign({ m, d, s, a }: PaperProps) {
  const tv = useTv();
  const { link, failed, renew } = useHandover({ c: m.c, nowUs: tv.term.clock.nowUs });
  const say = t('sign.say', { code: spokenDigits(a.code) });
  const here = s.capture.live || s.capture.paired; // the phone that is the camera signs too
  return (
    <Frame
      name="sign" say={say} icon={glyphs.pen} title={t('sign.title.phone')} place={t('sign.place', { v: a.v })} right={[showCode(a.code), t('code.label')]}
      cols="four" keys={['ok', 'back']} class="code-right"
      row={<>
        <Button id="reread" first icon={icons.speak} word={t('sign.again')} onPress={() => m.reread(true)} />
        <Button id="nophone" icon={icons.help} word={t('sign.nophone')} say={t('sign.nophone.do')} onPress={() => tv.voice.say(t('sign.nophone.do'), true)} />
        <Button id="later" word={t('sign.later')} onPress={() => m.dismiss()} />
        <QuitButton />
      </>}
    >
      <div class="m-sign">
        <div>
          {link ? <Qr svg={link.qr_svg} size="qr25s" alt={t('sign.qr')} /> : <div class="qrimg qr25s empty">{t(failed ? 'sign.qr.missing' : 'sign.qr.wait')}</div>}
          {link
            ? <p class="m-typed">{t('sign.typed')}<b>{new URL(link.url, location.href).host}</b>{t('sign.typed.code', { code: spaced(link.code) })}</p>
            : <Button id="renew" word={t('sign.qr.again')} onPress={renew} />}
        </div>
        <ol class="m-how">
          <li><i>1</i><div>{t(here ? 'sign.1.here' : 'sign.1')}<small>{t(here ? 'sign.1.here.sub' : 'sign.1.sub')}</small></div></li>
          <li><i>2</i><div>{t('sign.2')}<small>{t('sign.2.sub')}</small></div></li>
          <li><i>3</i><div>{t('sign.3')}<small>{t('sign.3.sub')}</small></div></li>
          <li class="free"><b>{t('sign.free')}</b>{t('sign.free.sub')}</li>
        </ol>
        <Track d={d} a={a} />
      </div>
    </Frame>
  );
}

function HasSigned({ m, d, s: _, a }: PaperProps) {
  return (
    <Frame
      name="signed" say={t('signed.say')} icon={glyphs.pen} title={t('signed.title')} place={t('signed.place')} right={[showCode(a.code), t('code.label')]}
      cols="two" keys={['ok', 'back']} class="code-right"
      row={<><Button id="talk" first word={t('back.call')} onPress={() => m.dismiss()} /><Button id="reread" word={t('sign.again')} onPress={() => m.reread(true)} /></>}
    >
      <div class="m-sign two">
        <div class="m-ok"><Icon d={icons.check} /><p>{t('signed.sub')}</p></div>
        <Track d={d} a={a} />
      </div>
    </Frame>
  );
}

function Track({ d, a }: Pick<PaperProps, 'd' | 'a'>) {
  const sealed = a.effective_at !== null;
  const presided = sealed || a.state === 'mediator_signed';
  const at = (us: number | null | undefined): string => (us ? t('sign.signed.at', { at: hourMinute(us) }) : '');
  return (
    <div class="m-track">
      <h2>{t('sign.who')}</h2>
      <Line cls={d.me.signed_at ? 'yes' : 'now'} icon={d.me.signed_at ? icons.check : glyphs.pen} name={t('sign.you', { name: d.me.name })} sub="" say={at(d.me.signed_at) || t('sign.you.wait')} />
      {(d.others || []).map((o, i) => <Line key={i} cls={o.signed_at ? 'yes' : ''} icon={o.signed_at ? icons.check : icons.clock} name={o.name} sub="" say={at(o.signed_at) || t('sign.other.wait')} />)}
      <Line cls={presided ? 'yes' : ''} icon={presided ? icons.check : icons.clock} name={t('sign.mediator', { name: d.mediator })} sub={t('sign.mediator.sub')} say={presided ? at(a.mediator_signed_at) || t('sign.signed') : t('sign.mediator.wait')} />
      <Line cls={sealed ? 'yes' : ''} icon={glyphs.seal} name={t('sign.seal')} sub={t('sign.seal.sub')} say={sealed ? at(a.effective_at) : t('sign.seal.wait')} />
    </div>
  );
}

const Line = (p: { cls: string; icon: string; name: string; sub: string; say: string }) => (
  <p class={p.cls}><span class="dot"><Icon d={p.icon} /></span><span>{p.name}{p.sub && <small>{p.sub}</small>}</span><em>{p.say}</em></p>
);
