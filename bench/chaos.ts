import { rm, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';

import { Command, InvalidArgumentError } from 'commander';

import { verdictJson, verdictLines } from '../src/cli/verify/show.ts';
import type { Verdict } from '../src/verify/verify.ts';
import { anySeed, runChaos } from '../test/chaos/chaos.ts';
import { roundsOf, together, type Round } from '../test/chaos/rounds.ts';
import { repositoryRoot } from '../test/support/repository.ts';

interface Options {
  readonly kills: number;
  readonly seed?: number;
  readonly json?: string;
}

await new Command('chaos')
  .description('Kills, stops and cuts off the parts of a real system, heals it, and judges it by I1 to I16.')
  .option('--kills <n>', 'kill -9 of a dispatcher so often', wholeNumber, 20)
  .option('--seed <n>', 'the same seed gives the same faults; any one when left out', wholeNumber)
  .option('--json <file>', 'also write the figures here')
  .action(chaos)
  .parseAsync();

async function chaos({ kills, seed = anySeed(), json }: Options): Promise<void> {
  const startedMs = performance.now();
  const tell = (line: string): void => {
    console.error(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${line}`);
  };
  const rounds = roundsOf(kills, seed);
  const judged: JudgedRound[] = [];
  for (const [index, round] of rounds.entries()) {
    const name = rounds.length === 1 ? '' : `round ${index + 1} of ${rounds.length}, `;
    judged.push(await judge(round, rounds.length > 1, (line) => tell(name + line)));
    // After each, since a long run may be stopped.
    if (json !== undefined) await writeFigures(json, judged);
  }
  const verdict = together(judged.map((round) => round.verdict));
  for (const line of verdictLines(verdict)) console.log(line);
  console.log(
    Object.entries(figuresOf(judged))
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  );
  // Node's own cleanup sometimes waits for ever, spinning, for a handle of the many processes that were killed.
  process.exit(verdict.state === 'held' ? 0 : 1);
}

/** What is left of a round when it was judged. */
interface JudgedRound {
  readonly seed: number;
  readonly kills: number;
  readonly seconds: number;
  readonly events: number;
  readonly requests: number;
  readonly ledgerRows: number;
  readonly clockMs: number;
  readonly unflushedMs: number;
  readonly verdict: Verdict;
}

/** @param isOneOfMany what was written down of one that held is removed, or the disk would fill. */
async function judge(
  { kills, seed }: Round,
  isOneOfMany: boolean,
  tell: (line: string) => void,
): Promise<JudgedRound> {
  const folder = path.join(repositoryRoot, '.cache', 'chaos', String(seed));
  tell(`seed ${seed}, ${kills} kills; histories in ${folder}`);
  const { verdict, history, seconds } = await runChaos({ kills, seed, folder, tell });
  const { clockMs, unflushedMs } = history.run.bounds;
  tell(`${verdict.state}, ${history.produced.length} events, ${Math.round(seconds)} s`);
  if (verdict.state !== 'held') for (const line of verdictLines(verdict)) tell(line);
  else if (isOneOfMany) await rm(folder, { recursive: true });
  const counts = {
    events: history.produced.length,
    requests: history.requests.length,
    ledgerRows: history.ledger.length,
  };
  return { seed, kills, seconds: Math.round(seconds), ...counts, clockMs, unflushedMs, verdict };
}

/** Sums over the rounds; of what the bounds were loosened by, the most. */
function figuresOf(rounds: readonly JudgedRound[]): Record<string, number> {
  const sum = (name: 'kills' | 'seconds' | 'events' | 'requests' | 'ledgerRows'): number =>
    rounds.reduce((total, round) => total + round[name], 0);
  const most = (name: 'clockMs' | 'unflushedMs'): number => Math.max(...rounds.map((round) => round[name]));
  return {
    ...{ seed: rounds[0]?.seed ?? 0, rounds: rounds.length, kills: sum('kills'), seconds: sum('seconds') },
    ...{ events: sum('events'), requests: sum('requests'), ledgerRows: sum('ledgerRows') },
    ...{ clockMs: most('clockMs'), unflushedMs: most('unflushedMs') },
  };
}

async function writeFigures(file: string, judged: readonly JudgedRound[]): Promise<void> {
  const rounds = judged.map(({ verdict: { state, coverage }, ...of }) => ({ ...of, state, coverage }));
  const verdict = verdictJson(together(judged.map((round) => round.verdict)));
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    memoryGb: totalmem() / 1e9,
    node: process.version,
  };
  const figures = { ...figuresOf(judged), ...verdict, ofRounds: rounds, machine };
  await writeFile(file, `${JSON.stringify(figures, null, 2)}\n`);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Allowed: a whole number.');
  return Number(text);
}
