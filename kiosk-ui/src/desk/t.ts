import desk from '../../locales/zh-CN/desk.json';
import dispute from '../../locales/zh-CN/desk-dispute.json';
import { words } from '../staff/t';

export const { t, word } = words({ ...desk, ...dispute });
