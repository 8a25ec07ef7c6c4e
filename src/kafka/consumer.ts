import kafka from 'node-rdkafka';
import type { TopicPartition, TopicPartitionOffset } from '../domain/record.ts';
import { RecordReader } from './record-reader.ts';

const { ERRORS } = kafka.CODES;
/** The broker's answers to a member whose partitions it has given away. */
const EVICTED_CODES: ReadonlySet<number | undefined> = new Set([
  ERRORS.ERR_UNKNOWN_MEMBER_ID,
  ERRORS.ERR_FENCED_INSTANCE_ID,
  ERRORS.ERR_FENCED_MEMBER_EPOCH,
]);

/** What the group tells its member. Assign and revoke must each be answered, at once or later. */
export interface ConsumerListener {
  /** To be answered by `assign`. */
  onAssign(partitions: readonly TopicPartition[]): void;
  /** To be answered by `unassign`, after what can be finished is finished and committed. */
  onRevoke(partitions: readonly TopicPartition[]): void;
  /** @param isEvicted the broker does not know this member any more, so its partitions are others' already. */
  onCommit(error: string | null, offsets: readonly TopicPartitionOffset[], isEvicted: boolean): void;
  onError(message: string): void;
  /** Told every few seconds: whether any broker can be reached. */
  onConnection(isUp: boolean): void;
}

/**
 * One member of a consumer group over node-rdkafka, in non-flowing mode: nothing
 * is read but by `poll`, which must be called again and again even when every
 * partition is paused, or the group evicts the member.
 */
export class KafkaConsumer extends RecordReader {
  /** What was offered and not answered yet. Leaving waits for that answer, which nobody can give any more then. */
  #offered: readonly TopicPartition[] | null = null;

  /**
   * Connects and subscribes. Assignments arrive at the listener while polling.
   * @throws UserError when no broker answers.
   */
  static async open(
    properties: Readonly<Record<string, string | number | boolean>>,
    topics: readonly string[],
    listener: ConsumerListener,
  ): Promise<KafkaConsumer> {
    const { 'auto.offset.reset': offsetReset, ...rest } = properties;
    const consumer: kafka.KafkaConsumer = new kafka.KafkaConsumer(
      {
        ...rest,
        rebalance_cb: (error: kafka.LibrdKafkaError, partitions: TopicPartition[]) => {
          if (error.code === ERRORS.ERR__ASSIGN_PARTITIONS) opened.#offer(partitions, listener);
          else if (error.code === ERRORS.ERR__REVOKE_PARTITIONS) listener.onRevoke(partitions);
          else listener.onError(`rebalance: ${error.message}`);
        },
        offset_commit_cb: (
          error: kafka.LibrdKafkaError | null,
          offsets: readonly (TopicPartitionOffset | Error)[],
        ) => {
          // A partition that was refused while others were not is an Error in its place, and no error of the whole.
          const refused = offsets.find((offset) => offset instanceof Error);
          const accepted = offsets.filter(
            (offset): offset is TopicPartitionOffset => !(offset instanceof Error),
          );
          const problem: { message: string; code?: number } | null = error ?? refused ?? null;
          listener.onCommit(problem?.message ?? null, accepted, EVICTED_CODES.has(problem?.code));
        },
      },
      { 'auto.offset.reset': offsetReset as 'earliest' | 'latest' | 'error' },
    );
    const opened = new KafkaConsumer(consumer);
    consumer.on('event.error', (error) => {
      listener.onError(error.message);
    });
    consumer.on('event.stats', (stats: { readonly message: string }) => {
      listener.onConnection(isAnyBrokerUp(stats.message));
    });
    await opened.connect(String(properties['bootstrap.servers']));
    consumer.subscribe(topics.map((topic) => (topic.startsWith('^') ? new RegExp(topic) : topic)));
    return opened;
  }

  /** Takes partitions on: added to the others under an incremental protocol, instead of them under an eager one. */
  assign(partitions: readonly TopicPartition[]): void {
    if (this.isClosing) return;
    this.#offered = null;
    if (this.#isIncremental) this.consumer.incrementalAssign([...partitions]);
    else this.consumer.assign([...partitions]);
  }

  unassign(partitions: readonly TopicPartition[]): void {
    if (this.#isIncremental) this.consumer.incrementalUnassign([...partitions]);
    else this.consumer.unassign();
  }

  /** Asks for a commit; the answer comes to `onCommit`. Never lower one: the broker would accept it. */
  commit(offsets: readonly TopicPartitionOffset[]): void {
    this.consumer.commit([...offsets]);
  }

  /**
   * Where the group resumes each partition; −1 where it never committed.
   * @throws Error when the broker does not answer in time.
   */
  committed(
    partitions: readonly TopicPartition[],
    timeoutMs: number,
  ): Promise<readonly TopicPartitionOffset[]> {
    return new Promise((resolve, reject) => {
      this.consumer.committed([...partitions], timeoutMs, (error: kafka.LibrdKafkaError | null, found) => {
        if (error) reject(new Error(error.message));
        else resolve(found.map(toPlace));
      });
    });
  }

  /**
   * Where a partition begins and ends on the broker now.
   * @throws Error when it does not answer in time.
   */
  watermarks(
    topic: string,
    partition: number,
    timeoutMs: number,
  ): Promise<{ readonly low: number; readonly high: number }> {
    return new Promise((resolve, reject) => {
      this.consumer.queryWatermarkOffsets(
        topic,
        partition,
        timeoutMs,
        (error: kafka.LibrdKafkaError | null, found: kafka.WatermarkOffsets) => {
          if (error) reject(new Error(`${topic}[${partition}]: ${error.message}`));
          else resolve({ low: found.lowOffset, high: found.highOffset });
        },
      );
    });
  }

  /** Leaves the group. */
  override close(timeoutMs: number): Promise<'closed' | 'timed_out'> {
    if (this.#offered !== null) this.assign(this.#offered);
    return super.close(timeoutMs);
  }

  #offer(partitions: readonly TopicPartition[], listener: ConsumerListener): void {
    // A client that is closing takes no assignment, but hears that there is none.
    if (this.isClosing) {
      this.unassign(partitions);
      return;
    }
    this.#offered = partitions;
    listener.onAssign(partitions);
  }

  get #isIncremental(): boolean {
    return this.consumer.rebalanceProtocol() === 'COOPERATIVE';
  }
}

/** librdkafka leaves the offset out where nothing was committed, which its types do not say. */
function toPlace({
  topic,
  partition,
  offset,
}: TopicPartition & { readonly offset?: number }): TopicPartitionOffset {
  return { topic, partition, offset: offset ?? -1 };
}

/** Reads librdkafka's statistics (STATISTICS.md): the state of each broker connection. */
function isAnyBrokerUp(statistics: string): boolean {
  const { brokers } = JSON.parse(statistics) as { brokers: Record<string, { state: string }> };
  return Object.values(brokers).some(({ state }) => state === 'UP');
}
