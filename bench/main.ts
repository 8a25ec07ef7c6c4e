import { writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';

import Table from 'cli-table3';
import { Command, InvalidArgumentError, Option } from 'commander';

import { benchPipeline, type PipelineFigures, type PipelineOptions } from './pipeline.ts';

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
  .action(async (options: PipelineOptions & { json?: string }) => {
    const startedMs = performance.now();
    const figures = await benchPipeline(options, (line) => {
      console.error(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${line}`);
    });
    console.log(tableOf(figures));
    if (options.json !== undefined) {
      const machine = {
        cpu: cpus()[0]?.model ?? '',
        cores: cpus().length,
        memoryGb: totalmem() / 1e9,
        node: process.version,
      };
      await writeFile(options.json, `${JSON.stringify({ ...figures, options, machine }, null, 2)}\n`);
    }
  });

await program.parseAsync();

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
