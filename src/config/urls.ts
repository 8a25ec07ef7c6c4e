/** Null when it is none. */
export function parseUrl(text: string): URL | null {
  return URL.canParse(text) ? new URL(text) : null;
}

/** Why this is no URL of a server we may talk to, or null. */
export function urlProblem(text: string): string | null {
  const url = parseUrl(text);
  if (url === null || !/^https?:\/\//i.test(text)) {
    return 'is not allowed; allowed: an absolute http:// or https:// URL';
  }
  if (url.username !== '' || url.password !== '') {
    return 'is not allowed: no user or password in a URL; there are other keys for them';
  }
  return url.hash === '' ? null : 'is not allowed: no fragment (#…), it is never sent';
}
