// REST calls (docs/protocol.md §1): JSON both ways, problem+json errors, CSRF for cookie callers, bearer for terminals.

/** A refused or failed call. `status` 0 and code `net.down` mean that no answer came. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly field = '',
    readonly ref = '',
    readonly retryMs = 0,
  ) {
    super(code);
    this.name = 'ApiError';
  }

  /** A later try may succeed without anybody doing anything. */
  get temporary(): boolean {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export const asApiError = (e: unknown): ApiError => (e instanceof ApiError ? e : new ApiError(0, 'net.down'));

export interface CallOpts { headers?: Record<string, string>; timeoutMs?: number; ifMatch?: string | number; signal?: AbortSignal }

export interface Api {
  get<T>(path: string, opts?: CallOpts): Promise<T>;
  post<T = void>(path: string, body?: object, opts?: CallOpts): Promise<T>;
  put<T = void>(path: string, body: object, opts?: CallOpts): Promise<T>;
}

export interface ApiDeps {
  /** Access token of the live link; may wait for it. */
  bearer?: () => string | Promise<string>;
  csrf?: () => string;
  fetch?: typeof fetch;
}

const base = '/api/v1';

export function createApi(deps: ApiDeps = {}): Api {
  const doFetch = deps.fetch || ((input: RequestInfo | URL, init?: RequestInit) => fetch(input, init));

  async function call<T>(method: string, path: string, body: object | undefined, opts: CallOpts): Promise<T> {
    const headers: Record<string, string> = { Accept: 'application/json', ...opts.headers };
    const form = body instanceof FormData; // a file: the browser writes its own content type
    if (body !== undefined && !form) headers['Content-Type'] = 'application/json';
    if (opts.ifMatch !== undefined) headers['If-Match'] = `"${opts.ifMatch}"`;
    if (method !== 'GET') {
      const csrf = deps.csrf ? deps.csrf() : '';
      if (csrf) headers['X-CSRF-Token'] = csrf;
    }
    const token = deps.bearer ? await deps.bearer() : '';
    if (token) headers.Authorization = `Bearer ${token}`;

    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), opts.timeoutMs || 15000);
    const relay = () => abort.abort();
    if (opts.signal) opts.signal.addEventListener('abort', relay);
    try {
      const init: RequestInit = { method, headers, credentials: 'same-origin', cache: 'no-store', signal: abort.signal };
      if (body !== undefined) init.body = form ? body : JSON.stringify(body);
      const res = await doFetch(base + path, init);
      const text = await res.text();
      if (!res.ok) throw problem(res, text);
      return (text ? JSON.parse(text) : undefined) as T;
    } catch (e) {
      throw asApiError(e);
    } finally {
      clearTimeout(timer);
      if (opts.signal) opts.signal.removeEventListener('abort', relay);
    }
  }

  return {
    get: (path, opts = {}) => call('GET', path, undefined, opts),
    post: (path, body = {}, opts = {}) => call('POST', path, body, opts),
    put: (path, body, opts = {}) => call('PUT', path, body, opts),
  };
}

function problem(res: Response, text: string): ApiError {
  let p: { code?: string; field?: string; ref?: string; retry_after_ms?: number } = {};
  try {
    p = JSON.parse(text) || {};
  } catch {
    // a proxy or a dying server answered with something else; the status still counts
  }
  const header = Number(res.headers.get('Retry-After') || 0) * 1000;
  return new ApiError(res.status, p.code || `http.${res.status}`, p.field || '', p.ref || '', p.retry_after_ms || header || 0);
}

/** A fresh UUIDv7 for the `key` of a change; make it once per press, so that a repeat is the same command. */
export function newKey(now = Date.now()): string {
  const b = crypto.getRandomValues(new Uint8Array(16));
  let ms = now;
  for (let i = 5; i >= 0; i--) {
    b[i] = ms % 256;
    ms = Math.floor(ms / 256);
  }
  b[6] = 0x70 | (b[6]! & 0x0f);
  b[8] = 0x80 | (b[8]! & 0x3f);
  const hex = Array.from(b, (x) => (x + 256).toString(16).slice(1)).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
