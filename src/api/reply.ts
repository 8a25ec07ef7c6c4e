/** What a handler answers with; the server adds the rest. */
export interface Reply {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A resource that can be read; HEAD is answered from the same handler. */
export interface Route {
  readonly path: string;
  readonly get: () => Reply | Promise<Reply>;
}

const PHRASES: Readonly<Record<number, string>> = {
  200: 'OK',
  404: 'Not Found',
  405: 'Method Not Allowed',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export function phraseOf(status: number): string {
  return PHRASES[status] ?? '';
}

export function jsonReply(status: number, value: unknown): Reply {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value)}\n` };
}

/** An error in the form of RFC 9457; with no `type` of its own, the title is the status's phrase (§4.2.1). */
export function problemReply(status: number, detail: string, headers: Reply['headers'] = {}): Reply {
  const problem = { type: 'about:blank', title: phraseOf(status), status, detail };
  return { status, contentType: 'application/problem+json', body: `${JSON.stringify(problem)}\n`, headers };
}
