import desk from '../../locales/zh-CN/desk.json';
import { words } from '../staff/t';

export const { t, word } = words(desk);
