import path from 'node:path';

import { startDispatcherProcess } from '../test/support/dispatcher.ts';
import { runToEnd } from '../test/support/process.ts';
import type { Receiver } from '../test/support/receiver.ts';
import { repositoryRoot } from '../test/support/repository.ts';
import { produceSamples } from '../test/support/samples.ts';
import { waitFor } from '../test/support/wait.ts';
import type { BodyFormat } from '../src/domain/destination.ts';
import { cpuMicrosByThread, peakResidentBytesOf } from './process-usage.ts';
import { withParts, type Say } from './scene.ts';

export interface PipelineOptions {
  readonly events: number;
  readonly tenants: number;
  readonly lanes: number;
  /** What the receiver gets: the event's data alone, or a CloudEvent around it. */
  readonly format: BodyFormat;
  /** Folder for V8 CPU profiles of the dispatcher's threads; they cost some of what is measured. */
  readonly profile?: string | undefined;
}

/** The figures of one run; `ratio` is the dispatcher's CPU time per delivery over the bare loop's. */
export interface PipelineFigures {
  readonly deliveriesPerSecond: number;
  readonly cpuMicrosPerDelivery: number;
  /** The same by thread: main, all lanes, and the rest (GC, compiler, librdkafka). */
  readonly cpuMicrosByThread: { readonly main: number; readonly lanes: number; readonly other: number };
  readonly bareDeliveriesPerSecond: number;
  readonly bareCpuMicrosPerDelivery: number;
  readonly ratio: number;
  /** Of each round; `ratio` and all other figures but the memory are those of the middle one. */
  readonly ratios?: readonly number[];
  readonly rssMb: number;
}

const PARTITIONS = 12;
/**
 * The machine's own pace drifts by tens of percent within a minute, so the events
 * are spread over rounds, each between two bare loops, and the median round counts.
 */
const ROUNDS = 3;
/** Share of the events that warm the dispatcher up before it is measured. */
const WARM_UP_SHARE = 0.2;
/** And at the end, where what is left does not fill the lanes any more. */
const MEASURED_UNTIL_SHARE = 0.97;
/** What a sample event's body comes to, so that the bare loop sends as much. */
const TYPICAL_BODY_BYTES: Readonly<Record<BodyFormat, number>> = { data: 470, cloudevents: 720 };
const TIMEOUT_MS = 300_000;

/**
 * The whole dispatcher, as a process, on a pre-filled real Kafka, with a ledger
 * over HTTP and a receiver, each a process of its own; beside it, before and
 * after each round, the bare loop on the same receiver.
 */
export function benchPipeline(options: PipelineOptions, say: Say): Promise<PipelineFigures> {
  return withParts(say, async ({ kafka, owner, receiver, closers }) => {
    const eventsPerRound = Math.ceil(options.events / ROUNDS);
    const topics = Array.from({ length: ROUNDS }, (_, round) => `events-${round + 1}`);
    await kafka.tools.createTopics(topics.map((name) => ({ name, partitions: PARTITIONS })));
    say(`producing ${ROUNDS} × ${eventsPerRound} events of ${options.tenants} tenants`);
    for (const topic of topics) {
      await produceSamples({
        brokers: kafka.brokers,
        topic,
        count: eventsPerRound,
        tenants: options.tenants,
        timeoutMs: TIMEOUT_MS,
      });
    }
    say('measuring the bare loop');
    const bares = [await benchBare(receiver.url('sink'), options.format)];
    const rounds: PipelineFigures[] = [];
    for (const topic of topics) {
      say(`round ${rounds.length + 1} of ${ROUNDS}: the dispatcher, then the bare loop`);
      const dispatcher = await startDispatcherProcess(
        configOf({ brokers: kafka.brokers, topic }, owner.url, receiver.url('sink'), options),
        options.profile === undefined
          ? []
          : ['--cpu-prof', `--cpu-prof-dir=${path.resolve(options.profile)}`],
      );
      closers.push(() => dispatcher.stop());
      const measured = await measure(dispatcher.child.pid, receiver, { ...options, events: eventsPerRound });
      await dispatcher.stop();
      bares.push(await benchBare(receiver.url('sink'), options.format));
      rounds.push(besideBare(measured, bares.slice(-2)));
    }
    return medianRound(rounds);
  });
}

/** A round's figures beside the mean of the bare loops before and after it. */
function besideBare(measured: Measured, bares: readonly Bare[]): PipelineFigures {
  const bareCpuMicrosPerDelivery = mean(bares.map((bare) => bare.cpuMicrosPerDelivery));
  return {
    ...measured,
    bareDeliveriesPerSecond: mean(bares.map((bare) => bare.deliveriesPerSecond)),
    bareCpuMicrosPerDelivery,
    ratio: measured.cpuMicrosPerDelivery / bareCpuMicrosPerDelivery,
  };
}

/** The round in the middle by its ratio, with the highest memory of all. */
function medianRound(rounds: readonly PipelineFigures[]): PipelineFigures {
  const byRatio = [...rounds].sort((a, b) => a.ratio - b.ratio);
  const median = byRatio[Math.floor(byRatio.length / 2)] as PipelineFigures;
  return {
    ...median,
    rssMb: Math.max(...rounds.map(({ rssMb }) => rssMb)),
    ratios: rounds.map(({ ratio }) => ratio),
  };
}

function configOf(
  { brokers, topic }: { readonly brokers: string; readonly topic: string },
  clickhouse: string,
  sink: string,
  options: PipelineOptions,
): Record<string, unknown> {
  return {
    kafka: { brokers, groupId: `bench-${topic}`, topics: [topic] },
    clickhouse: { url: clickhouse },
    schemas: { folder: path.join(repositoryRoot, 'schemas') },
    delivery: { allowAddresses: ['127.0.0.0/8'], connectionsPerOrigin: 64 },
    lanes: { count: options.lanes },
    destinations: [{ id: 'sink', tenant: '*', url: `${sink}/in`, maxInFlight: 64, format: options.format }],
  };
}

type Measured = Pick<
  PipelineFigures,
  'deliveriesPerSecond' | 'cpuMicrosPerDelivery' | 'cpuMicrosByThread' | 'rssMb'
>;
type Bare = Pick<PipelineFigures, 'deliveriesPerSecond' | 'cpuMicrosPerDelivery'>;

interface Sample {
  readonly delivered: number;
  readonly cpuMicros: ReadonlyMap<number, number>;
  readonly atMs: number;
}

/** Counts at the receiver, so that measuring costs the dispatcher nothing. */
async function measure(pid: number, receiver: Receiver, options: PipelineOptions): Promise<Measured> {
  const offset = await receiver.count('sink');
  const reach = (target: number): Promise<Sample> =>
    waitFor(
      async () => {
        const delivered = (await receiver.count('sink')) - offset;
        return delivered >= target
          ? { delivered, cpuMicros: cpuMicrosByThread(pid), atMs: performance.now() }
          : null;
      },
      { timeoutMs: TIMEOUT_MS, intervalMs: 50, what: `${target} deliveries` },
    );
  const first = await reach(options.events * WARM_UP_SHARE);
  const last = await reach(options.events * MEASURED_UNTIL_SHARE);
  const deliveries = last.delivered - first.delivered;
  const spent = new Map(
    [...last.cpuMicros].map(([thread, micros]) => [thread, micros - (first.cpuMicros.get(thread) ?? 0)]),
  );
  const main = spent.get(pid) ?? 0;
  spent.delete(pid);
  const others = [...spent.values()].sort((a, b) => b - a);
  const lanes = sum(others.slice(0, options.lanes));
  const other = sum(others.slice(options.lanes));
  return {
    deliveriesPerSecond: deliveries / ((last.atMs - first.atMs) / 1000),
    cpuMicrosPerDelivery: (main + lanes + other) / deliveries,
    cpuMicrosByThread: { main: main / deliveries, lanes: lanes / deliveries, other: other / deliveries },
    rssMb: peakResidentBytesOf(pid) / 1e6,
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}

function mean(numbers: readonly number[]): number {
  return sum(numbers) / numbers.length;
}

async function benchBare(url: string, format: BodyFormat): Promise<Bare> {
  const output = await runToEnd({
    name: 'bare dispatch loop',
    command: process.execPath,
    args: [
      path.join(repositoryRoot, 'bench', 'bare-process.mjs'),
      url,
      '150000',
      String(TYPICAL_BODY_BYTES[format]),
    ],
    timeoutMs: TIMEOUT_MS,
  });
  return JSON.parse(output) as Bare;
}
