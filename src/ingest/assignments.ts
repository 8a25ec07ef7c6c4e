import type { TopicPartition } from '../domain/record.ts';
import { Assignment } from './assignment.ts';

/** Assignment ids are 32-bit words in a batch; 0 is never given. */
const MAX_ID = 0xffff_fffe;

/** The partitions this process owns, by name and by id; the only place that changes an assignment's state. */
export class Assignments {
  readonly #byTopic = new Map<string, (Assignment | undefined)[]>();
  readonly #byId = new Map<number, Assignment>();
  readonly #delayOf: (topic: string) => number | null;
  #nextId = 1;

  /** @param delayOf the delay of a delay topic in milliseconds, null for any other topic. */
  constructor(delayOf: (topic: string) => number | null = () => null) {
    this.#delayOf = delayOf;
  }

  /** Takes a partition on under a new epoch. */
  begin({ topic, partition }: TopicPartition): Assignment {
    if (this.#nextId > MAX_ID) throw new RangeError('assignment ids are used up');
    const assignment = new Assignment(this.#nextId++, topic, partition, this.#delayOf(topic));
    const partitions = this.#byTopic.get(topic) ?? [];
    partitions[partition] = assignment;
    this.#byTopic.set(topic, partitions);
    this.#byId.set(assignment.id, assignment);
    return assignment;
  }

  /** From here on it admits nothing. */
  revoke(assignment: Assignment): void {
    assignment.state = 'revoking';
    assignment.dropStash();
  }

  end(assignment: Assignment): void {
    assignment.state = 'ended';
    assignment.dropStash();
    this.#byId.delete(assignment.id);
    const partitions = this.#byTopic.get(assignment.topic);
    if (partitions?.[assignment.partition] === assignment) partitions[assignment.partition] = undefined;
  }

  find(topic: string, partition: number): Assignment | undefined {
    return this.#byTopic.get(topic)?.[partition];
  }

  /** Undefined once it has ended. */
  get(id: number): Assignment | undefined {
    return this.#byId.get(id);
  }

  all(): IterableIterator<Assignment> {
    return this.#byId.values();
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Records admitted and not durable, over all partitions. */
  get openRecords(): number {
    let open = 0;
    for (const assignment of this.#byId.values()) open += assignment.frontier.open;
    return open;
  }

  /** One more thing must finish before the record is durable; nothing for an epoch that has ended. */
  hold(id: number, sequence: number): void {
    this.#byId.get(id)?.frontier.hold(sequence);
  }

  release(id: number, sequence: number): void {
    this.#byId.get(id)?.frontier.release(sequence);
  }
}
