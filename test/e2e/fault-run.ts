import { deliveryId } from '../../src/domain/ids.ts';
import type { SourceRecord } from '../../src/domain/record.ts';
import { delayTopicName } from '../../src/domain/delay-topic.ts';
import type { Sample } from '../../src/samples/generator.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import type { KafkaTools } from '../support/kafka-tools.ts';
import type { ReceivedRequest } from '../support/receiver.ts';
import { waitFor } from '../support/wait.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario, type DestinationOptions, type Sections } from './scenario.ts';
import { Sender, type SentRecord } from './sender.ts';
import { headerValues, readTopic } from './topic-records.ts';

export const INITIAL_DELAY_MS = 200;
export const MAX_ATTEMPTS = 3;
const DELAYS = { '200ms': 200, '1s': 1_000, '3s': 3_000 };
/** Times of ledger rows are whole milliseconds. */
export const CLOCK_STEP_MS = 1;
const QUIET_TIMEOUT_MS = 90_000;

/** An event as it was sent, and the delivery it makes. */
export interface SentEvent {
  readonly sample: Sample;
  readonly record: SentRecord;
  readonly deliveryId: string;
}

/** One row of the ledger's attempts. */
export interface AttemptRow {
  readonly delivery_id: string;
  readonly destination_id: string;
  readonly attempt: number;
  readonly outcome: string;
  readonly reason: string;
  readonly class: string;
  readonly status: number;
  readonly ambiguous: boolean;
  readonly is_final: boolean;
  readonly hand_over: string;
  readonly retry_topic: string;
  /** Unix epoch. */
  readonly attempted_ms: number;
  readonly duration_ms: number;
  /** Unix epoch; null when no attempt follows. */
  readonly next_ms: number | null;
  readonly response: string;
}

export interface FaultRunOptions {
  readonly kafka: KafkaTools;
  /** Each gets the events of a tenant of its own. */
  readonly destinations: Readonly<Record<string, DestinationOptions>>;
  readonly partitions?: number;
  readonly config?: Sections;
}

/** A scenario in which every destination has a fault of its own, with retries that come within a second. */
export class FaultRun {
  readonly scenario: Scenario;
  readonly #kafka: KafkaTools;
  readonly #topicPrefix: string;
  readonly #destinations: readonly string[];
  readonly #events = new Map<string, SentEvent[]>();
  #seed = 0;

  private constructor(scenario: Scenario, kafka: KafkaTools, topicPrefix: string, destinations: string[]) {
    this.scenario = scenario;
    this.#kafka = kafka;
    this.#topicPrefix = topicPrefix;
    this.#destinations = destinations;
  }

  static async open({
    kafka,
    destinations,
    partitions = 3,
    config = {},
  }: FaultRunOptions): Promise<FaultRun> {
    const topicPrefix = kafka.uniqueName('retry');
    const ids = Object.keys(destinations);
    const scenario = await Scenario.open({
      kafka,
      partitions,
      destinations: Object.fromEntries(
        ids.map((id, index) => {
          const { settings, ...rest } = destinations[id] as DestinationOptions;
          return [id, { ...rest, settings: { tenant: tenantOf(index), ...settings } }];
        }),
      ),
      config: {
        retry: { topicPrefix, delays: Object.keys(DELAYS) },
        defaults: {
          retry: { maxAttempts: MAX_ATTEMPTS, initialDelay: `${INITIAL_DELAY_MS}ms`, maxDelay: '2s' },
        },
        ...config,
      },
    });
    return new FaultRun(scenario, kafka, topicPrefix, ids);
  }

  start(config: Sections = {}): Promise<DispatcherProcess> {
    return this.scenario.startDispatcher(config);
  }

  /** Sends so many events to each destination named, by default to all of them. */
  async send(countEach: number, destinations: readonly string[] = this.#destinations): Promise<void> {
    const tenants = new Map(destinations.map((id) => [tenantOf(this.#destinations.indexOf(id)), id]));
    const samples = this.#samples(countEach, [...tenants.keys()]);
    const sender = await Sender.open(this.#kafka.brokers);
    const records = await sender.send(
      this.scenario.topic,
      samples.map(({ key, value, eventId }) => ({
        ...{ partition: null, key, value },
        headers: [['trace', Buffer.from(eventId)]],
      })),
    );
    await sender.close();
    for (const [index, record] of records.entries()) {
      const sample = samples[index] as Sample;
      const id = tenants.get(sample.tenant) as string;
      const event = { sample, record, deliveryId: deliveryId(sample.tenant, sample.eventId, id) };
      this.#events.set(id, [...this.events(id), event]);
    }
  }

  /** What was sent to a destination, in that order. */
  events(destination: string): readonly SentEvent[] {
    return this.#events.get(destination) ?? [];
  }

  /** Waits until everything is committed, the delay topics too, so that nothing will happen any more. */
  async quiet(timeoutMs = QUIET_TIMEOUT_MS): Promise<void> {
    const topics = [
      this.scenario.topic,
      ...Object.values(DELAYS).map((delayMs) => delayTopicName(this.#topicPrefix, delayMs)),
    ];
    let state = '';
    await waitFor(
      async () => {
        const ends = await Promise.all(topics.map((topic) => this.#kafka.endOffsets(topic)));
        const committed = await Promise.all(
          topics.map((topic) => this.#kafka.committedOffsets(this.scenario.group, topic)),
        );
        // What is committed has handed over what it had to, so ends that stand still now are the last ones.
        const endsAfter = await Promise.all(topics.map((topic) => this.#kafka.endOffsets(topic)));
        state = topics.map((topic, i) => `${topic}: ${committed[i]} of ${ends[i]}`).join('\n');
        return ends.every((ofTopic, i) =>
          ofTopic.every((end, p) => end === endsAfter[i]![p] && (end === 0 || end === committed[i]![p])),
        );
      },
      { timeoutMs, intervalMs: 200, what: () => `all topics to be committed\n${state}` },
    );
  }

  /** In the order in which they were attempted, by delivery. */
  rows(destination: string): Promise<AttemptRow[]> {
    return this.scenario.ledger.query<AttemptRow>(
      `SELECT delivery_id, destination_id, attempt, outcome, reason, class, status, ambiguous, is_final, hand_over,
         retry_topic, toUnixTimestamp64Milli(attempted_at) AS attempted_ms, duration_us / 1000 AS duration_ms,
         toUnixTimestamp64Milli(next_attempt_at) AS next_ms, response
       FROM attempts WHERE destination_id = {destination:String} ORDER BY delivery_id, attempted_at, attempt`,
      { destination },
    );
  }

  requests(destination: string): Promise<ReceivedRequest[]> {
    return this.scenario.receiver.requests(destination);
  }

  deadLetters(): Promise<SourceRecord[]> {
    return readTopic(this.#kafka, this.scenario.deadLetterTopic);
  }

  close(): Promise<void> {
    return this.scenario.close();
  }

  /** So many of each tenant, mixed. */
  #samples(countEach: number, tenants: readonly string[]): Sample[] {
    this.#seed++;
    const left = new Map(tenants.map((tenant) => [tenant, countEach]));
    const chosen: Sample[] = [];
    while (chosen.length < countEach * tenants.length) {
      const some = sampleRecords({
        count: 4 * countEach * this.#destinations.length,
        tenants: this.#destinations.length,
        types: ['contact.created'],
        seed: 1_000 * this.#seed + chosen.length,
      });
      for (const sample of some) {
        const wanted = left.get(sample.tenant) ?? 0;
        if (wanted === 0) continue;
        left.set(sample.tenant, wanted - 1);
        chosen.push(sample);
      }
    }
    return chosen;
  }
}

/** The promised wait after so many attempts. */
export function backoffMs(attempts: number): number {
  return INITIAL_DELAY_MS * 2 ** (attempts - 1);
}

/** The rows of one delivery, in the order of its attempts. */
export function rowsOf(rows: readonly AttemptRow[], id: string): AttemptRow[] {
  return rows.filter((row) => row.delivery_id === id);
}

/** Milliseconds between the requests that one delivery made, by the receiver's monotonic clock. */
export function gapsOf(requests: readonly ReceivedRequest[], id: string): number[] {
  const times = requests
    .filter(({ webhookId }) => webhookId === id)
    .map(({ monotonicUs }) => monotonicUs / 1000);
  return times.slice(1).map((time, index) => time - (times[index] as number));
}

/** The dead letters of one delivery. */
export function lettersOf(letters: readonly SourceRecord[], id: string): SourceRecord[] {
  return letters.filter((letter) => headerValues(letter, 'eventdispatch-delivery-id').join() === id);
}

/** The headers of a record by name, as text. */
export function headersOf(record: SourceRecord): Record<string, string> {
  const pairs = (record.headers ?? []).flatMap((header) =>
    Object.entries(header).map(([name, value]) => [name, String(value)]),
  );
  return Object.fromEntries(pairs) as Record<string, string>;
}

function tenantOf(index: number): string {
  return `tenant-${index + 1}`;
}
