import type { RecordHeader, TopicPartition, TopicPartitionOffset } from '../../src/domain/record.ts';
import type { Faults } from './faults.ts';
import type { Owner, VirtualTime } from './virtual-time.ts';

/** A member that is not heard of for so long is evicted. */
const SESSION_MS = 6_000;
/** A member that has not given its partitions up after so long is evicted. */
const REBALANCE_TIMEOUT_MS = 15_000;

/** A member of the group, as the group knows it: `BrokerMember`. */
/** What it says to the commit of a member that it has evicted. */
export const UNKNOWN_MEMBER = 'Broker: Unknown member';

export interface GroupMember {
  readonly owner: Owner;
  isMember: boolean;
  silences: number;
  given: readonly TopicPartition[];
  give(generation: number, partitions: readonly TopicPartition[]): void;
  askToGiveUp(): void;
  onEvicted(): void;
  onAppended(): void;
}

export interface StoredRecord {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: readonly RecordHeader[];
}

/** What the judge hears of. */
export interface BrokerWitness {
  onStored(
    topic: string,
    partition: number,
    record: StoredRecord,
    by: GroupMember | null,
    value: Uint8Array | null,
    isAnswerLost: boolean,
  ): void;
  onCommitted(place: TopicPartitionOffset, before: number): void;
}

interface Log {
  readonly records: StoredRecord[];
  nextOffset: number;
}

export const placeOf = (topic: string, partition: number): string => `${topic}/${partition}`;

/**
 * A broker whose logs and committed offsets outlive every process, with a group whose
 * members share the partition numbers (eager, by range). Like Kafka it takes a commit of
 * any member of the present generation, for whatever partition, lower ones too.
 */
export class FakeBroker {
  readonly time: VirtualTime;
  readonly faults: Faults;
  readonly witness: BrokerWitness;
  readonly partitions: number;
  /** Subscribed to by every member. */
  readonly topics: readonly string[];
  readonly committed = new Map<string, number>();
  /** Whose each partition number is; null while nobody was given it. */
  readonly owners: (GroupMember | null)[];
  generation = 0;
  rebalances = 0;
  evictions = 0;
  readonly #logs = new Map<string, Log>();
  readonly #members = new Set<GroupMember>();
  #isPreparing = false;

  constructor(
    time: VirtualTime,
    faults: Faults,
    witness: BrokerWitness,
    topics: readonly string[],
    partitions: number,
  ) {
    this.time = time;
    this.faults = faults;
    this.witness = witness;
    this.topics = topics;
    this.partitions = partitions;
    this.owners = new Array<GroupMember | null>(partitions).fill(null);
  }

  log(topic: string, partition: number): Log {
    const name = placeOf(topic, partition);
    let log = this.#logs.get(name);
    if (log === undefined) {
      log = { records: [], nextOffset: 0 };
      this.#logs.set(name, log);
    }
    return log;
  }

  committedOf({ topic, partition }: TopicPartition): number {
    return this.committed.get(placeOf(topic, partition)) ?? -1;
  }

  append(
    topic: string,
    partition: number,
    content: Pick<StoredRecord, 'key' | 'value' | 'headers'>,
    by: GroupMember | null = null,
    isAnswerLost = false,
  ): void {
    const log = this.log(topic, partition);
    // Transactions and compaction leave gaps.
    if (this.faults.random.chance(0.1)) log.nextOffset += this.faults.random.between(1, 3);
    const copy = (bytes: Uint8Array | null): Uint8Array | null => bytes && new Uint8Array(bytes);
    const record: StoredRecord = {
      offset: log.nextOffset++,
      timestampMs: this.time.wallMs(),
      key: copy(content.key),
      value: copy(content.value),
      headers: content.headers,
    };
    log.records.push(record);
    this.witness.onStored(topic, partition, record, by, content.value, isAnswerLost);
    for (const member of this.#members) member.onAppended();
  }

  join(member: GroupMember): void {
    this.#members.add(member);
    member.isMember = true;
    this.#rebalance();
  }

  leave(member: GroupMember): void {
    if (this.#members.delete(member)) this.#rebalance();
  }

  /** It stands still or is dead from now on; the group finds out after the session's time. */
  onSilent(member: GroupMember): void {
    const { owner } = member;
    const silence = ++member.silences;
    this.time.at(SESSION_MS, null, () => {
      if (owner.state !== 'running' && member.silences === silence) this.#evict(member);
    });
  }

  /** @returns what Kafka says to a commit, null when it is taken. */
  commit(member: GroupMember, generation: number, offsets: readonly TopicPartitionOffset[]): string | null {
    if (!member.isMember) return UNKNOWN_MEMBER;
    if (generation !== this.generation) return 'Broker: Specified group generation id is not valid';
    for (const place of offsets) {
      const before = this.committedOf(place);
      this.committed.set(placeOf(place.topic, place.partition), place.offset);
      this.witness.onCommitted(place, before);
    }
    return null;
  }

  /** It has given up what it had. */
  onUnassigned(): void {
    this.#completeIfReady();
  }

  #evict(member: GroupMember): void {
    if (!this.#members.delete(member)) return;
    this.evictions++;
    member.onEvicted();
    this.#rebalance();
  }

  #rebalance(): void {
    if (!this.#isPreparing) {
      this.#isPreparing = true;
      this.rebalances++;
      const asked = this.rebalances;
      this.time.at(REBALANCE_TIMEOUT_MS, null, () => {
        if (!this.#isPreparing || this.rebalances !== asked) return;
        for (const member of [...this.#members]) if (member.given.length > 0) this.#evict(member);
      });
    }
    for (const member of this.#members) member.askToGiveUp();
    this.#completeIfReady();
  }

  #completeIfReady(): void {
    if (!this.#isPreparing) return;
    const members = [...this.#members];
    if (members.some((member) => member.given.length > 0)) return;
    this.#isPreparing = false;
    this.generation++;
    this.owners.fill(null);
    members.forEach((member, index) => {
      const numbers = this.owners.flatMap((_, number) => (number % members.length === index ? [number] : []));
      for (const number of numbers) this.owners[number] = member;
      member.give(
        this.generation,
        this.topics.flatMap((topic) => numbers.map((partition) => ({ topic, partition }))),
      );
    });
  }
}
