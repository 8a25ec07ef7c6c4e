/**
 * Proves that an exchange, whatever undici and the deadline do to it in whatever
 * legal order, spends its token once, ends once and gives its connection back once,
 * never before its end; and that it reads no more of an answer than it may.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { classify, DEADLINE_CODE } from '../../src/deliver/classify.ts';
import { Exchange, type ExchangeListener, type ReadBounds } from '../../src/deliver/exchange.ts';
import type { UndiciHandler } from '../lanes/lane-parts.ts';

const bounds: ReadBounds = { maxExcerptBytes: 10, maxResponseBytes: 40 };

/** Notes what it is told, and what stood when it was told. */
class Listener implements ExchangeListener<string> {
  readonly log: string[] = [];
  status = -1;
  answers = 0;

  onSpent(): void {
    this.log.push('spent');
  }

  onAnswer(): void {
    expect(this.log).toEqual(['spent']);
    this.answers++;
  }

  onEnd(exchange: Exchange<string>): void {
    this.log.push('end');
    this.status = exchange.status;
  }

  onRelease(): void {
    this.log.push('release');
  }
}

/** undici's side of one request: it calls the handler as undici 7 does, an abort ending in `onError` at once. */
class Request {
  readonly listener = new Listener();
  readonly exchange = new Exchange(this.listener, 'context', 1_000, 500, bounds);
  readonly #handler: UndiciHandler = this.exchange;
  state: 'queued' | 'connected' | 'answered' | 'done' = 'queued';

  get ended(): boolean {
    return this.listener.log.includes('end');
  }

  connect(): void {
    this.state = 'connected';
    this.#handler.onConnect((reason) => {
      this.fail(reason ?? new Error('aborted'));
    });
  }

  headers(status: number, headers: string[] = []): void {
    this.#handler.onHeaders(
      status,
      headers.map((text) => Buffer.from(text)),
    );
    if (status >= 200) this.state = 'answered';
  }

  data(chunk: Buffer): void {
    this.#handler.onData(chunk);
  }

  complete(): void {
    this.state = 'done';
    this.#handler.onComplete();
  }

  fail(error: Error): void {
    if (this.state === 'done') return;
    this.state = 'done';
    this.#handler.onError(error);
  }
}

function errorWith(code: string, cause?: Error): Error {
  return Object.assign(new Error(code, cause && { cause }), { code });
}

type Happening =
  | { readonly kind: 'proceed'; readonly status: number; readonly bytes: number }
  | { readonly kind: 'fail' }
  | { readonly kind: 'deadline' };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('proceed' as const),
      status: fc.oneof(fc.constantFrom(100, 103), fc.integer({ min: 200, max: 599 })),
      bytes: fc.integer({ min: 0, max: 30 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('fail' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('deadline' as const) }) },
);

/** One legal step onwards from where the request stands. */
function proceed(request: Request, status: number, bytes: number): void {
  if (request.state === 'queued') request.connect();
  else if (request.state === 'connected') request.headers(status);
  else if (request.state === 'answered' && bytes > 0) request.data(Buffer.alloc(bytes, 'x'));
  else if (request.state === 'answered') request.complete();
}

test('over any legal order of events: spent once, ended once, released once, in that order', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 12 }), (events) => {
      const request = new Request();
      let seen = 0;
      for (const one of events) {
        if (request.state === 'done') break;
        if (one.kind === 'fail') request.fail(errorWith('ECONNRESET'));
        else if (one.kind === 'deadline') {
          if (!request.ended) request.exchange.onDeadline();
          expect(request.ended).toBe(true);
        } else {
          proceed(request, one.status, one.bytes);
          if (request.exchange.status !== 0) seen = request.exchange.status;
        }
        expect(request.listener.log.filter((line) => line === 'spent').length).toBe(
          request.state !== 'queued' || request.ended ? 1 : 0,
        );
      }
      if (request.state === 'queued') request.connect();
      if (request.state !== 'done') request.fail(errorWith('UND_ERR_DESTROYED'));
      expect(request.listener.log).toEqual(['spent', 'end', 'release']);
      expect(request.listener.status).toBe(seen);
      expect(request.listener.answers).toBe(seen === 0 ? 0 : 1);
      expect(classify(request.exchange).reason.startsWith('http_')).toBe(seen !== 0);
    }),
    { numRuns: 2_000 },
  );
});

describe('the deadline', () => {
  test('before there is a connection ends it at once; the connection, when it comes, is given back unused', () => {
    const request = new Request();
    request.exchange.onDeadline();
    expect(request.listener.log).toEqual(['spent', 'end']);
    expect(request.exchange).toMatchObject({
      requestSent: false,
      errorCode: DEADLINE_CODE,
      deadlineMs: 1_500,
    });
    request.connect();
    expect(request.listener.log).toEqual(['spent', 'end', 'release']);
    expect(request.exchange.requestSent).toBe(false);
  });

  test('while an answer is awaited aborts the request', () => {
    const request = new Request();
    request.connect();
    request.exchange.onDeadline();
    expect(request.listener.log).toEqual(['spent', 'end', 'release']);
    expect(classify(request.exchange)).toEqual({ class: 'failed_after_send', reason: 'deadline' });
  });

  test('does not undo a status that was seen, but ends a body that drips', () => {
    const request = new Request();
    request.connect();
    request.headers(200);
    request.data(Buffer.from('ab'));
    request.exchange.onDeadline();
    expect(request.state).toBe('done');
    expect(classify(request.exchange).class).toBe('delivered');
  });
});

describe('an answer', () => {
  test('informational ones are not the answer, however many', () => {
    const request = new Request();
    request.connect();
    for (let i = 0; i < 100; i++) request.headers(103, ['retry-after', '1']);
    expect(request.exchange).toMatchObject({ status: 0, hasRetryAfter: false });
    expect(request.listener.answers).toBe(0);
    request.headers(204);
    expect(request.exchange.status).toBe(204);
    expect(request.listener.answers).toBe(1);
  });

  test.each<[number, string[], boolean, string]>([
    [503, ['Retry-After', '120'], true, '120'],
    [429, ['x', 'y', 'RETRY-AFTER', 'soon'], true, 'soon'],
    [500, ['retry-after', 'Wednesday, 09-Sep-27 10:00:00 GMT'], true, 'Wednesday, 09-Sep-27 10:00:00 GMT'],
    [503, ['retry-after', '1', 'retry-after', '2'], true, '1'],
    [503, ['retry-after', ''], true, ''],
    [503, ['retry-after', '1'.repeat(65)], true, ''],
    [503, ['x-retry-after', '1'], false, ''],
    [503, ['x', 'retry-after'], false, ''],
    [503, ['retry-after'], false, ''],
    [404, ['retry-after', '1'], false, ''],
  ])('%d with %j: Retry-After %s', (status, headers, hasRetryAfter, retryAfter) => {
    const request = new Request();
    request.connect();
    request.headers(status, headers);
    expect(request.exchange).toMatchObject({ hasRetryAfter, retryAfter });
  });

  test('is kept up to the excerpt’s bytes and counted beyond them', () => {
    const request = new Request();
    request.connect();
    request.headers(500);
    for (const part of ['hello ', 'world, ', 'how are you']) request.data(Buffer.from(part));
    request.complete();
    expect(request.exchange).toMatchObject({ excerpt: 'hello worl', responseBytes: 24, errorCode: '' });
  });

  test('is read no further than the bound, and its status stands', () => {
    const request = new Request();
    request.connect();
    request.headers(200);
    request.data(Buffer.alloc(40));
    expect(request.state).toBe('answered');
    request.data(Buffer.alloc(1));
    expect(request.state).toBe('done');
    expect(request.listener.log).toEqual(['spent', 'end', 'release']);
    expect(classify(request.exchange).class).toBe('delivered');
  });
});

describe('the code of an error', () => {
  test.each([
    ['its own', errorWith('ECONNREFUSED'), 'ECONNREFUSED'],
    ['its innermost cause’s', errorWith('UND_ERR_SOCKET', errorWith('ECONNRESET')), 'ECONNRESET'],
    [
      'the address guard’s, wherever it is',
      errorWith('EVENTDISPATCH_BLOCKED', errorWith('EOTHER')),
      'EVENTDISPATCH_BLOCKED',
    ],
    ['its name when it has none', new TypeError('no code'), 'TypeError'],
  ])('is %s', (_what, error, code) => {
    const request = new Request();
    request.fail(error);
    expect(request.exchange.errorCode).toBe(code);
  });

  test('of errors that are each other’s cause is found without end', () => {
    const error = errorWith('EA');
    error.cause = error;
    const request = new Request();
    request.fail(error);
    expect(request.exchange.errorCode).toBe('EA');
  });
});
