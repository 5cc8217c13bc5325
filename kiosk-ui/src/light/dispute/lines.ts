// The sentences of an end, spoken and shown alike on TV, kiosk and phone.
import { stepOf, type MyDispute } from '../../core/dispute';
import { dayWords } from '../../core/pages';
import { t } from './t';

export const doneLine = (d: MyDispute): string =>
  `${t('done.say')}${d.receipt_no ? t('done.say.receipt') : ''}${d.confirm_last_on ? t('done.say.confirm', { day: dayWords(d.confirm_last_on) }) : ''}`;

export const closedTitle = (d: MyDispute): string => {
  const code = d.closing ? d.closing.code : d.me.withdrawn_at !== null ? '4' : '';
  if (code === '7') return t('closed.title.7');
  if (d.me.withdrawn_at !== null) return t('closed.title.4');
  return code === '4' ? t('closed.other') : t('closed.title');
};

export const closedLine = (d: MyDispute): string => {
  const routes = d.closing && d.closing.routes ? d.closing.routes : [];
  return routes.length > 0 ? t('closed.say', { routes: routes.map((r) => r.text.replace(/。$/, '')).join('；') }) : `${closedTitle(d)}。${t('closed.wait')}`;
};

/** With a frozen agreement before him and not signed yet, leaving means: he does not sign (code 7). */
export function refusesHere(d: MyDispute): boolean {
  const step = stepOf({ d, proof: 'good', error: null });
  return !!step && ['read', 'code', 'sign', 'paper', 'held'].indexOf(step.at) >= 0;
}
