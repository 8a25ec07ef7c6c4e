/**
 * Proves that every end of an attempt has exactly one class of the known ones and
 * a reason of a closed vocabulary, and that each class has what follows from it: who
 * is tried again, charged, held against the endpoint, or perhaps received.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ATTEMPT_CLASSES,
  BLOCKED_CODE,
  CLASS_RULES,
  classify,
  DEADLINE_CODE,
  isAmbiguous,
  WORKER_CRASH_CODE,
  type AttemptClass,
  type AttemptEnd,
} from '../../src/deliver/classify.ts';
import { variantOf } from '../domain/planted-bug.ts';

type Classify = typeof classify;

function end(change: Partial<AttemptEnd>): AttemptEnd {
  return { status: 0, hasRetryAfter: false, retryAfter: '', errorCode: '', requestSent: true, ...change };
}

/** The table of the issue, spelt out status by status. */
function expectedOf(status: number, hasRetryAfter: boolean): AttemptClass {
  if (status < 200) return 'failed_after_send';
  if (status < 300) return 'delivered';
  if (status === 429) return 'throttled';
  if ([502, 503, 504].includes(status) && hasRetryAfter) return 'throttled';
  if (status === 408 || status === 425 || status >= 500) return 'failed_after_send';
  return 'rejected';
}

const attemptEnd: fc.Arbitrary<AttemptEnd> = fc.record({
  status: fc.oneof(
    fc.constant(0),
    fc.integer({ min: 100, max: 599 }),
    fc.constantFrom(410, 429, 502, 503, 504, 999, 1_000, 65_535),
  ),
  hasRetryAfter: fc.boolean(),
  retryAfter: fc.constantFrom('', '120', 'soon'),
  errorCode: fc.oneof(
    fc.string(),
    fc.constantFrom(
      '',
      DEADLINE_CODE,
      BLOCKED_CODE,
      WORKER_CRASH_CODE,
      'EMFILE',
      'ECONNRESET',
      'HPE_INVALID',
      'ERR_SSL_X',
      'EPROTO',
    ),
    fc.constantFrom('constructor', 'toString', '__proto__', 'hasOwnProperty', 'valueOf'),
  ),
  requestSent: fc.boolean(),
});

function totality(tested: Classify): fc.IProperty<[AttemptEnd]> {
  return fc.property(attemptEnd, (of) => {
    const verdict = tested(of);
    expect(ATTEMPT_CLASSES).toContain(verdict.class);
    expect(verdict.reason).toMatch(/^[a-z0-9_]{1,30}$/);
    if (of.status !== 0) {
      expect(verdict).toEqual({
        class: expectedOf(of.status, of.hasRetryAfter),
        reason: `http_${of.status}`,
        ...(of.status === 410 && { disables: true }),
      });
    } else {
      expect(['delivered', 'rejected', 'throttled']).not.toContain(verdict.class);
      if (verdict.class === 'failed_before_send') expect(of.requestSent).toBe(false);
      if (verdict.class === 'failed_after_send') expect(of.requestSent).toBe(true);
    }
  });
}

describe('every end has one verdict', () => {
  test('for every status from 100 to 599', () => {
    for (let status = 100; status <= 599; status++) {
      for (const hasRetryAfter of [false, true]) {
        expect(classify(end({ status, hasRetryAfter })).class).toBe(expectedOf(status, hasRetryAfter));
      }
    }
  });

  test('for any status, error code and moment', () => {
    fc.assert(totality(classify), { numRuns: 3_000 });
  });

  test.each([
    [
      'an error outranks the status that was seen',
      'if (status !== 0)',
      "if (status !== 0 && errorCode === '')",
    ],
    ['a redirect passes for a delivery', 'status <= 299', 'status <= 399'],
    ['nothing beyond three digits', '?? ofStatus(status, hasRetryAfter)', ''],
    ['Retry-After changes nothing', 'hasRetryAfter ? WITH_RETRY_AFTER : PLAIN', 'PLAIN'],
    ['a 404 disables', 'GONE = 410', 'GONE = 404'],
    ['a 410 does not disable', ', disables: true', ''],
    [
      'whether it was sent does not matter',
      "end.requestSent ? 'failed_after_send' : 'failed_before_send'",
      "'failed_after_send'",
    ],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { classify: buggy } = await variantOf<{ classify: Classify }>('deliver/classify.ts', [from, to]);
    expect(fc.check(totality(buggy), { seed: 1, numRuns: 3_000 }).failed).toBe(true);
  });
});

test.each<[string, Partial<AttemptEnd>, AttemptClass, string]>([
  [
    'our deadline while connecting',
    { errorCode: DEADLINE_CODE, requestSent: false },
    'failed_before_send',
    'deadline',
  ],
  ['our deadline afterwards', { errorCode: DEADLINE_CODE }, 'failed_after_send', 'deadline'],
  ['a forbidden address', { errorCode: BLOCKED_CODE, requestSent: false }, 'blocked', 'address_blocked'],
  [
    'a refused connection',
    { errorCode: 'ECONNREFUSED', requestSent: false },
    'failed_before_send',
    'connect_refused',
  ],
  ['an unknown name', { errorCode: 'ENOTFOUND', requestSent: false }, 'failed_before_send', 'dns_not_found'],
  ['a reset', { errorCode: 'ECONNRESET' }, 'failed_after_send', 'reset'],
  [
    'a certificate that has run out',
    { errorCode: 'CERT_HAS_EXPIRED', requestSent: false },
    'failed_before_send',
    'tls_expired',
  ],
  [
    'another TLS failure',
    { errorCode: 'ERR_SSL_WRONG_VERSION_NUMBER', requestSent: false },
    'failed_before_send',
    'tls_failed',
  ],
  ['garbage for an answer', { errorCode: 'HPE_INVALID_CONSTANT' }, 'failed_after_send', 'response_malformed'],
  ['no descriptors left', { errorCode: 'EMFILE', requestSent: false }, 'local', 'no_descriptors'],
  ['a lane thread that died', { errorCode: WORKER_CRASH_CODE }, 'local', 'worker_crash'],
  [
    'a header that undici refuses',
    { errorCode: 'UND_ERR_INVALID_ARG', requestSent: false },
    'blocked',
    'request_blocked',
  ],
  ['our own shutdown', { errorCode: 'UND_ERR_DESTROYED' }, 'local', 'shutdown'],
  ['what nobody has heard of', { errorCode: 'EWHATEVER' }, 'failed_after_send', 'failed'],
  ['a 2xx whose body broke off', { status: 200, errorCode: 'ECONNRESET' }, 'delivered', 'http_200'],
  ['a 2xx the deadline cut', { status: 204, errorCode: DEADLINE_CODE }, 'delivered', 'http_204'],
])('%s', (_what, change, expectedClass, reason) => {
  expect(classify(end(change))).toEqual({ class: expectedClass, reason });
});

describe('what follows', () => {
  test('what the receiver refused, and what may not be sent, is not tried again', () => {
    expect(ATTEMPT_CLASSES.filter((of) => !CLASS_RULES[of].retried)).toEqual([
      'delivered',
      'rejected',
      'blocked',
    ]);
  });

  test('only a shortage of our own is not charged', () => {
    expect(ATTEMPT_CLASSES.filter((of) => !CLASS_RULES[of].charged)).toEqual(['local']);
  });

  test('whoever answers on purpose does not open the breaker, and only an answer closes it', () => {
    const seenAs = Object.fromEntries(ATTEMPT_CLASSES.map((of) => [of, CLASS_RULES[of].breaker]));
    expect(seenAs).toEqual({
      delivered: 'success',
      rejected: 'success',
      throttled: 'ignored',
      failed_before_send: 'failure',
      failed_after_send: 'failure',
      blocked: 'ignored',
      local: 'ignored',
    });
  });

  test('ambiguous is what may have arrived although no 2xx came back', () => {
    expect(ATTEMPT_CLASSES.filter((of) => isAmbiguous(of, true))).toEqual(['failed_after_send', 'local']);
    expect(ATTEMPT_CLASSES.filter((of) => isAmbiguous(of, false))).toEqual(['failed_after_send']);
  });

  test('no way an attempt ends is ambiguous before a byte went out', () => {
    fc.assert(
      fc.property(attemptEnd, (of) => {
        if (of.requestSent || of.status !== 0) return;
        expect(isAmbiguous(classify(of).class, of.requestSent)).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });
});
