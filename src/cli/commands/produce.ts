import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { catalogueFolder } from '../../config/catalogue-folder.ts';
import { systemClock } from '../../domain/clock.ts';
import { UserError } from '../../domain/errors.ts';
import { globMatches } from '../../route/glob.ts';
import { catalogueTypes } from '../../samples/catalogue.ts';
import { SampleGenerator } from '../../samples/generator.ts';
import type { CommandContext } from '../command-context.ts';
import { configOf, configOption } from '../config-option.ts';
import { EXIT } from '../exit-codes.ts';
import { Manifest } from '../produce/manifest.ts';
import { readOption } from '../produce/options.ts';
import type { ProduceOptions } from '../produce/options.ts';
import { produceSamples } from '../produce/produce-samples.ts';
import type { ProducePlan, ProduceTotals } from '../produce/produce-samples.ts';
import { openProgress, progressLine } from '../produce/progress.ts';
import { stopOnSignals } from '../produce/stop-on-signals.ts';

const DEFAULT_RATE_PER_SECOND = 1_000;

export function addProduce(program: Command, context: CommandContext): void {
  program
    .command('produce')
    .description('Send sample events of the catalogue to a broker, keyed by tenant.')
    .option('-b, --brokers <host:port>', 'bootstrap brokers, several separated by commas')
    .option('-t, --topic <name>', 'topic to send to', 'events')
    .option('-r, --rate <rate>', 'events per time (500/s, 6000/m), or max (default: 1000/s)', readOption.rate)
    .option('-n, --count <n>', 'stop after so many events', readOption.count)
    .option('-d, --duration <time>', 'stop after this time (30s, 5m)', readOption.duration)
    .option('--tenants <n>', 'how many tenants', readOption.tenants, 20)
    .option('--skew <z>', 'Zipf exponent over the tenants; 0 is uniform', readOption.skew, 1)
    .option('--seed <n>', 'the same seed gives the same events; a random one when left out', readOption.seed)
    .option(
      '--types <globs>',
      'event types to choose from, separated by commas (contact.*,email.sent)',
      readOption.types,
    )
    .option(
      '--manifest <file>',
      'append a line per acknowledged event: id, tenant, type, partition, offset, ms',
    )
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Brokers and security come from the configuration where one is given; --brokers goes before it.
Without --count and --duration it sends until Ctrl-C, which waits for what was sent. Exit code 0
only when every event was acknowledged.

Examples:
  $ eventdispatch produce --brokers localhost:9092 --rate 500/s --duration 30s
  $ eventdispatch produce --config eventdispatch.yaml --count 100000 --rate max --tenants 50 --skew 1.2
  $ eventdispatch produce -b localhost:9092 -n 100 --types 'contact.*,email.sent' --seed 7 --manifest sent.tsv`,
    )
    .action(async (options: ProduceOptions) => {
      const totals = await produce(options, context);
      const unacked = totals.sent - totals.acked;
      if (unacked > 0) {
        console.error(
          `error: ${unacked} of ${totals.sent} events were not acknowledged: ${totals.firstError ?? 'no answer in time'}`,
        );
        context.exitWith(EXIT.failed);
      }
    });
}

async function produce(options: ProduceOptions, context: CommandContext): Promise<ProduceTotals> {
  const properties = producerProperties(options, context);
  const generator = await openGenerator(options);
  const plan = planOf(options);
  const manifest = options.manifest === undefined ? null : new Manifest(options.manifest);
  // Loaded only now, so that a wrong option is told without native modules.
  const { openProducer } = await import('../../kafka/producer.ts');
  const producer = await openProducer(properties);
  const signals = stopOnSignals();
  const progress = openProgress(plan, process.stderr.isTTY, systemClock);
  let totals: ProduceTotals;
  try {
    totals = await produceSamples(plan, {
      producer,
      nextSample: () => generator.next(),
      clock: systemClock,
      sleep,
      stop: signals.stop,
      onAcked: (...acked) => manifest?.add(...acked),
      onProgress: (now) => progress.update(now),
    });
  } finally {
    progress.end();
    signals.release();
    manifest?.close();
    await producer.close();
  }
  console.log(`${options.topic}: ${progressLine(totals)} in ${(totals.elapsedMs / 1_000).toFixed(1)} s`);
  return totals;
}

function planOf({ topic, rate, count, duration }: ProduceOptions): ProducePlan {
  const ratePerSecond = rate === 'max' ? null : (rate ?? DEFAULT_RATE_PER_SECOND);
  return { topic, ratePerSecond, count: count ?? null, durationMs: duration ?? null };
}

/** @throws UserError when no broker is named. */
function producerProperties(
  options: ProduceOptions,
  { environment }: CommandContext,
): Record<string, string | number | boolean> {
  const kafka = options.config === undefined ? null : configOf(options, environment).kafka;
  const brokers = options.brokers ?? kafka?.brokers ?? null;
  if (brokers === null) {
    throw new UserError([
      'no broker to send to: give --brokers HOST:PORT, or --config FILE with kafka.brokers (the embedded broker of `start` is reached by the address it logs)',
    ]);
  }
  return {
    'linger.ms': 5,
    'compression.codec': 'lz4',
    ...kafka?.properties,
    ...kafka?.producerProperties,
    'bootstrap.servers': brokers,
    // What Java's producers do, so that a tenant is on the same partition whoever sends.
    partitioner: 'murmur2_random',
    'enable.idempotence': true,
    acks: 'all',
  };
}

async function openGenerator(options: ProduceOptions): Promise<SampleGenerator> {
  const [{ FolderEncoder }, { readSchemaFolder }] = await Promise.all([
    import('../../decode/avro-encoder.ts'),
    import('../../decode/schema-folder.ts'),
  ]);
  const { types: globs } = options;
  const types = globs && catalogueTypes.filter((type) => globs.some((glob) => globMatches(glob, type)));
  return new SampleGenerator({
    schemas: new FolderEncoder(readSchemaFolder(catalogueFolder)),
    tenants: options.tenants,
    skew: options.skew,
    seed: options.seed ?? randomInt(0, 2 ** 32),
    clock: systemClock,
    ...(types === undefined ? {} : { types }),
  });
}
