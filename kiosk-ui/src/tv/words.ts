// The words of the first script: home, keys and the notices that stand alone. All others are in words-late.ts.
import own from '../../locales/zh-CN/tv.json';
import { makeT } from '../core/t';

export type Key = keyof typeof own;
export const t = makeT(own);
