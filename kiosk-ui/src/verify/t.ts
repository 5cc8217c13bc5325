import common from '../../locales/zh-CN/common.json';
import verify from '../../locales/zh-CN/verify.json';
import { errText, makeT } from '../core/t';

const dict = { ...common, ...verify };
export const t = makeT(dict);
export const err = (code: string) => errText(dict, code);
