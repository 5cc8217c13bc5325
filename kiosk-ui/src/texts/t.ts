import common from '../../locales/zh-CN/common.json';
import texts from '../../locales/zh-CN/texts.json';
import { errText, makeT } from '../core/t';

const dict = { ...common, ...texts };
export const t = makeT(dict);
export const err = (code: string) => errText(dict, code);
