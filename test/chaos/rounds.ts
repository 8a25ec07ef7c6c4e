import { Finding } from '../../src/verify/finding.ts';
import type { CoverageName } from '../../src/verify/history.ts';
import type { Verdict } from '../../src/verify/verify.ts';

/** A run with a system of its own: what it wrote down is judged, and forgotten, before the next begins. */
export interface Round {
  readonly kills: number;
  readonly seed: number;
}

/** What a checker can hold in memory, and what somebody who looks into a violation can read. */
const MOST_KILLS = 25;

/** All the kills, spread evenly; each round has the next seed, so that it can be had again alone. */
export function roundsOf(kills: number, seed: number): readonly Round[] {
  const count = Math.max(1, Math.ceil(kills / MOST_KILLS));
  return Array.from({ length: count }, (_, index) => ({
    kills: Math.floor(((index + 1) * kills) / count) - Math.floor((index * kills) / count),
    seed: seed + index,
  }));
}

/** One verdict over all rounds: it holds where each of them holds. @throws RangeError without any. */
export function together(verdicts: readonly Verdict[]): Verdict {
  const [first, ...others] = verdicts;
  if (first === undefined) throw new RangeError('no round was judged');
  return others.reduce(both, first);
}

const STATES = ['held', 'invalid', 'violated'] as const;

function both(one: Verdict, other: Verdict): Verdict {
  const worst = Math.max(STATES.indexOf(one.state), STATES.indexOf(other.state));
  return {
    findings: one.findings.map((finding, index) => Finding.sum(finding, other.findings[index] ?? finding)),
    state: STATES[worst] ?? 'violated',
    coverage: summed(one.coverage, other.coverage),
    tolls: [...one.tolls, ...other.tolls],
  };
}

function summed(one: Verdict['coverage'], other: Verdict['coverage']): Verdict['coverage'] {
  const names = Object.keys(one) as CoverageName[];
  const entries = names.map((name) => [name, one[name] + other[name]] as const);
  return Object.fromEntries(entries) as Record<CoverageName, number>;
}
