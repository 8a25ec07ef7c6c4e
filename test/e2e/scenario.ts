import type { KafkaTools } from '../support/kafka-tools.ts';
import {
  startClickHouseOwner,
  type ClickHouseOwner,
  type ClickHouseOwnerOptions,
} from '../support/clickhouse-owner.ts';
import { startDispatcherProcess, type DispatcherProcess } from '../support/dispatcher.ts';
import {
  startReceiver,
  type Behaviour,
  type Receiver,
  type RecordingOptions,
  type SocketFault,
} from '../support/receiver.ts';
import type { ProducedEvent } from '../support/samples.ts';
import { repositoryRoot } from '../support/repository.ts';
import { waitFor } from '../support/wait.ts';
import { deliveryId } from '../../src/domain/ids.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import { delayTopicName } from '../../src/domain/delay-topic.ts';
import { openTestLedger } from '../support/ledger.ts';

export interface ScenarioOptions {
  readonly kafka: KafkaTools;
  readonly partitions: number;
  /** Destinations of every tenant by id, each with a receiver of its own. */
  readonly destinations: Readonly<Record<string, DestinationOptions>>;
  /** Merged over the scenario's own configuration, section by section. */
  readonly config?: Sections;
  readonly ledger?: ClickHouseOwnerOptions;
}

/** A topic and the end of each of its partitions. */
type TopicEnds = readonly [topic: string, ends: readonly number[]];

/** Parts of a configuration as a user writes them, by top-level key. */
export type Sections = Readonly<Record<string, unknown>>;

export interface DestinationOptions {
  readonly behaviour?: Behaviour;
  readonly recording?: RecordingOptions;
  /** Makes the receiver a raw socket that breaks HTTP so. */
  readonly fault?: SocketFault;
  /** Keys of the destination as a user writes them. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** What the ledger says of one delivery, over all of its rows. */
export interface LedgerDelivery {
  readonly delivery_id: string;
  readonly attempts: number;
  readonly finals: number;
  readonly delivered: number;
}

const SETTLE_TIMEOUT_MS = 120_000;
/** Delay topics that a dispatcher makes for a scenario; few and short, since each is a topic more on the shared broker. */
const DELAYS_MS: readonly number[] = [500, 2_000, 10_000];

/**
 * One topic, one ledger engine behind HTTP, receivers, and dispatcher processes
 * that work on them: the parts of an end-to-end test, each real, each of its own.
 */
export class Scenario {
  readonly topic: string;
  readonly group: string;
  readonly receiver: Receiver;
  readonly owner: ClickHouseOwner;
  readonly ledger: Ledger;
  readonly #options: ScenarioOptions;
  readonly #dispatchers: DispatcherProcess[] = [];

  private constructor(options: ScenarioOptions, receiver: Receiver, owner: ClickHouseOwner, ledger: Ledger) {
    this.#options = options;
    this.topic = options.kafka.uniqueName('events');
    this.group = options.kafka.uniqueName('group');
    this.receiver = receiver;
    this.owner = owner;
    this.ledger = ledger;
  }

  static async open(options: ScenarioOptions): Promise<Scenario> {
    const receiver = await startReceiver({
      ports: Object.entries(options.destinations).map(([name, { settings: _, ...port }]) => ({
        name,
        ...port,
      })),
    });
    const owner = await startClickHouseOwner(options.ledger);
    const ledger = await openTestLedger({ url: owner.url });
    const scenario = new Scenario(options, receiver, owner, ledger);
    await options.kafka.createTopics([
      { name: scenario.topic, partitions: options.partitions },
      { name: scenario.deadLetterTopic, partitions: options.partitions },
      { name: scenario.badEventTopic, partitions: options.partitions },
    ]);
    return scenario;
  }

  get deadLetterTopic(): string {
    return `${this.topic}.dead-letter`;
  }

  get badEventTopic(): string {
    return `${this.topic}.bad-events`;
  }

  /** Shortest first. They are there once a dispatcher has started; the delays are those of the scenario. */
  get delayTopics(): readonly string[] {
    return DELAYS_MS.map((delayMs) => delayTopicName(`${this.topic}.retry`, delayMs));
  }

  /** Starts one more dispatcher of the same group; `config` is merged over the scenario's. */
  async startDispatcher(config: Sections = {}): Promise<DispatcherProcess> {
    const dispatcher = await startDispatcherProcess(this.configuration(config));
    this.#dispatchers.push(dispatcher);
    return dispatcher;
  }

  /** A dispatcher's configuration as a user writes it; `config` is merged over the scenario's. */
  configuration(config: Sections = {}): Record<string, unknown> {
    return merged(merged(this.#ownConfiguration(), this.#options.config ?? {}), config);
  }

  /** The `webhook-id`s that these events make at a destination that wants all of them. */
  expectedIds(
    events: readonly Pick<ProducedEvent, 'tenant' | 'eventId'>[],
    destination: string,
  ): Set<string> {
    return new Set(events.map((event) => deliveryId(event.tenant, event.eventId, destination)));
  }

  /** Waits until a destination has got so many requests. */
  async arrived(destination: string, count: number, timeoutMs = SETTLE_TIMEOUT_MS): Promise<void> {
    await waitFor(async () => (await this.receiver.count(destination)) >= count, {
      timeoutMs,
      what: () => `${count} requests\n${this.#outputs()}`,
    });
  }

  /**
   * How many requests a destination has got, once no more come: what a process that died sent before is in
   * the receiver's sockets for a moment yet.
   */
  async receivedAtRest(destination: string): Promise<number> {
    let before = -1;
    let now = -1;
    const isAtRest = async (): Promise<boolean> => {
      [before, now] = [now, await this.receiver.count(destination)];
      return now === before;
    };
    await waitFor(isAtRest, { timeoutMs: 10_000, intervalMs: 300, what: 'the last requests' });
    return now;
  }

  /** The `webhook-id` of each request that a destination has got. */
  async receivedIds(destination: string): Promise<string[]> {
    return (await this.receiver.requests(destination)).map((request) => request.webhookId);
  }

  /**
   * Waits until the group has committed the end of every partition, those of the delay
   * topics included. What is committed was handed over before, so where no end has moved
   * meanwhile nothing is out.
   */
  async settled(timeoutMs = SETTLE_TIMEOUT_MS): Promise<void> {
    let open: readonly string[] = [];
    await waitFor(
      async () => {
        const ends = await this.#ends();
        open = await this.#uncommitted(ends);
        return open.length === 0 && JSON.stringify(await this.#ends()) === JSON.stringify(ends);
      },
      {
        timeoutMs,
        intervalMs: 200,
        what: () => `commits of ${open.join(', ')}\n${this.#outputs()}`,
      },
    );
  }

  /** The same of the source topic alone: nothing is said of retries. */
  async sourceSettled(timeoutMs = SETTLE_TIMEOUT_MS): Promise<void> {
    const ends = [[this.topic, await this.#options.kafka.endOffsets(this.topic)]] as const;
    let open: readonly string[] = [];
    await waitFor(
      async () => {
        open = await this.#uncommitted(ends);
        return open.length === 0;
      },
      { timeoutMs, intervalMs: 50, what: () => `commits of ${open.join(', ')}\n${this.#outputs()}` },
    );
  }

  /** Every delivery of the ledger to a destination, by its id. */
  async ledgerDeliveries(destination: string): Promise<Map<string, LedgerDelivery>> {
    const rows = await this.ledger.query<LedgerDelivery>(
      `SELECT delivery_id, count() AS attempts, countIf(is_final) AS finals, countIf(outcome = 'delivered') AS delivered
       FROM attempts WHERE destination_id = {destination:String} GROUP BY delivery_id`,
      { destination },
    );
    return new Map(rows.map((row) => [row.delivery_id, row]));
  }

  async close(): Promise<void> {
    for (const dispatcher of this.#dispatchers) if (dispatcher.child.isRunning()) await dispatcher.kill();
    await this.ledger.close();
    await this.owner.stop();
    await this.receiver.stop();
  }

  #ownConfiguration(): Record<string, unknown> {
    const { kafka, destinations } = this.#options;
    return {
      kafka: {
        brokers: kafka.brokers,
        groupId: this.group,
        topics: [this.topic],
        deadLetterTopic: this.deadLetterTopic,
        badEventTopic: this.badEventTopic,
        commitInterval: '200ms',
      },
      clickhouse: { url: this.owner.url },
      retry: { topicPrefix: `${this.topic}.retry`, delays: DELAYS_MS.map((delayMs) => `${delayMs}ms`) },
      schemas: { folder: `${repositoryRoot}/schemas` },
      delivery: { allowAddresses: ['127.0.0.0/8'] },
      lanes: { count: 2 },
      destinations: Object.entries(destinations).map(([id, { settings }]) => ({
        id,
        tenant: '*',
        url: this.receiver.url(id),
        ...settings,
      })),
    };
  }

  /** Of each topic the group reads. */
  #ends(): Promise<TopicEnds[]> {
    return Promise.all(
      [this.topic, ...this.delayTopics].map(
        async (topic) => [topic, await this.#options.kafka.endOffsets(topic)] as const,
      ),
    );
  }

  /** Partitions with records that the group has not committed, as text. */
  async #uncommitted(topics: readonly TopicEnds[]): Promise<string[]> {
    const open: string[] = [];
    for (const [topic, ends] of topics) {
      const committed = await this.#options.kafka.committedOffsets(this.group, topic);
      for (const [partition, end] of ends.entries()) {
        if (end !== 0 && committed[partition] !== end)
          open.push(`${topic}/${partition} at ${committed[partition]} of ${end}`);
      }
    }
    return open;
  }

  #outputs(): string {
    return this.#dispatchers
      .map(({ child }) => child.output().split('\n').slice(-20).join('\n'))
      .join('\n---\n');
  }
}

/** One level deep: keys of a section that is a map in both are added to it, all else is replaced. */
function merged(base: Sections, over: Sections): Record<string, unknown> {
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const old = result[key];
    result[key] = isMap(old) && isMap(value) ? { ...old, ...value } : value;
  }
  return result;
}

function isMap(value: unknown): value is Sections {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
