import common from '../../locales/zh-CN/common.json';
import tablet from '../../locales/zh-CN/tablet.json';
import { errText, makeT } from '../core/t';

const dict = { ...common, ...tablet };
export type Key = keyof typeof dict;
export const t = makeT(dict);
export const err = (code: string) => errText(dict, code);
export const langs = (list: string[]) => list.map((l) => (l === 'mn' ? t('lang.mn') : t('lang.zh'))).join('、') || t('lang.zh');
export const role = (r: string): string => (`role.${r}` in dict ? t(`role.${r}` as Key) : r);
