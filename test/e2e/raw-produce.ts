import { once } from 'node:events';
import { connect } from 'node:net';

import type { RecordHeader } from '../../src/domain/record.ts';

export interface RawRecord {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly RecordHeader[];
}

const PRODUCE_KEY = 0;
const PRODUCE_VERSION = 3;
const TIMEOUT_MS = 10_000;
const CRC32C_POLYNOMIAL = 0x82f63b78;

/**
 * Produces one record in Kafka's own protocol (https://kafka.apache.org/protocol, record batch v2), because node-rdkafka
 * sends header values as text only, and a Java producer, say, any bytes.
 *
 * @returns its offset. @throws Error with Kafka's error code.
 */
export async function rawProduce(
  broker: string,
  topic: string,
  partition: number,
  record: RawRecord,
): Promise<number> {
  const batch = recordBatch(record);
  const body = Buffer.concat([
    ...[int16(PRODUCE_KEY), int16(PRODUCE_VERSION), int32(1), string('eventdispatch-test')],
    ...[int16(-1), int16(-1), int32(TIMEOUT_MS)],
    ...[int32(1), string(topic), int32(1), int32(partition), int32(batch.length), batch],
  ]);
  const answer = await exchange(broker, Buffer.concat([int32(body.length), body]));
  const at = 4 + 4 + 4 + 2 + Buffer.byteLength(topic) + 4 + 4;
  const error = answer.readInt16BE(at);
  if (error !== 0) throw new Error(`produce to ${topic}[${partition}]: Kafka error ${error}`);
  return Number(answer.readBigInt64BE(at + 2));
}

function recordBatch({ key, value, headers }: RawRecord): Buffer {
  const fields = [Buffer.of(0), varint(0), varint(0), sized(key), sized(value), varint(headers.length)];
  for (const [name, bytes] of headers) fields.push(sized(Buffer.from(name)), sized(bytes));
  const content = Buffer.concat(fields);
  const record = Buffer.concat([varint(content.length), content]);
  const now = int64(BigInt(Date.now()));
  // Attributes, last offset delta, first and last time; no producer id, epoch and sequence; how many records.
  const checked = Buffer.concat([
    ...[int16(0), int32(0), now, now],
    ...[int64(-1n), int16(-1), int32(-1), int32(1), record],
  ]);
  const crc = Buffer.alloc(4);
  crc.writeUInt32BE(crc32c(checked));
  // Leader epoch and magic number come before the checksum, which covers what comes after it.
  const sizedPart = Buffer.concat([int32(-1), Buffer.of(2), crc, checked]);
  return Buffer.concat([int64(0n), int32(sizedPart.length), sizedPart]);
}

async function exchange(broker: string, frame: Buffer): Promise<Buffer> {
  const [host = '', port] = broker.split(':');
  const socket = connect(Number(port), host);
  try {
    await once(socket, 'connect');
    socket.write(frame);
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      if (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) return received;
    }
    throw new Error('Kafka closed the connection instead of answering');
  } finally {
    socket.destroy();
  }
}

function crc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0);
  }
  return ~crc >>> 0;
}

function sized(bytes: Uint8Array | null): Buffer {
  return bytes === null ? varint(-1) : Buffer.concat([varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  for (; rest >= 0x80; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
}

function string(value: string): Buffer {
  return Buffer.concat([int16(Buffer.byteLength(value)), Buffer.from(value)]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
}
