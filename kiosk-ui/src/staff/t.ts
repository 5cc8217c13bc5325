import common from '../../locales/zh-CN/common.json';
import staff from '../../locales/zh-CN/staff.json';
import { errText, makeT, type Dict, type ErrText, type T } from '../core/t';

/** The texts of a staff page: its own file, what desk and console share, and common.json. */
export function words<D extends Dict>(page: D): { t: T<typeof common & typeof staff & D>; word: (group: string, code: string, fallback?: string) => string } {
  const dict = { ...common, ...staff, ...page };
  const flat: Dict = dict;
  return {
    t: makeT(dict),
    /** The word of a code that the server sends ("cat" + "land"); an unknown code shows itself. */
    word: (group, code, fallback = code) => flat[`${group}.${code}`] ?? fallback,
  };
}

export const { t, word } = words({});

const errors: Dict = { ...common, ...staff };

/** What happened, what to do, the number to call. */
export const errorSentence = (code: string): ErrText => errText(errors, code);
