import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';

import { waitFor } from './wait.ts';

/**
 * The few requests of Kafka's protocol that the test support sends itself, in versions without compact encodings, so
 * that starting a broker, making topics and reading offsets need no librdkafka: an observer of its own.
 * Layouts: https://kafka.apache.org/protocol. One connection a call, plain text only.
 */
export interface TopicToCreate {
  readonly name: string;
  readonly partitions: number;
  readonly config?: Readonly<Record<string, string>>;
}

interface Api {
  readonly key: number;
  readonly version: number;
}

const LIST_OFFSETS: Api = { key: 2, version: 1 };
const METADATA: Api = { key: 3, version: 4 };
const OFFSET_FETCH: Api = { key: 9, version: 2 };
const FIND_COORDINATOR: Api = { key: 10, version: 0 };
const API_VERSIONS: Api = { key: 18, version: 0 };
const CREATE_TOPICS: Api = { key: 19, version: 4 };
const DELETE_TOPICS: Api = { key: 20, version: 1 };
const DELETE_RECORDS: Api = { key: 21, version: 0 };

const REQUEST_TIMEOUT_MS = 10_000;
/** Loading, not available, not here: each passes by itself on one node. */
const COORDINATOR_NOT_READY = [14, 15, 16];
const LATEST = -1n;
const EARLIEST = -2n;

/** Asks for the versions of the broker's APIs; true when it answered without an error. */
export async function answersApiVersions(broker: string): Promise<boolean> {
  const reader = await call(broker, API_VERSIONS, new Writer());
  return reader.int16() === 0;
}

/** Creates topics with one replica. @throws Error with the broker's reason, e.g. that a topic exists. */
export async function createTopics(broker: string, topics: readonly TopicToCreate[]): Promise<void> {
  const request = new Writer();
  request.array(topics, (topic) => {
    request.string(topic.name).int32(topic.partitions).int16(1).int32(0);
    request.array(Object.entries(topic.config ?? {}), ([key, value]) => request.string(key).string(value));
  });
  request.int32(REQUEST_TIMEOUT_MS).int8(0);
  const reader = await call(broker, CREATE_TOPICS, request);
  reader.int32();
  reader.array(() => {
    const name = reader.string();
    const code = reader.int16();
    const reason = reader.string();
    if (code !== 0) throw new Error(`topic ${name} was not created: ${reason} (error ${code})`);
  });
}

/** Deletes topics. @throws Error with the broker's error code. */
export async function deleteTopics(broker: string, names: readonly string[]): Promise<void> {
  const request = new Writer();
  request.array(names, (name) => request.string(name)).int32(REQUEST_TIMEOUT_MS);
  const reader = await call(broker, DELETE_TOPICS, request);
  reader.int32();
  reader.array(() => {
    const name = reader.string();
    checkCode(reader.int16(), `topic ${name} was not deleted`);
  });
}

/** Deletes the records of partitions below an offset each, as retention would. */
export async function deleteRecords(
  broker: string,
  topic: string,
  beforeOffsets: ReadonlyMap<number, number>,
): Promise<void> {
  const request = new Writer().int32(1).string(topic);
  request.array([...beforeOffsets], ([partition, offset]) => request.int32(partition).int64(BigInt(offset)));
  request.int32(REQUEST_TIMEOUT_MS);
  const reader = await call(broker, DELETE_RECORDS, request);
  reader.int32();
  reader.array(() => {
    reader.string();
    reader.array(() => {
      const partition = reader.int32();
      reader.int64();
      checkCode(reader.int16(), `records of ${topic}[${partition}] were not deleted`);
    });
  });
}

/** The leader of each partition of a topic (-1: none now), by partition number; empty when there is no such topic. */
export async function partitionLeaders(broker: string, topic: string): Promise<number[]> {
  const request = new Writer().int32(1).string(topic).int8(0);
  const reader = await call(broker, METADATA, request);
  reader.int32();
  reader.array(() => {
    reader.int32();
    reader.string();
    reader.int32();
    reader.string();
  });
  reader.string();
  reader.int32();
  const leaders: number[] = [];
  reader.array(() => {
    reader.int16();
    reader.string();
    reader.int8();
    reader.array(() => {
      reader.int16();
      const partition = reader.int32();
      leaders[partition] = reader.int32();
      reader.array(() => reader.int32());
      reader.array(() => reader.int32());
    });
  });
  return leaders;
}

/** The next offset of each partition of a topic (its end), by partition number. */
export function endOffsets(broker: string, topic: string): Promise<number[]> {
  return listOffsets(broker, topic, LATEST);
}

/** The first offset still there of each partition of a topic, by partition number. */
export function startOffsets(broker: string, topic: string): Promise<number[]> {
  return listOffsets(broker, topic, EARLIEST);
}

/**
 * What a consumer group has committed for each partition of a topic, by partition number; -1: nothing. Waits for the
 * group's coordinator, which a fresh broker brings up on first use.
 */
export async function committedOffsets(broker: string, group: string, topic: string): Promise<number[]> {
  const partitions = [...(await partitionLeaders(broker, topic)).keys()];
  return waitFor(() => fetchOffsets(broker, group, topic, partitions), {
    timeoutMs: REQUEST_TIMEOUT_MS,
    what: `the coordinator of group ${group}`,
  });
}

async function fetchOffsets(
  broker: string,
  group: string,
  topic: string,
  partitions: readonly number[],
): Promise<number[] | undefined> {
  await call(broker, FIND_COORDINATOR, new Writer().string(group));
  const request = new Writer().string(group).int32(1).string(topic);
  request.array(partitions, (partition) => request.int32(partition));
  const reader = await call(broker, OFFSET_FETCH, request);
  const offsets: number[] = [];
  const codes = new Set<number>();
  reader.array(() => {
    reader.string();
    reader.array(() => {
      const partition = reader.int32();
      offsets[partition] = Number(reader.int64());
      reader.string();
      codes.add(reader.int16());
    });
  });
  codes.add(reader.int16());
  if (COORDINATOR_NOT_READY.some((code) => codes.has(code))) return undefined;
  for (const code of codes) checkCode(code, `no committed offsets of group ${group} for ${topic}`);
  return offsets;
}

async function listOffsets(broker: string, topic: string, timestamp: bigint): Promise<number[]> {
  const partitions = (await partitionLeaders(broker, topic)).keys();
  const request = new Writer().int32(-1).int32(1).string(topic);
  request.array([...partitions], (partition) => request.int32(partition).int64(timestamp));
  const reader = await call(broker, LIST_OFFSETS, request);
  const offsets: number[] = [];
  reader.array(() => {
    reader.string();
    reader.array(() => {
      const partition = reader.int32();
      checkCode(reader.int16(), `no offset of ${topic}[${partition}]`);
      reader.int64();
      offsets[partition] = Number(reader.int64());
    });
  });
  return offsets;
}

function checkCode(code: number, what: string): void {
  if (code !== 0) throw new Error(`${what}: Kafka error ${code}`);
}

/** One request on a connection of its own; the reader stands behind the correlation id. */
async function call(broker: string, api: Api, body: Writer): Promise<Reader> {
  const [host = '', port] = broker.split(':');
  const socket = connect(Number(port), host);
  socket.setTimeout(REQUEST_TIMEOUT_MS, () =>
    socket.destroy(new Error(`Kafka at ${broker} did not answer in time`)),
  );
  try {
    await once(socket, 'connect');
    const header = new Writer()
      .int16(api.key)
      .int16(api.version)
      .int32(1)
      .string('eventdispatch-test-support');
    const frame = Buffer.concat([header.bytes(), body.bytes()]);
    socket.write(Buffer.concat([new Writer().int32(frame.length).bytes(), frame]));
    const reader = new Reader(await readFrame(socket));
    reader.int32();
    return reader;
  } finally {
    socket.destroy();
  }
}

async function readFrame(socket: Socket): Promise<Buffer> {
  let received = Buffer.alloc(0);
  for await (const chunk of socket) {
    received = Buffer.concat([received, chunk as Buffer]);
    if (received.length < 4) continue;
    const end = 4 + received.readInt32BE(0);
    if (received.length >= end) return received.subarray(4, end);
  }
  throw new Error('Kafka closed the connection instead of answering');
}

/** Appends Kafka's non-compact types. */
class Writer {
  readonly #parts: Buffer[] = [];

  int8(value: number): this {
    return this.#integer(1, (part) => part.writeInt8(value));
  }

  int16(value: number): this {
    return this.#integer(2, (part) => part.writeInt16BE(value));
  }

  int32(value: number): this {
    return this.#integer(4, (part) => part.writeInt32BE(value));
  }

  int64(value: bigint): this {
    return this.#integer(8, (part) => part.writeBigInt64BE(value));
  }

  string(value: string): this {
    const bytes = Buffer.from(value);
    this.int16(bytes.length);
    this.#parts.push(bytes);
    return this;
  }

  array<T>(items: readonly T[], writeItem: (item: T) => unknown): this {
    this.int32(items.length);
    for (const item of items) writeItem(item);
    return this;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#parts);
  }

  #integer(size: number, write: (part: Buffer) => void): this {
    const part = Buffer.alloc(size);
    write(part);
    this.#parts.push(part);
    return this;
  }
}

/** Reads Kafka's non-compact types in order. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  int8(): number {
    return this.#bytes.readInt8(this.#advance(1));
  }

  int16(): number {
    return this.#bytes.readInt16BE(this.#advance(2));
  }

  int32(): number {
    return this.#bytes.readInt32BE(this.#advance(4));
  }

  int64(): bigint {
    return this.#bytes.readBigInt64BE(this.#advance(8));
  }

  /** A string; a null one reads as the empty string. */
  string(): string {
    const length = Math.max(0, this.int16());
    const start = this.#advance(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  array(readItem: () => unknown): void {
    const count = this.int32();
    for (let index = 0; index < count; index += 1) readItem();
  }

  #advance(size: number): number {
    const at = this.#at;
    this.#at += size;
    return at;
  }
}
