import type {
  RecordHeader,
  SourceRecord,
  TopicPartition,
  TopicPartitionOffset,
} from '../../src/domain/record.ts';
import { placeOf, UNKNOWN_MEMBER, type FakeBroker, type StoredRecord } from './fake-broker.ts';
import type { Owner } from './virtual-time.ts';

const IDLE_POLL_MS = 300;
const HEARTBEAT_MS = 3_000;

type PollCallback = (error: string | null, records: readonly SourceRecord[]) => void;
type AckCallback = (error: (Error & { readonly code: number }) | null) => void;

export interface MemberListener {
  onAssign(partitions: readonly TopicPartition[]): void;
  onRevoke(partitions: readonly TopicPartition[]): void;
  onCommit(error: string | null, offsets: readonly TopicPartitionOffset[], isEvicted: boolean): void;
  /** A record was read; its value's memory is its own. */
  onRead(record: SourceRecord): void;
  /** Something was done on which the process may die. */
  onStep(): void;
}

/** What a process has of the broker: `KafkaConsumer` and `KafkaProducer` in one. Calls of a dead process do nothing. */
export class BrokerMember {
  readonly owner: Owner;
  isMember = false;
  silences = 0;
  /** What the group has given it, and it has not given back. */
  given: readonly TopicPartition[] = [];
  readonly #broker: FakeBroker;
  readonly #listener: MemberListener;
  #generation = -1;
  /** It was told to give up, and has not answered. */
  #isAsked = false;
  /** The next offset of what it reads. */
  readonly #positions = new Map<string, number>();
  readonly #paused = new Set<string>();
  #poll: { readonly max: number; readonly callback: PollCallback } | null = null;
  #isAnswering = false;
  #lastGroupEventMs = 0;
  #lastCommitMs = 0;
  #lastAnswerMs = 0;
  #turn = 0;

  constructor(broker: FakeBroker, owner: Owner, listener: MemberListener) {
    this.#broker = broker;
    this.owner = owner;
    this.#listener = listener;
  }

  // What the group says.

  give(generation: number, partitions: readonly TopicPartition[]): void {
    this.given = partitions;
    this.#tell(() => {
      this.#generation = generation;
      if (partitions.length > 0) this.#listener.onAssign(partitions);
    });
  }

  askToGiveUp(): void {
    if (this.given.length === 0 || this.#isAsked) return;
    this.#isAsked = true;
    const { given } = this;
    this.#tell(() => {
      this.#listener.onRevoke(given);
    });
  }

  /** Heard of at the next heartbeat: then all it had is lost, and it joins again. */
  onEvicted(): void {
    this.isMember = false;
    const { time, faults } = this.#broker;
    this.#lastGroupEventMs = Math.max(this.#lastGroupEventMs, time.nowMs + faults.latencyMs(HEARTBEAT_MS));
    if (this.given.length > 0) this.askToGiveUp();
    else
      this.#tell(() => {
        this.#broker.join(this);
      });
  }

  /** In order, as from one connection. */
  #tell(say: () => void): void {
    const { time, faults } = this.#broker;
    this.#lastGroupEventMs = Math.max(this.#lastGroupEventMs + 1, time.nowMs + faults.latencyMs(100));
    time.at(this.#lastGroupEventMs - time.nowMs, this.owner, say);
  }

  // KafkaConsumer.

  assign(partitions: readonly TopicPartition[]): void {
    if (this.owner.state === 'dead') return;
    for (const place of partitions) {
      this.#positions.set(
        placeOf(place.topic, place.partition),
        Math.max(0, this.#broker.committedOf(place)),
      );
    }
    this.onAppended();
  }

  unassign(): void {
    if (this.owner.state === 'dead') return;
    this.#positions.clear();
    this.given = [];
    this.#isAsked = false;
    if (this.isMember) this.#broker.onUnassigned();
    else this.#broker.join(this);
  }

  poll(max: number, callback: PollCallback): void {
    const { time, faults } = this.#broker;
    const poll = { max, callback };
    this.#poll = poll;
    this.#isAnswering = false;
    if (this.#hasRecords()) this.onAppended();
    else
      time.at(IDLE_POLL_MS + faults.latencyMs(20), this.owner, () => {
        if (this.#poll === poll) this.#answerPoll();
      });
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#paused.add(placeOf(topic, partition));
  }

  resume(partitions: readonly TopicPartition[]): void {
    for (const { topic, partition } of partitions) this.#paused.delete(placeOf(topic, partition));
    this.onAppended();
  }

  hold(place: TopicPartition): void {
    this.pause([place]);
  }

  release(place: TopicPartition): void {
    this.resume([place]);
  }

  seek({ topic, partition, offset }: TopicPartitionOffset, callback: (error: string | null) => void): void {
    const { time, faults } = this.#broker;
    const name = placeOf(topic, partition);
    const isRefused = faults.happens('seekFails');
    time.at(faults.latencyMs(20), this.owner, () => {
      if (isRefused || !this.#positions.has(name)) callback('Local: Timed out');
      else {
        this.#positions.set(name, offset);
        callback(null);
      }
    });
  }

  /** Arrives in order, and is answered in order. */
  commit(offsets: readonly TopicPartitionOffset[]): void {
    const { time, faults } = this.#broker;
    if (this.owner.state === 'dead') return;
    if (faults.happens('commitThrows')) throw new Error('Local: Erroneous state');
    const generation = this.#generation;
    this.#lastCommitMs = Math.max(this.#lastCommitMs + 1, time.nowMs + faults.latencyMs(30));
    time.at(this.#lastCommitMs - time.nowMs, null, () => {
      const isRefused = faults.happens('commitRefused');
      const error = isRefused ? 'Broker: Not coordinator' : this.#broker.commit(this, generation, offsets);
      this.#listener.onStep();
      const isLost = error === null && faults.happens('commitAnswerLost');
      this.#lastAnswerMs = Math.max(this.#lastAnswerMs + 1, time.nowMs + faults.latencyMs(20));
      time.at(this.#lastAnswerMs - time.nowMs, this.owner, () => {
        if (isLost) this.#listener.onCommit('Local: Timed out', [], false);
        else this.#listener.onCommit(error, error === null ? offsets : [], error === UNKNOWN_MEMBER);
      });
    });
  }

  committed(partitions: readonly TopicPartition[]): Promise<readonly TopicPartitionOffset[]> {
    const { time, faults } = this.#broker;
    return new Promise((resolve, reject) => {
      time.at(faults.latencyMs(30), this.owner, () => {
        if (faults.happens('committedFails')) reject(new Error('Local: Timed out'));
        else resolve(partitions.map((place) => ({ ...place, offset: this.#broker.committedOf(place) })));
      });
    });
  }

  // KafkaProducer.

  produce(
    topic: string,
    partition: number | null,
    key: Buffer | null,
    value: Buffer | null,
    headers: readonly RecordHeader[],
    onAck: AckCallback,
  ): boolean {
    const { time, faults } = this.#broker;
    if (this.owner.state === 'dead') return true;
    if (faults.happens('produceQueueFull')) return false;
    if (faults.happens('produceThrows')) throw kafkaError('Local: Unknown topic', -188);
    const number = partition ?? faults.random.between(0, this.#broker.partitions - 1);
    const isRefused = faults.happens('produceRefused');
    const isLost = faults.happens('produceAnswerLost');
    time.at(faults.latencyMs(40), null, () => {
      if (!isRefused) this.#broker.append(topic, number, { key, value, headers }, this, isLost);
      this.#listener.onStep();
      time.at(faults.latencyMs(20), this.owner, () => {
        onAck(isRefused || isLost ? kafkaError('Local: Message timed out', -192) : null);
      });
    });
    return true;
  }

  /** Dead, or gone on purpose. */
  leave(): void {
    this.given = [];
    this.#broker.leave(this);
  }

  /** There may be something to read. */
  onAppended(): void {
    if (this.#poll === null || this.#isAnswering || !this.#hasRecords()) return;
    const { time, faults } = this.#broker;
    this.#isAnswering = true;
    const poll = this.#poll;
    time.at(faults.latencyMs(20), this.owner, () => {
      if (this.#poll === poll) this.#answerPoll();
    });
  }

  #hasRecords(): boolean {
    for (const [name, position] of this.#positions) {
      if (!this.#paused.has(name) && this.#nextOf(name, position) !== undefined) return true;
    }
    return false;
  }

  #nextOf(name: string, position: number): StoredRecord | undefined {
    const [topic, partition] = splitPlace(name);
    return this.#broker.log(topic, partition).records.find(({ offset }) => offset >= position);
  }

  #answerPoll(): void {
    const { max, callback } = this.#poll!;
    this.#poll = null;
    const most = Math.min(max, this.#broker.faults.random.between(1, 12));
    const names = [...this.#positions.keys()].filter((name) => !this.#paused.has(name));
    const records: SourceRecord[] = [];
    for (let misses = 0; records.length < most && misses < names.length;) {
      const name = names[this.#turn++ % names.length]!;
      const record = this.#nextOf(name, this.#positions.get(name)!);
      if (record === undefined) {
        misses++;
        continue;
      }
      this.#positions.set(name, record.offset + 1);
      const read = readOf(name, record);
      this.#listener.onRead(read);
      records.push(read);
    }
    callback(null, records);
  }
}

function splitPlace(name: string): [topic: string, partition: number] {
  const slash = name.lastIndexOf('/');
  return [name.slice(0, slash), Number(name.slice(slash + 1))];
}

/** In memory of its own, by which what becomes of it can be told. */
function readOf(name: string, { offset, timestampMs, key, value, headers }: StoredRecord): SourceRecord {
  const [topic, partition] = splitPlace(name);
  const copy = (bytes: Uint8Array): Buffer => Buffer.from(new Uint8Array(bytes).buffer);
  return {
    topic,
    partition,
    offset,
    timestamp: timestampMs,
    key: key && copy(key),
    value: value && copy(value),
    headers: headers.map(([header, bytes]) => ({ [header]: Buffer.from(bytes) })),
  };
}

function kafkaError(message: string, code: number): Error & { readonly code: number } {
  return Object.assign(new Error(message), { code });
}
