/**
 * Proves that a delivery that goes from delay topic to delay topic comes out never
 * before it is due and at most 1 s or 10 % after it, in a bounded number of hops,
 * and that no two delays share a topic.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { delayTopicName } from '../../src/domain/delay-topic.ts';
import { delayFor, isHopNeeded } from '../../src/retry/delay-choice.ts';
import { variantOf } from '../domain/planted-bug.ts';

interface Choice {
  readonly delayFor: typeof delayFor;
  readonly isHopNeeded: typeof isHopNeeded;
}
const choice: Choice = { delayFor, isHopNeeded };

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const DEFAULT_DELAYS = [SECOND, 5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, HOUR, 6 * HOUR, DAY];
const MAX_HOPS = 1_000;

interface Released {
  readonly atMs: number;
  readonly hops: number;
}

/** Topics that release a record at append + delay; taking it from one and producing it to the next takes `turnMs`. */
function travel(tested: Choice, delaysMs: readonly number[], dueMs: number, turnMs: number): Released {
  let nowMs = turnMs;
  let hops = 0;
  do {
    nowMs += delaysMs[tested.delayFor(delaysMs, dueMs - nowMs)]! + turnMs;
    hops++;
  } while (tested.isHopNeeded(dueMs, nowMs) && hops < MAX_HOPS);
  return { atMs: nowMs, hops };
}

/** At most as many of each delay as fit the next one, and of the largest as fit the wait. */
function mostHops(delaysMs: readonly number[], waitMs: number): number {
  const ceilings = [...delaysMs.slice(1), waitMs];
  return delaysMs.reduce((sum, delayMs, i) => sum + Math.ceil(ceilings[i]! / delayMs) + 1, 1);
}

const wait = fc.oneof(
  fc.nat(10 * SECOND),
  fc.nat(10 * MINUTE),
  fc.nat(10 * DAY),
  fc
    .tuple(fc.constantFrom(...DEFAULT_DELAYS), fc.integer({ min: -600, max: 600 }))
    .map(([of, by]) => of + by),
);
/** How long a record lies between being ready and being appended again, well below the second it may be late. */
const turn = fc.oneof(fc.constant(0), fc.nat(50));
/** The smallest delay and the ratios of the others; a ratio of n may cost n hops. */
const delays = fc
  .tuple(fc.integer({ min: 10, max: 5_000 }), fc.array(fc.integer({ min: 2, max: 40 }), { maxLength: 6 }))
  .map(([smallestMs, ratios]) =>
    ratios.reduce((list, ratio) => [...list, list.at(-1)! * ratio - (ratio % 3)], [smallestMs]),
  );

function dueTimesHold(tested: Choice): fc.IProperty<[number, number]> {
  return fc.property(wait, turn, (dueMs, turnMs) => {
    const { atMs, hops } = travel(tested, DEFAULT_DELAYS, dueMs, turnMs);
    expect(atMs).toBeGreaterThanOrEqual(dueMs);
    expect(atMs).toBeLessThanOrEqual(dueMs + Math.max(SECOND, 0.1 * dueMs) + 2 * turnMs);
    expect(hops).toBeLessThanOrEqual(mostHops(DEFAULT_DELAYS, dueMs));
  });
}

function anyDelays(tested: Choice): fc.IProperty<[readonly number[], number]> {
  return fc.property(delays, fc.nat(30 * DAY), (delaysMs, waitMs) => {
    // The largest delay bounds the hops, so the wait is some hundreds of it at most.
    const dueMs = Math.min(waitMs, 300 * delaysMs.at(-1)!);
    const { atMs, hops } = travel(tested, delaysMs, dueMs, 0);
    expect(atMs).toBeGreaterThanOrEqual(dueMs);
    expect(atMs).toBeLessThanOrEqual(dueMs + Math.max(delaysMs[0]!, 500, 0.1 * dueMs));
    expect(hops).toBeLessThanOrEqual(mostHops(delaysMs, dueMs));
  });
}

test('due times hold within 1 s or 10 %, by hops alone', () => {
  fc.assert(dueTimesHold(choice), { numRuns: 5_000 });
});

test('with any delays: never early, late by less than the smallest or 10 %, after a bounded number of hops', () => {
  fc.assert(anyDelays(choice), { numRuns: 2_000 });
});

describe('a planted bug is caught', () => {
  test.each([
    ['released a second early', 'dueMs > nowMs', 'dueMs - nowMs > 1_000', dueTimesHold],
    ['hops for ever', 'dueMs > nowMs', 'true', dueTimesHold],
    [
      'rounds up without a bound',
      'delayMs - remainingMs <= overshootMs',
      'i === 1 || delayMs <= remainingMs',
      dueTimesHold,
    ],
    ['rounds up by half', 'MAX_OVERSHOOT_SHARE = 0.05', 'MAX_OVERSHOOT_SHARE = 0.5', dueTimesHold],
    ['always the smallest', 'let i = delaysMs.length - 1', 'let i = 0', dueTimesHold],
    ['always the largest', 'return 0', 'return delaysMs.length - 1', dueTimesHold],
    ['passes over the largest', 'let i = delaysMs.length - 1', 'let i = delaysMs.length - 2', anyDelays],
  ])('%s', async (_what, from, to, property) => {
    const buggy = await variantOf<Choice>('retry/delay-choice.ts', [from, to]);
    expect(
      fc.check<unknown>(property(buggy) as fc.IProperty<unknown>, { seed: 1, numRuns: 5_000 }).failed,
    ).toBe(true);
  });
});

describe('for example', () => {
  test.each([
    [0, '1s'],
    [999, '1s'],
    [4_499, '1s'],
    [4_990, '5s'],
    [5_000, '5s'],
    [29_990, '30s'],
    [59_000, '30s'],
    [3_500_000, '1h'],
    [3 * DAY, '1d'],
  ])('%d ms to wait: %s', (remainingMs, name) => {
    const delayMs = DEFAULT_DELAYS[delayFor(DEFAULT_DELAYS, remainingMs)]!;
    expect(delayTopicName('eventdispatch.retry', delayMs)).toBe(`eventdispatch.retry.${name}`);
  });

  test('a scheduled 30 s whose hand-over took 10 ms is one wait, not ten', () => {
    expect(travel(choice, DEFAULT_DELAYS, 30 * SECOND, 10)).toEqual({ atMs: 30 * SECOND + 20, hops: 1 });
  });

  test('one delay alone serves any wait', () => {
    expect(travel(choice, [SECOND], 10 * SECOND, 0)).toEqual({ atMs: 10 * SECOND, hops: 10 });
  });
});
