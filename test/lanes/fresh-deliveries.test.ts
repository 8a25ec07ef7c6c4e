/** Proves that of what waits just what came lately counts as fresh: all of the last 40 ms, nothing older than twice that. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FreshDeliveries } from '../../src/lanes/fresh-deliveries.ts';
import { variantOf } from '../domain/planted-bug.ts';

const TICK_MS = 20;
const FRESH_MS = 40;

const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('enter' as const), heldBackMs: fc.constantFrom(0, 0, 0, 5, 30, 300) }),
    fc.record({ kind: fc.constant('leave' as const), which: fc.nat() }),
    fc.constant({ kind: 'tick' as const }),
  ),
  { maxLength: 60 },
);

const countsWhatCameLately = (Tested: typeof FreshDeliveries): fc.IProperty<[steps: Step[]]> =>
  fc.property(steps, (taken) => {
    const fresh = new Tested();
    let nowMs = 1_000;
    fresh.tick(nowMs - FRESH_MS);
    fresh.tick(nowMs);
    let left = 0;
    const waiting: number[] = [];
    for (const step of taken) {
      if (step.kind === 'tick') {
        nowMs += TICK_MS;
        fresh.tick(nowMs);
        expect(fresh.leftLately).toBe(left);
        left = 0;
      } else if (step.kind === 'enter') {
        // One that waited behind another of its key was queued a while ago.
        waiting.push(nowMs - step.heldBackMs);
        fresh.enter(nowMs - step.heldBackMs);
      } else if (waiting.length > 0) {
        const [queuedAtMs] = waiting.splice(step.which % waiting.length, 1);
        fresh.leave(queuedAtMs as number);
        left++;
      }
      const youngerThan = (ms: number): number =>
        waiting.filter((queuedAtMs) => nowMs - queuedAtMs < ms).length;
      expect(fresh.count).toBeGreaterThanOrEqual(youngerThan(FRESH_MS));
      expect(fresh.count).toBeLessThanOrEqual(youngerThan(2 * FRESH_MS + 1));
    }
  });

type Step = typeof steps extends fc.Arbitrary<readonly (infer S)[]> ? S : never;

test('what came lately counts, and nothing else', () => {
  fc.assert(countsWhatCameLately(FreshDeliveries));
});

describe('a planted bug is caught', () => {
  test.each([
    ['what waits is fresh for ever', 'this.#older = this.#young;', 'this.#older += this.#young;'],
    ['nothing is fresh after a tick', 'this.#older = this.#young;', 'this.#older = 0;'],
    ['what has left counts still', 'this.#add(queuedAtMs, -1);', 'this.#add(queuedAtMs, 0 as -1);'],
    ['it is forgotten too soon', 'const FRESH_MS = 40;', 'const FRESH_MS = 10;'],
    ['it is kept too long', 'const FRESH_MS = 40;', 'const FRESH_MS = 100;'],
    [
      'one that was queued a while ago leaves what it did not enter',
      'else if (queuedAtMs >= this.#olderSinceMs) this.#older += change;',
      'else if (queuedAtMs >= this.#olderSinceMs || change < 0) this.#older += change;',
    ],
  ])('%s', async (_what, from, to) => {
    const buggy = await variantOf<{ FreshDeliveries: typeof FreshDeliveries }>('lanes/fresh-deliveries.ts', [
      from,
      to,
    ]);
    expect(fc.check(countsWhatCameLately(buggy.FreshDeliveries), { numRuns: 1_000 }).failed).toBe(true);
  });
});
