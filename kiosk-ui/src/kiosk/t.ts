import common from '../../locales/zh-CN/common.json';
import kiosk from '../../locales/zh-CN/kiosk.json';
import { errText, makeT } from '../core/t';

const dict = { ...common, ...kiosk };
export type Key = keyof typeof dict;
export const t = makeT(dict);
export const err = (code: string) => errText(dict, code);
export const langs = (list: string[]) => list.map((l) => (l === 'mn' ? t('lang.mn') : t('lang.zh'))).join('、') || t('lang.zh');
export const category = (c: string): string => (`cat.${c}` in dict ? t(`cat.${c}` as Key) : t('cat.other'));
