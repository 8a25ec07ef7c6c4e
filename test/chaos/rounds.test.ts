/** Proves that no kill is forgotten in a run of many rounds, and that one bad round is not drowned by good ones. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Finding } from '../../src/verify/finding.ts';
import type { Verdict } from '../../src/verify/verify.ts';
import { roundsOf, together } from './rounds.ts';

test('rounds have all the kills, none more than 25, and a seed each', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2_000 }), fc.nat(), (kills, seed) => {
      const rounds = roundsOf(kills, seed);
      const ofEach = rounds.map((round) => round.kills);
      expect(ofEach.reduce((sum, count) => sum + count, 0)).toBe(kills);
      expect(Math.max(...ofEach)).toBeLessThanOrEqual(25);
      expect(Math.max(...ofEach) - Math.min(...ofEach)).toBeLessThanOrEqual(1);
      expect(rounds.map((round) => round.seed)).toEqual(rounds.map((_, index) => seed + index));
    }),
  );
});

test('what fits in one round is the run of that seed', () => {
  expect(roundsOf(20, 41)).toEqual([{ kills: 20, seed: 41 }]);
});

test('cases, violations, coverage and tolls of all rounds are counted', () => {
  const verdict = together([verdictOf('held', 3, 0), verdictOf('held', 4, 0)]);
  expect(verdict.state).toBe('held');
  expect(verdict.findings.map(({ seen, violations }) => [seen, violations])).toEqual([[7, 0]]);
  expect(verdict.coverage.duplicates).toBe(2);
  expect(verdict.tolls).toHaveLength(2);
});

test('the worst round says what all are, and what it found is shown', () => {
  const rounds = [verdictOf('held', 3, 0), verdictOf('violated', 2, 7), verdictOf('invalid', 1, 0)];
  const verdict = together(rounds);
  expect(verdict.state).toBe('violated');
  expect(verdict.findings[0]?.state).toBe('violated');
  expect(verdict.findings[0]?.violations).toBe(7);
  expect(verdict.findings[0]?.examples).toHaveLength(5);
  expect(together([verdictOf('held', 1, 0), verdictOf('invalid', 1, 0)]).state).toBe('invalid');
});

test('no rounds have no verdict', () => {
  expect(() => together([])).toThrow(RangeError);
});

function verdictOf(state: Verdict['state'], holding: number, violations: number): Verdict {
  const finding = new Finding('I1');
  for (let index = 0; index < holding; index++) finding.judge(true, () => '');
  for (let index = 0; index < violations; index++) finding.judge(false, () => `example ${index}`);
  const coverage = {
    ...{ crashesInFlight: 1, rebalances: 1, duplicates: 1 },
    ...{ deadLetters: 1, openBreakers: 1, killPoints: 1 },
  };
  const fault = { what: 'kill', process: 'p1', fromMs: 1, toMs: 2 } as const;
  return { findings: [finding], state, coverage, tolls: [{ fault, duplicates: 1 }] };
}
