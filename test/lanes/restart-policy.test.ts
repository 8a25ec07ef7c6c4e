/**
 * Proves that a record which kills threads is found out at its second kill and no
 * innocent one at its first, that a lane whose deaths nobody explains is given up
 * rather than restarted for ever, and that restarts leave the processor alone.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RestartPolicy, type Suspect } from '../../src/lanes/restart-policy.ts';
import { StallWatch } from '../../src/lanes/stall-watch.ts';
import { variantOf } from '../domain/planted-bug.ts';

type PolicyClass = typeof RestartPolicy;

interface Death {
  readonly afterMs: number;
  readonly suspect: Suspect | null;
}

const suspect: fc.Arbitrary<Suspect> = fc.record({
  assignment: fc.integer({ min: 1, max: 2 }),
  sequence: fc.nat(2),
});
/** Histories in which half of the deaths have no suspect, and ones that go on for long because hardly any has none. */
const history: fc.Arbitrary<Death[]> = fc
  .constantFrom({ suspects: 1, maxMs: 20_000 }, { suspects: 30, maxMs: 20_000 }, { suspects: 30, maxMs: 500 })
  .chain(({ suspects, maxMs }) =>
    fc.array(
      fc.record({
        afterMs: fc.integer({ min: 1, max: maxMs }),
        suspect: fc.option(suspect, { freq: suspects }),
      }),
      { minLength: 8, maxLength: 40 },
    ),
  );

/** What the policy must answer, told from the whole history. */
function play(Policy: PolicyClass, deaths: readonly Death[]): void {
  const policy = new Policy();
  const kills = new Map<string, number>();
  const allMs: number[] = [];
  const unexplainedMs: number[] = [];
  let nowMs = 0;
  for (const { afterMs, suspect: found } of deaths) {
    nowMs += afterMs;
    const recent = (times: readonly number[]): number => times.filter((ms) => nowMs - ms < 60_000).length;
    const verdict = policy.died(nowMs, found);
    if (found === null) unexplainedMs.push(nowMs);
    if (found === null && recent(unexplainedMs) >= 5) {
      expect(verdict).toEqual({ action: 'give_up' });
      return;
    }
    const key = `${found?.assignment}/${found?.sequence}`;
    const count = found === null ? 0 : (kills.get(key) ?? 0) + 1;
    kills.set(key, count % 2);
    const before = recent(allMs);
    allMs.push(nowMs);
    expect(verdict).toEqual({
      action: 'restart',
      delayMs: before === 0 ? 0 : Math.min(5_000, 100 * 2 ** (before - 1)),
      poison: count === 2 ? found : null,
    });
  }
}

function checkProperty(Policy: PolicyClass): void {
  fc.assert(
    fc.property(history, (deaths) => {
      play(Policy, deaths);
    }),
    { numRuns: 500 },
  );
}

describe('restart policy', () => {
  test('poison at the second kill, give-up at the fifth unexplained death within a minute, doubling rests', () => {
    checkProperty(RestartPolicy);
  });

  test.each([
    ['a first kill that condemns', 'const POISON_DEATHS = 2;', 'const POISON_DEATHS = 1;'],
    ['records of two assignments taken for one', 'one.assignment === assignment && ', ''],
    ['a sixth chance', '>= MAX_UNEXPLAINED', '> MAX_UNEXPLAINED'],
    ['deaths that are never forgotten', 'this.#unexplainedMs = this.#unexplainedMs.filter(isRecent);', ''],
    [
      'rests without a bound',
      'Math.min(FIRST_DELAY_MS * 2 ** (recentDeaths - 1), MAX_DELAY_MS)',
      'FIRST_DELAY_MS * 2 ** (recentDeaths - 1)',
    ],
  ])('the property catches %s', async (_what, from, to) => {
    const { RestartPolicy: Broken } = await variantOf<{ RestartPolicy: PolicyClass }>(
      'lanes/restart-policy.ts',
      [from, to],
    );
    expect(() => {
      checkProperty(Broken);
    }).toThrow();
  });

  test('many records that kill are all found out: each of them is progress, so the lane is not given up', () => {
    const policy = new RestartPolicy();
    const poison = Array.from({ length: 200 }, (_, i) => {
      const one = { assignment: 1, sequence: i >> 1 };
      const verdict = policy.died(i * 10, one);
      return verdict.action === 'restart' && verdict.poison !== null ? verdict.poison.sequence : null;
    });
    expect(poison.filter((sequence) => sequence !== null)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});

describe('stall watch', () => {
  test('a heartbeat that stands still for as many looks is a stall, and any beat begins the count anew', () => {
    const watch = new StallWatch(3);
    const looks = [1, 1, 1, 2, 2, 2, 2].map((beat) => watch.look(beat));
    expect(looks).toEqual([false, false, false, false, false, false, true]);
  });

  test('a new thread starts with a clean count, even where its first beat is the last one of the old', () => {
    const watch = new StallWatch(2);
    watch.look(5);
    watch.look(5);
    watch.reset();
    expect([watch.look(5), watch.look(5), watch.look(5)]).toEqual([false, false, true]);
  });
});
