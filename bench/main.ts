import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';

import Table from 'cli-table3';
import { Command, InvalidArgumentError, Option } from 'commander';

import { benchIsolation, type IsolationOptions } from './isolation.ts';
import { benchLedger, ledgerText, type LedgerBenchOptions } from './ledger.ts';
import { benchLedgerOutage, type LedgerOutageOptions } from './ledger-outage.ts';
import { benchPipeline, type PipelineFigures, type PipelineOptions } from './pipeline.ts';
import { benchRetryStorm, type RetryStormOptions } from './retry-storm.ts';

const program = new Command('bench').description(
  'Benchmarks; loads go to this machine only and end by themselves.',
);

program
  .command('pipeline')
  .description(
    'deliveries per second and CPU time per delivery of the whole dispatcher, beside bare undici dispatch',
  )
  .option('--events <n>', 'events to deliver', positiveInteger, 300_000)
  .option('--tenants <n>', 'tenants they belong to', positiveInteger, 100)
  .option('--lanes <n>', 'worker threads of the dispatcher', positiveInteger, 1)
  .addOption(
    new Option('--format <format>', 'body of the requests').choices(['data', 'cloudevents']).default('data'),
  )
  .option('--profile <folder>', 'also write V8 CPU profiles of the dispatcher here')
  .option('--json <file>', 'also write the figures here')
  .action(async ({ json, ...options }: PipelineOptions & JsonOption) => {
    const figures = await benchPipeline(options, narrator());
    console.log(tableOf(figures));
    await writeFigures(json, figures, options);
  });

program
  .command('isolation')
  .description('whether 98 tenants notice one that hangs and one that floods')
  .option('--seconds <n>', 'of each half', positiveInteger, 30)
  // Broker, ledger, receiver and load share the machine: at two or three times as much they fill two cores by themselves.
  .option('--rate <n>', 'events per second of the 98 together', positiveInteger, 400)
  .option('--flood-rate <n>', 'events per second of the one that floods', positiveInteger, 800)
  .option(
    '--flood-limit <n>',
    'requests per second it may make; the rest of its flood stays',
    positiveInteger,
    200,
  )
  .option('--lanes <n>', 'worker threads of the dispatcher', positiveInteger, 1)
  .option('--json <file>', 'also write the figures here')
  .action(async ({ json, ...options }: IsolationOptions & JsonOption) => {
    const figures = await benchIsolation(options, narrator());
    console.log(listOf(figures));
    await writeFigures(json, figures, options);
  });

program
  .command('retry-storm')
  .description('half of the destinations answer 503 for a while, then heal')
  .option('--seconds <n>', 'how long the storm lasts', positiveInteger, 120)
  // As above: from some hundred on, the parts around the dispatcher need more in a storm than two cores have left.
  .option('--rate <n>', 'events per second of all tenants together', positiveInteger, 400)
  .option('--lanes <n>', 'worker threads of the dispatcher', positiveInteger, 1)
  .option('--json <file>', 'also write the figures here')
  .action(async ({ json, ...options }: RetryStormOptions & JsonOption) => {
    const figures = await benchRetryStorm(options, narrator());
    console.log(listOf(figures));
    await writeFigures(json, figures, options);
  });

program
  .command('ledger-outage')
  .description('ClickHouse is killed under load for a while, and comes back')
  .option('--seconds <n>', 'how long it is away', positiveInteger, 600)
  .option('--rate <n>', 'events per second', positiveInteger, 2_000)
  .option('--lanes <n>', 'worker threads of the dispatcher', positiveInteger, 1)
  .option('--json <file>', 'also write the figures here')
  .action(async ({ json, ...options }: LedgerOutageOptions & JsonOption) => {
    const figures = await benchLedgerOutage(options, narrator());
    console.log(listOf(figures));
    await writeFigures(json, figures, options);
  });

program
  .command('ledger')
  .description('how long the ledger takes to answer, by the number of its rows')
  .option('--rows <n>', 'rows of attempts', positiveInteger, 10_000_000)
  .option('--times <n>', 'how often each question is asked', positiveInteger, 21)
  .option('--json <file>', 'also write the figures here')
  .action(async ({ json, ...options }: LedgerBenchOptions & JsonOption) => {
    const figures = await benchLedger(options, narrator());
    console.log(ledgerText(figures));
    await writeFigures(json, figures, options);
    if (figures.questions.some(({ medianMs, boundMs }) => medianMs > boundMs)) process.exitCode = 1;
  });

await program.parseAsync();

interface JsonOption {
  readonly json?: string;
}

/** Tells on standard error what goes on, and since when. */
function narrator(): (line: string) => void {
  const startedMs = performance.now();
  return (line) => {
    console.error(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${line}`);
  };
}

async function writeFigures(file: string | undefined, figures: object, options: object): Promise<void> {
  if (file === undefined) return;
  const machine = {
    cpu: cpus()[0]?.model ?? '',
    cores: cpus().length,
    memoryGb: totalmem() / 1e9,
    node: process.version,
  };
  await writeFile(file, `${JSON.stringify({ ...figures, options, machine }, null, 2)}\n`);
}

function listOf(figures: object): string {
  const table = new Table({ head: ['figure', 'value'], colAligns: ['left', 'right'] });
  for (const [name, value] of Object.entries(figures) as [string, number][]) {
    table.push([name, Number.isInteger(value) ? value : value.toFixed(2)]);
  }
  return table.toString();
}

function tableOf(figures: PipelineFigures): string {
  const table = new Table({
    head: ['', 'dispatcher', 'bare dispatch'],
    colAligns: ['left', 'right', 'right'],
  });
  table.push(
    ['deliveries/s', Math.round(figures.deliveriesPerSecond), Math.round(figures.bareDeliveriesPerSecond)],
    [
      'CPU µs per delivery',
      figures.cpuMicrosPerDelivery.toFixed(1),
      figures.bareCpuMicrosPerDelivery.toFixed(1),
    ],
    ['  main thread', figures.cpuMicrosByThread.main.toFixed(1), ''],
    ['  lane threads', figures.cpuMicrosByThread.lanes.toFixed(1), ''],
    ['  GC, compiler, librdkafka', figures.cpuMicrosByThread.other.toFixed(1), ''],
    ['ratio', figures.ratio.toFixed(2), '1.00'],
    ['peak RSS, MB', Math.round(figures.rssMb), ''],
  );
  return table.toString();
}

function positiveInteger(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new InvalidArgumentError('a whole number from 1 on is allowed.');
  return n;
}
