// The words of the second script, over those of the first.
import common from '../../locales/zh-CN/common.json';
import own from '../../locales/zh-CN/tv.json';
import dispute from '../../locales/zh-CN/dispute.json';
import late from '../../locales/zh-CN/tv-late.json';
import { errText, makeT, type Dict, type ErrText } from '../core/t';

const dict = { ...common, ...own, ...late };
const withDispute: Dict = { ...dict, ...dispute };

export const t = makeT(dict);

/** trouble is the sentence of a fault code: what happened, what to do, the number 12348. */
export const trouble = (code: string): ErrText => errText(withDispute, code);

/** category names one of the 19 codes of docs/protocol.md; an unknown one is 其他事情. */
export const category = (code: string): string => (dict as Dict)[`cat.${code}`] || t('cat.other');

/** tile names one of the nine tiles, which may cover more than its category. */
export const tile = (code: string): string => (dict as Dict)[`tile.${code}`] || category(code);

/** languages as people say them: 汉语、蒙古语. */
export const languages = (codes: string[]): string =>
  codes.map((c) => (c === 'mn' ? t('lang.mn') : c === 'zh' ? t('lang.zh') : '')).filter(Boolean).join('、');
