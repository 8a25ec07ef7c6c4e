/**
 * Proves the promises of GUARANTEES.md on the real settle, commit, retry and recovery code, over
 * seeds of faults that no real broker or ledger has on command: nothing is lost, no commit goes
 * back or ahead of what is durable, every duplicate falls in a named window, the ledger
 * has each row once. Time is virtual, so a seed that fails fails again:
 *
 *     SIMULATION_FIRST=<seed> SIMULATION_SEEDS=1 npx vitest run --project unit test/simulation
 */
import { expect, test, vi } from 'vitest';
import { WINDOWS } from './judge.ts';
import { PLANTED } from './planted.ts';
import { REAL_PARTS, simulate } from './simulate.ts';

// So that some partitions reach the bound of their window; it makes a run cheaper, too.
vi.mock(import('../../src/domain/limits.ts'), async (original) => {
  const { limits, assertLimits } = await original();
  return {
    limits: { ...limits, partitionWindowRecords: 8 as 16_384, uncommittedRecords: 12 as 65_536 },
    assertLimits,
  };
});

const FIRST_SEED = Number(process.env['SIMULATION_FIRST'] ?? 1);
const SEEDS = Number(process.env['SIMULATION_SEEDS'] ?? 2_000);
/** On a machine that does much else. */
const TIMEOUT_MS = 600_000;

/** What must have happened over all seeds, or they prove nothing. */
const COVERED = [
  ...WINDOWS,
  ...['crash', 'crashes', 'stops', 'leaves', 'outages', 'evictions', 'rebalances'],
  ...['deadLetters', 'retries', 'hops', 'breakerOpen', 'skipped', 'duplicates', 'diverted'],
  ...[
    'commitRefused',
    'commitAnswerLost',
    'insertAnswerLost',
    'insertComesLate',
    'produceRefused',
    'queryFails',
  ],
];

test(`over ${SEEDS} seeds of faults every promise holds`, { timeout: TIMEOUT_MS }, async () => {
  const counts: Record<string, number> = {};
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    const result = await simulate(seed);
    expect(result.violations, `seed ${seed}`).toEqual([]);
    for (const [what, count] of Object.entries(result.counts)) counts[what] = (counts[what] ?? 0) + count;
  }
  if (SEEDS >= 100) expect(COVERED.filter((what) => (counts[what] ?? 0) === 0)).toEqual([]);
});

test('a seed gives the same run again', async () => {
  expect(await simulate(FIRST_SEED + 6)).toEqual(await simulate(FIRST_SEED + 6));
});

test.each(PLANTED)('finds a build that %s', { timeout: TIMEOUT_MS }, async (_what, variant) => {
  const parts = { ...REAL_PARTS, ...(await variant()) };
  for (let seed = 1; seed <= 2_000; seed++) {
    const { violations } = await simulate(seed, parts);
    if (violations.length > 0) {
      if (process.env['SIMULATION_SHOW'] !== undefined) console.log(`seed ${seed}: ${violations[0]}`);
      return;
    }
  }
  expect.fail('no seed has found it');
});
