// Texts. A page makes its `t` from common.json and its own file; a missing key is a type error. Errors are sentences of
// three parts: what happened | what to do now | the number 12348.

export type Vars = Record<string, string | number>;
export type Dict = Record<string, string>;

export const fill = (text: string, vars?: Vars): string =>
  vars ? text.replace(/\{(\w+)\}/g, (all, name: string) => (name in vars ? String(vars[name]) : all)) : text;

export type T<D extends Dict> = (key: keyof D & string, vars?: Vars) => string;

export const makeT = <D extends Dict>(dict: D): T<D> => (key, vars) => fill(dict[key] || key, vars);

export interface ErrText { what: string; todo: string; call: string }

/** The sentence of a fault code; codes without one get the general sentence. */
export function errText(dict: Dict, code: string, vars?: Vars): ErrText {
  const text = dict[`err.${code}`] || dict['err.unknown'] || '';
  const [what = '', todo = '', call = ''] = fill(text, vars).split('|');
  return { what, todo, call };
}

const digits = '零一二三四五六七八九';

/** Numbers as people say them in a queue: 12 → 十二, 2 → 两 before a measure word. */
export function spoken(n: number, measure = false): string {
  if (n === 2 && measure) return '两';
  if (n < 10) return digits[n] || String(n);
  if (n < 100) return (n < 20 ? '' : digits[Math.floor(n / 10)]) + '十' + (n % 10 ? digits[n % 10] : '');
  return String(n);
}

/** Codes digit by digit: 482916 → 四八二、九一六. */
export const spokenDigits = (s: string): string =>
  s.replace(/\D/g, '').replace(/\d/g, (d) => digits[Number(d)]!).replace(/(.{3})(?=.)/g, '$1、');
