// Remembers in this browser that it holds a camera grant, and by which link: a reload then asks for the grant at once.
// The grant itself is an HttpOnly cookie that no script sees.
const key = 'heyi.paired';

export const paired = {
  /** Token of the link, 'code' when typed, '' when there is none. */
  get(): string {
    try {
      return localStorage.getItem(key) || '';
    } catch {
      return '';
    }
  },
  set(token: string): void {
    try {
      if (token) localStorage.setItem(key, token);
      else localStorage.removeItem(key);
    } catch {
      // without storage a reload asks for a new scan
    }
  },
};
