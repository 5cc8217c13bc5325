import words from '../../../locales/zh-CN/party.json';
import { makeT } from '../../core/t';

export const t = makeT(words);
