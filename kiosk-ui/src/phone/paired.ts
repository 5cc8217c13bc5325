// Remembers in this browser that it holds a grant, and by which link: a reload then asks for the grant at once. The
// grant itself is an HttpOnly cookie that no script sees.

/** Token of the link, 'code' when typed, '' when there is none. */
interface Held { get(): string; set(token: string): void }

const held = (key: string): Held => ({
  get() {
    try {
      return localStorage.getItem(key) || '';
    } catch {
      return '';
    }
  },
  set(token) {
    try {
      if (token) localStorage.setItem(key, token);
      else localStorage.removeItem(key);
    } catch {
      // without storage a reload asks for a new scan
    }
  },
});

/** The camera grant of a terminal. */
export const paired = held('heyi.paired');
/** The link of a party. */
export const linked = held('heyi.link');
