import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import path from 'node:path';

import { Command, InvalidArgumentError } from 'commander';

import { verdictJson, verdictLines } from '../src/cli/verify/show.ts';
import { anySeed, runChaos } from '../test/chaos/chaos.ts';
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
  const folder = path.join(repositoryRoot, '.cache', 'chaos', String(seed));
  const tell = (line: string): void => {
    console.error(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${line}`);
  };
  tell(`seed ${seed}, ${kills} kills; histories in ${folder}`);
  const { verdict, history, seconds } = await runChaos({ kills, seed, folder, tell });
  for (const line of verdictLines(verdict)) console.log(line);
  const figures = {
    ...{ seed, kills, seconds: Math.round(seconds), events: history.produced.length },
    ...{ requests: history.requests.length, ledgerRows: history.ledger.length },
    ...{ clockMs: history.run.bounds.clockMs, unflushedMs: history.run.bounds.unflushedMs },
  };
  console.log(
    Object.entries(figures)
      .map(([name, value]) => `${name} ${value}`)
      .join(', '),
  );
  if (json !== undefined) {
    const machine = {
      cpu: cpus()[0]?.model ?? '',
      cores: cpus().length,
      memoryGb: totalmem() / 1e9,
      node: process.version,
    };
    await writeFile(json, `${JSON.stringify({ ...figures, ...verdictJson(verdict), machine }, null, 2)}\n`);
  }
  // Node's own cleanup sometimes waits for ever, spinning, for a handle of the many processes that were killed.
  process.exit(verdict.state === 'held' ? 0 : 1);
}

function wholeNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Allowed: a whole number.');
  return Number(text);
}
