import page from '../../locales/zh-CN/console.json';
import { words } from '../staff/t';

export const { t, word } = words(page);
