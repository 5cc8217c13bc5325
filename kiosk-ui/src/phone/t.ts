import common from '../../locales/zh-CN/common.json';
import phone from '../../locales/zh-CN/phone.json';
import { errText, makeT } from '../core/t';

const dict = { ...common, ...phone };
export type Key = keyof typeof dict;
export const t = makeT(dict);
export const err = (code: string) => errText(dict, code);
export const langs = (list: string[]) => list.map((l) => (l === 'mn' ? t('lang.mn') : t('lang.zh'))).join('、') || t('lang.zh');
