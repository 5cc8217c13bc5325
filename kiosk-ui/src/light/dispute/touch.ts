// The words of touch pages only, over those that the TV has too.
import common from '../../../locales/zh-CN/common.json';
import shared from '../../../locales/zh-CN/dispute.json';
import own from '../../../locales/zh-CN/touch.json';
import { errText, makeT } from '../../core/t';

const dict = { ...common, ...shared, ...own };
export type Key = keyof typeof dict;
export const t = makeT(dict);
export const err = (code: string) => errText(dict, code);
