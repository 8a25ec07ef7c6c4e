/**
 * Proves that no retry comes before the policy's promised wait nor before a
 * Retry-After up to its cap, that no delivery is tried more often or for longer
 * than its policy allows, and that a shortage of our own uses nothing up.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ATTEMPT_CLASSES, CLASS_RULES } from '../../src/deliver/classify.ts';
import { PRIORITIES } from '../../src/domain/destination.ts';
import { nextAttempt, type AttemptPolicy, type FailedAttempt } from '../../src/retry/retry-policy.ts';
import { variantOf } from '../domain/planted-bug.ts';

type NextAttemptOf = typeof nextAttempt;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

const most = fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 10_000 }));
const policyOf = fc.record<AttemptPolicy>({
  maxAttempts: fc.record({ high: most, normal: most, low: most }),
  initialDelayMs: fc.oneof(fc.nat(60_000), fc.constant(0)),
  maxDelayMs: fc.nat(DAY_MS),
  scheduleMs: fc.option(fc.array(fc.nat(DAY_MS), { minLength: 1, maxLength: 6 })),
  maxAgeMs: fc.option(fc.nat(7 * DAY_MS)),
  maxRetryAfterMs: fc.nat(2 * HOUR_MS),
});

const nowMs = 1_800_000_000_000;
const failedOf = fc.record<FailedAttempt>({
  attempts: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.nat(5_000)),
  priority: fc.constantFrom(...PRIORITIES),
  firstSeenMs: fc.nat(8 * DAY_MS).map((agoMs) => nowMs - agoMs),
  nowMs: fc.constantFrom(nowMs, nowMs + 0.25),
  attemptClass: fc.constantFrom(...ATTEMPT_CLASSES.filter((of) => CLASS_RULES[of].retried)),
  retryAfterMs: fc.option(fc.oneof(fc.nat(3 * HOUR_MS), fc.constant(Number.MAX_SAFE_INTEGER))),
});
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** The naive form of the rule: double, one failed attempt after the other; of a schedule take one entry after the other. */
function promisedMs(policy: AttemptPolicy, attempts: number): number {
  if (policy.scheduleMs !== null) {
    let entry = 0;
    for (let i = 1; i < attempts && entry < policy.scheduleMs.length - 1; i++) entry++;
    return policy.scheduleMs[entry]!;
  }
  let waitMs = policy.initialDelayMs;
  for (let i = 1; i < attempts && waitMs > 0 && waitMs < policy.maxDelayMs; i++) waitMs *= 2;
  return Math.min(waitMs, policy.maxDelayMs);
}

function rule(tested: NextAttemptOf): fc.IProperty<[AttemptPolicy, FailedAttempt, number]> {
  return fc.property(policyOf, failedOf, chance, (policy, failed, random) => {
    const next = tested(policy, failed, () => random);
    const isLocal = failed.attemptClass === 'local';
    const isUsedUp = !isLocal && failed.attempts >= policy.maxAttempts[failed.priority];
    if (isUsedUp) {
      expect(next).toEqual({ kind: 'give_up', reason: 'attempts_used_up' });
      return;
    }
    const waitMs = isLocal ? 1_000 : promisedMs(policy, failed.attempts);
    const askedMs = Math.min(failed.retryAfterMs ?? 0, policy.maxRetryAfterMs);
    const earliestMs = failed.nowMs + Math.max(waitMs, askedMs);
    const mayJitter = isLocal || policy.scheduleMs === null;
    const latestMs = failed.nowMs + Math.max(mayJitter ? waitMs * 1.25 : waitMs, askedMs);
    const oldestMs = policy.maxAgeMs === null ? Infinity : failed.firstSeenMs + policy.maxAgeMs;
    if (next.kind === 'give_up') {
      expect(next.reason).toBe('too_old');
      expect(Math.ceil(latestMs)).toBeGreaterThan(oldestMs);
      return;
    }
    expect(Number.isSafeInteger(next.dueAtMs)).toBe(true);
    expect(next.dueAtMs).toBeGreaterThanOrEqual(earliestMs);
    expect(next.dueAtMs).toBeLessThan(latestMs + 1);
    expect(next.dueAtMs).toBeLessThanOrEqual(oldestMs);
  });
}

test('never below the promised wait or a capped Retry-After, never beyond attempts and age', () => {
  fc.assert(rule(nextAttempt), { numRuns: 5_000 });
});

describe('a planted bug is caught', () => {
  test.each([
    ['jitter that shortens', '(1 + JITTER_SHARE * random())', '(1 - JITTER_SHARE * random())'],
    ['a due time rounded down', 'Math.ceil(failed.nowMs', 'Math.floor(failed.nowMs'],
    ['no cap on the wait', 'Math.min(exponentialMs, policy.maxDelayMs)', 'exponentialMs'],
    ['a power that is not finite', 'Math.min(failures - 1, MOST_DOUBLINGS)', '(failures - 1)'],
    ['counts from 0', 'Math.min(failures - 1, MOST_DOUBLINGS)', 'Math.min(failures, MOST_DOUBLINGS)'],
    ['a schedule that starts with its second entry', 'scheduleMs.length) - 1]', 'scheduleMs.length - 1)]'],
    ['a schedule that ends', 'Math.min(failures, scheduleMs.length) - 1', 'failures - 1'],
    [
      'Retry-After without its cap',
      'Math.min(failed.retryAfterMs ?? 0, policy.maxRetryAfterMs)',
      '(failed.retryAfterMs ?? 0)',
    ],
    ['Retry-After not honoured', 'Math.max(delayMs, askedMs)', 'delayMs'],
    [
      'Retry-After in place of the wait',
      'Math.max(delayMs, askedMs)',
      '(failed.retryAfterMs === null ? delayMs : askedMs)',
    ],
    ['one attempt too many', 'failed.attempts >= policy', 'failed.attempts > policy'],
    ['a priority of its own', 'maxAttempts[failed.priority]', 'maxAttempts.normal'],
    ['our own shortage uses an attempt up', 'failed.attemptClass !== UNCHARGED_CLASS', 'true'],
    [
      'age as of now, not as of the due time',
      'dueAtMs > failed.firstSeenMs',
      'failed.nowMs > failed.firstSeenMs',
    ],
    ['no end by age', 'policy.maxAgeMs !== null &&', 'false &&'],
  ])('%s', async (_what, from, to) => {
    const { nextAttempt: buggy } = await variantOf<{ nextAttempt: NextAttemptOf }>('retry/retry-policy.ts', [
      from,
      to,
    ]);
    expect(fc.check(rule(buggy), { seed: 1, numRuns: 5_000 }).failed).toBe(true);
  });
});

describe('for example', () => {
  const policy: AttemptPolicy = {
    maxAttempts: { high: 5, normal: 3, low: 2 },
    initialDelayMs: 30_000,
    maxDelayMs: HOUR_MS,
    scheduleMs: null,
    maxAgeMs: null,
    maxRetryAfterMs: HOUR_MS,
  };
  const failed: FailedAttempt = {
    attempts: 1,
    priority: 'high',
    firstSeenMs: nowMs,
    nowMs,
    attemptClass: 'failed_after_send',
    retryAfterMs: null,
  };
  const waitMs = (ofPolicy: Partial<AttemptPolicy>, of: Partial<FailedAttempt>): number | string => {
    const next = nextAttempt({ ...policy, ...ofPolicy }, { ...failed, ...of }, () => 0);
    return next.kind === 'retry' ? next.dueAtMs - nowMs : next.reason;
  };

  test.each<[string, Partial<AttemptPolicy>, Partial<FailedAttempt>, number | string]>([
    ['the first wait', {}, {}, 30_000],
    ['the fourth', {}, { attempts: 4 }, 240_000],
    ['low priority ends after two', {}, { attempts: 2, priority: 'low' }, 'attempts_used_up'],
    ['a schedule', { scheduleMs: [1_000, 5_000] }, { attempts: 2 }, 5_000],
    ['a schedule’s last entry repeats', { scheduleMs: [1_000, 5_000] }, { attempts: 4 }, 5_000],
    ['an empty schedule is none', { scheduleMs: [] }, {}, 30_000],
    ['Retry-After: 120', {}, { attemptClass: 'throttled', retryAfterMs: 120_000 }, 120_000],
    ['a shorter Retry-After', {}, { attemptClass: 'throttled', retryAfterMs: 1_000 }, 30_000],
    ['Retry-After: 1e9 seconds', {}, { attemptClass: 'throttled', retryAfterMs: 1e12 }, HOUR_MS],
    ['due exactly at the greatest age', { maxAgeMs: 30_000 }, {}, 30_000],
    ['due a millisecond beyond it', { maxAgeMs: 29_999 }, {}, 'too_old'],
    ['descriptors ran out before any attempt counted', {}, { attempts: 0, attemptClass: 'local' }, 1_000],
    ['descriptors ran out again and again', {}, { attempts: 99, attemptClass: 'local' }, 1_000],
  ])('%s', (_what, ofPolicy, of, expected) => {
    expect(waitMs(ofPolicy, of)).toBe(expected);
  });

  test('the one class it does not charge is the one the classifier does not', () => {
    const uncharged = ATTEMPT_CLASSES.filter(
      (attemptClass) => waitMs({}, { attempts: 99, attemptClass }) !== 'attempts_used_up',
    );
    expect(uncharged).toEqual(ATTEMPT_CLASSES.filter((of) => !CLASS_RULES[of].charged));
  });
});
