import common from '../../../locales/zh-CN/common.json';
import words from '../../../locales/zh-CN/dispute.json';
import { makeT } from '../../core/t';

const dict = { ...common, ...words };
export type Key = keyof typeof dict;
export const t = makeT(dict);
export const category = (c: string): string => (`cat.${c}` in dict ? t(`cat.${c}` as Key) : t('cat.other'));
