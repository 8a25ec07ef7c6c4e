import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Config } from '../../config/config.ts';
import { delayTopicName } from '../../domain/delay-topic.ts';
import { redrive } from '../../dead/apply.ts';
import type { Redriven } from '../../dead/apply.ts';
import type { DeadLetterPlan } from '../../dead/plan.ts';
import { whyNotRedrivable } from '../../dead/retry-record.ts';
import type { RetryRecord } from '../../dead/retry-record.ts';
import { systemClock } from '../../domain/clock.ts';
import { UserError } from '../../domain/errors.ts';
import type { KafkaProducer } from '../../kafka/producer.ts';
import { TokenBucket } from '../../limit/token-bucket.ts';
import { encodeRetryHeaders } from '../../retry/retry-headers.ts';
import type { CommandContext } from '../command-context.ts';
import { configOf, configOption } from '../config-option.ts';
import { openDeadLetters } from '../dead/connect.ts';
import type { DeadLetters } from '../dead/connect.ts';
import { addFilterOptions, placesOf, readDeadOption } from '../dead/options.ts';
import { openCountProgress } from '../dead/progress.ts';
import { agreedPlan } from '../dead/run-plan.ts';
import type { ChangeOptions } from '../dead/run-plan.ts';
import { grouped, lettersText } from '../dead/text.ts';
import { EXIT } from '../exit-codes.ts';
import { stopOnSignals } from '../produce/stop-on-signals.ts';

interface Options extends ChangeOptions {
  /** Per second. */
  readonly rate: number;
}

const DEFAULT_RATE_PER_SECOND = 50;
const QUEUE_FULL_DELAY_MS = 10;
/** A timer that woke late is made up for to this much of the rate; more would be a burst. */
const CATCH_UP_SECONDS = 0.02;

export function addDeadRedrive(dead: Command, context: CommandContext): void {
  addFilterOptions(dead.command('redrive'))
    .description('Try dead letters again, with all of their attempts.')
    .argument('[places...]', 'PARTITION:OFFSET of single ones; without any, all that the options describe')
    .option('-r, --rate <rate>', 'no more than this', readDeadOption.rate, DEFAULT_RATE_PER_SECOND)
    .option('-y, --yes', 'do it without asking')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
It shows what it would try again and asks. Each delivery is handed to the dispatcher once, by the
shortest delay topic; running the same command again finds nothing. Ctrl-C ends it between two. The
receiver sees the same webhook-id as before. Exit code 0 when all of it was done.

Examples:
  $ eventdispatch dead redrive 3:1207
  $ eventdispatch dead redrive --destination crm --kind endpoint --since 2h --rate 20/s
  $ eventdispatch dead redrive --reason worker_crash --yes`,
    )
    .action((places: string[], options: Options) => redriveChosen(places, options, context));
}

async function redriveChosen(
  placeTexts: readonly string[],
  options: Options,
  context: CommandContext,
): Promise<void> {
  placesOf(placeTexts, options);
  const config = configOf(options, context.environment);
  const dead = await openDeadLetters(config);
  try {
    const topic = delayTopicName(config.retry.topicPrefix, Math.min(...config.retry.delaysMs));
    const target = {
      partitions: await delayTopicPartitions(dead, topic),
      destinationIds: new Set(config.destinations.map(({ id }) => id)),
    };
    const whyUnfit = (letter: Parameters<typeof whyNotRedrivable>[0]): string | null =>
      whyNotRedrivable(letter, target);
    const plan = await agreedPlan({ dead, placeTexts, options, verb: 'Redrive', whyUnfit });
    if (plan === null) return;
    const { redriven, isStopped } = await carryOut(plan, { config, dead, topic, rate: options.rate });
    console.log(
      `${lettersText(redriven.letters)} redriven: ${grouped(redriven.deliveries)} deliveries handed over`,
    );
    if (isStopped) context.exitWith(EXIT.failed);
  } finally {
    await dead.close();
  }
}

/** @throws UserError when no dispatcher has made it yet. */
async function delayTopicPartitions({ reader }: DeadLetters, topic: string): Promise<number> {
  const partitions = await reader.partitions(topic);
  if (partitions === 0)
    throw new UserError([
      `delay topic ${topic} is not there: a dispatcher that starts with this configuration makes it`,
    ]);
  return partitions;
}

interface Redrive {
  readonly config: Config;
  readonly dead: DeadLetters;
  /** The delay topic. */
  readonly topic: string;
  readonly rate: number;
}

async function carryOut(
  plan: DeadLetterPlan,
  { config, dead, topic, rate }: Redrive,
): Promise<{ readonly redriven: Redriven; readonly isStopped: boolean }> {
  const [{ openProducer }, { producerProperties }] = await Promise.all([
    import('../../kafka/producer.ts'),
    import('../../kafka/properties.ts'),
  ]);
  const producer = await openProducer(producerProperties(config.kafka, dead.brokers));
  const signals = stopOnSignals();
  const progress = openCountProgress(plan.places.size, process.stderr.isTTY, systemClock);
  try {
    const redriven = await redrive(plan, {
      letters: dead.letters,
      marks: dead.marks,
      mark: (letters, state) => dead.marks.mark(letters, state),
      handOver: (record) => handOver(producer, topic, record),
      encodeHeaders: encodeRetryHeaders,
      bucket: new TokenBucket(rate, 1 + rate * CATCH_UP_SECONDS),
      clock: systemClock,
      sleep: (ms, signal) => sleep(ms, undefined, { signal }).catch(() => undefined),
      stop: signals.stop,
      onProgress: (done) => progress.update(done),
    });
    return { redriven, isStopped: signals.stop.aborted && redriven.letters < plan.places.size };
  } finally {
    progress.end();
    signals.release();
    await producer.close();
  }
}

async function handOver(producer: KafkaProducer, topic: string, record: RetryRecord): Promise<void> {
  const { partition, key, value, headers } = record;
  let settle: (error: Error | null) => void = () => undefined;
  const acked = new Promise<void>((resolve, reject) => {
    settle = (error) => {
      if (error === null) resolve();
      else reject(error);
    };
  });
  while (!producer.produce(topic, partition, key, value, headers, settle)) await sleep(QUEUE_FULL_DELAY_MS);
  await acked;
}
