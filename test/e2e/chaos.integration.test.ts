/**
 * `npm run chaos` with twenty kills: three dispatchers under kill -9, at random and at named points, a zombie, a ledger
 * that dies, a member that leaves, a broker that can't be reached and one that is killed; judged over independent
 * histories by the checker. The seed is fixed, one whose steps have all of these; by hand any can be taken, and more kills.
 */
import path from 'node:path';
import { beforeAll, expect, it } from 'vitest';

import { verdictLines } from '../../src/cli/verify/show.ts';
import type { Verdict } from '../../src/verify/verify.ts';
import { runChaos } from '../chaos/chaos.ts';
import { temporaryDirectory } from '../support/temp.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';

const SEED = 41;
const KILLS = 20;
/** Four minutes on two cores of its own. */
const TIMEOUT_MS = 900_000;

describeWithKafka('chaos', () => {
  let verdict: Verdict;

  beforeAll(async () => {
    const folder = await temporaryDirectory('chaos');
    const told: string[] = [];
    const result = await runChaos({
      kills: KILLS,
      seed: SEED,
      folder: path.join(folder.path, 'histories'),
      tell: (line) => told.push(line),
    });
    verdict = result.verdict;
    // What was violated is to be looked into.
    if (verdict.state === 'held') await folder.remove();
    else console.info(`the histories are in ${folder.path}`);
    console.info([`chaos in ${result.seconds.toFixed(0)} s`, ...verdictLines(verdict)].join('\n'));
  }, TIMEOUT_MS);

  it('lost nothing, and kept every other invariant', () => {
    expect(verdict.findings.flatMap(({ id, examples }) => examples.map((text) => `${id}: ${text}`))).toEqual(
      [],
    );
  });

  it('was judged by every one of them', () => {
    expect(verdict.findings.filter(({ state }) => state === 'not seen').map(({ id }) => id)).toEqual([]);
    expect(verdict.state).toBe('held');
  });
});
