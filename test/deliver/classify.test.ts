/**
 * Proves that every end of an attempt has exactly one class of the known ones and
 * a reason of a closed vocabulary, and that only what may go better is tried again.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ATTEMPT_CLASSES,
  BLOCKED_CODE,
  classify,
  DEADLINE_CODE,
  outcomeOf,
  type AttemptClass,
  type AttemptEnd,
} from '../../src/deliver/classify.ts';
import { OUTCOMES } from '../../src/domain/outcome.ts';
import { variantOf } from '../domain/planted-bug.ts';

type Classify = typeof classify;

function end(change: Partial<AttemptEnd>): AttemptEnd {
  return { status: 0, hasRetryAfter: false, errorCode: '', requestSent: true, ...change };
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
  status: fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 599 })),
  hasRetryAfter: fc.boolean(),
  errorCode: fc.oneof(
    fc.string(),
    fc.constantFrom(
      '',
      DEADLINE_CODE,
      BLOCKED_CODE,
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
      'end.status !== 0',
      "end.status !== 0 && end.errorCode === ''",
    ],
    ['a redirect passes for a delivery', 'status <= 299', 'status <= 399'],
    [
      'whether it was sent does not matter',
      "end.requestSent ? 'failed_after_send' : 'failed_before_send'",
      "'failed_after_send'",
    ],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { classify: buggy } = await variantOf<{ classify: Classify }>('deliver/classify.ts', [from, to]);
    expect(fc.check(totality(buggy), { numRuns: 3_000 }).failed).toBe(true);
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
  ['our own shutdown', { errorCode: 'UND_ERR_DESTROYED' }, 'local', 'shutdown'],
  ['what nobody has heard of', { errorCode: 'EWHATEVER' }, 'failed_after_send', 'failed'],
  ['a 2xx whose body broke off', { status: 200, errorCode: 'ECONNRESET' }, 'delivered', 'http_200'],
  ['a 2xx the deadline cut', { status: 204, errorCode: DEADLINE_CODE }, 'delivered', 'http_204'],
])('%s', (_what, change, expectedClass, reason) => {
  expect(classify(end(change))).toEqual({ class: expectedClass, reason });
});

describe('what follows', () => {
  const retried: readonly AttemptClass[] = ['throttled', 'failed_before_send', 'failed_after_send', 'local'];

  test.each(ATTEMPT_CLASSES)('%s', (of) => {
    const [withAttemptsLeft, withNone] = [outcomeOf(of, true), outcomeOf(of, false)];
    expect(OUTCOMES).toContain(withAttemptsLeft);
    expect(withAttemptsLeft === 'retrying').toBe(retried.includes(of));
    expect(withNone).not.toBe('retrying');
    if (of === 'delivered' || of === 'rejected') expect([withAttemptsLeft, withNone]).toEqual([of, of]);
    else expect(withNone).toBe('dead');
  });

  test('a blocked address is not tried again', () => {
    expect(outcomeOf('blocked', true)).toBe('dead');
  });
});
