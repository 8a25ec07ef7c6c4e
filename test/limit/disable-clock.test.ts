/**
 * Proves that a destination is disabled after the configured time of nothing but
 * failures, never before, never unwarned, and that one success starts the time over.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DisableClock } from '../../src/limit/disable-clock.ts';
import type { DisableNotice } from '../../src/limit/disable-clock.ts';
import { variantOf } from '../domain/planted-bug.ts';

type ClockClass = typeof DisableClock;

const steps = fc.array(
  fc.record({
    ms: fc.nat(400),
    kind: fc.oneof(
      { weight: 12, arbitrary: fc.constant('failure' as const) },
      { weight: 1, arbitrary: fc.constant('success' as const) },
    ),
  }),
  { maxLength: 60, size: 'max' },
);

const honest = (Tested: ClockClass): fc.IRawProperty<unknown, false> =>
  fc.property(fc.integer({ min: 1, max: 2_000 }), steps, (disableAfterMs, schedule) => {
    const clock = new Tested(disableAfterMs);
    let nowMs = 5_000;
    let failingSinceMs: number | null = null;
    let given: DisableNotice[] = [];
    for (const { ms, kind } of schedule) {
      nowMs += ms;
      if (kind === 'success') {
        clock.onSuccess();
        if (given.length < 4) {
          given = [];
          failingSinceMs = null;
        }
      } else {
        failingSinceMs ??= nowMs;
        const percent = (100 * (nowMs - failingSinceMs)) / disableAfterMs;
        const next = ([50, 70, 90, 100] as const)[given.length];
        const expected = next !== undefined && percent >= next ? next : null;
        const notice = clock.onFailure(nowMs);
        if (notice !== expected) throw new Error(`${notice}, not ${expected}`);
        if (expected !== null) given.push(expected);
      }
      if (clock.isDisabled !== (given.length === 4)) throw new Error(`disabled: ${clock.isDisabled}`);
      if (clock.isPristine !== (failingSinceMs === null)) throw new Error(`pristine: ${clock.isPristine}`);
    }
  });

describe('each notice once, in order, at its time', () => {
  test('over any outcomes', () => {
    fc.assert(honest(DisableClock), { numRuns: 200 });
  });

  test.each([
    ['a success changes nothing', 'if (!this.isDisabled) this.#set(NaN, 0);', ''],
    ['a success enables again', 'if (!this.isDisabled) this.#set(NaN, 0);', 'this.#set(NaN, 0);'],
    [
      'the time counts from the last failure',
      'if (Number.isNaN(this.#failingSinceMs)) this.#set',
      'this.#set',
    ],
    [
      'a notice is given again',
      'this.#failingSinceMs, this.#noticesGiven + 1',
      'this.#failingSinceMs, this.#noticesGiven',
    ],
    ['a warning comes early', '[50, 70, 90, 100]', '[50, 70, 80, 100]'],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    const { DisableClock: Buggy } = await variantOf<{ DisableClock: ClockClass }>('limit/disable-clock.ts', [
      from,
      to,
    ]);
    expect(fc.check(honest(Buggy), { seed: 1, numRuns: 200 }).failed).toBe(true);
  });
});

test('a destination that is rarely sent to is warned before it is disabled', () => {
  const clock = new DisableClock(1_000);
  clock.onFailure(0);
  expect([1e6, 2e6, 3e6, 4e6, 5e6].map((nowMs) => clock.onFailure(nowMs))).toEqual([50, 70, 90, 100, null]);
});

test('410 disables at once, and is news once', () => {
  const clock = new DisableClock(null);
  expect(clock.disable()).toBe(true);
  expect(clock.disable()).toBe(false);
  clock.onSuccess();
  expect(clock.isDisabled).toBe(true);
  expect(clock.onFailure(1e12)).toBeNull();
});

test('without a time no failure disables', () => {
  const clock = new DisableClock(null);
  expect([0, 1e9, 1e15].map((nowMs) => clock.onFailure(nowMs))).toEqual([null, null, null]);
});
