import { isUtf8 } from 'node:buffer';
import kafka from 'node-rdkafka';
import { UserError, messageOf } from '../domain/errors.ts';
import type { RecordHeader } from '../domain/record.ts';

/** librdkafka's code for a full local queue. */
const QUEUE_FULL = -184;
const POLL_INTERVAL_MS = 5;
const CONNECT_TIMEOUT_MS = 30_000;
/** Begins the name of a header whose value is Base64 of what it was. */
const BASE64_PREFIX = 'eventdispatch-base64.';
const ADDRESSED = Buffer.alloc(1);

/** Told once per record: the broker has it at this place, or why it has not. */
export type OnAck = (error: KafkaError | null, partition: number, offset: number) => void;

/** What librdkafka said, with its code; negative codes are local, positive ones the broker's. */
export class KafkaError extends Error {
  readonly code: number;

  constructor(message: string, code: number) {
    super(message);
    this.name = 'KafkaError';
    this.code = code;
  }
}

/** A producer whose every record is acknowledged by callback. */
export class KafkaProducer {
  readonly #producer: kafka.Producer;
  #pending = 0;

  constructor(producer: kafka.Producer) {
    this.#producer = producer;
    producer.on('delivery-report', (error: kafka.LibrdKafkaError | null, report) => {
      this.#pending--;
      const onAck = report.opaque as OnAck;
      onAck(
        error === null ? null : new KafkaError(error.message, codeOf(error)),
        report.partition,
        report.offset,
      );
    });
    producer.setPollInterval(POLL_INTERVAL_MS);
  }

  /** Records that were taken and are not acknowledged yet. */
  get pending(): number {
    return this.#pending;
  }

  /**
   * Hands a record to librdkafka's queue.
   * @param partition null leaves the choice to the key's hash.
   * @param headers node-rdkafka carries text only; any other value goes in Base64, under `BASE64_PREFIX` and its name.
   * @returns false when the queue is full: poll, wait, and offer it again.
   * @throws KafkaError for what can never be sent (too large, unknown topic name …).
   */
  produce(
    topic: string,
    partition: number | null,
    key: Buffer | null,
    value: Buffer | null,
    headers: readonly RecordHeader[],
    onAck: OnAck,
  ): boolean {
    const native = headers.map(nativeHeader);
    try {
      this.#producer.produce(topic, partition, present(value), present(key), null, onAck, native);
    } catch (error) {
      const code = (error as { code?: number }).code ?? 0;
      if (code === QUEUE_FULL) return false;
      throw new KafkaError(messageOf(error), code);
    }
    this.#pending++;
    return true;
  }

  /** Serves acknowledgements now instead of at the next interval. */
  poll(): void {
    this.#producer.poll();
  }

  /** Waits until everything is acknowledged; rejects at the timeout. */
  flush(timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#producer.flush(timeoutMs, (error: kafka.LibrdKafkaError | null) => {
        this.#producer.poll();
        if (error === null) resolve();
        else reject(new KafkaError(error.message, error.code));
      });
    });
  }

  /** Every topic that this client may see, with its number of partitions. */
  topics(timeoutMs: number): Promise<ReadonlyMap<string, number>> {
    return new Promise((resolve, reject) => {
      const onMetadata = (error: kafka.LibrdKafkaError | null, metadata: kafka.Metadata): void => {
        if (error) reject(new KafkaError(error.message, error.code));
        else resolve(new Map(metadata.topics.map(({ name, partitions }) => [name, partitions.length])));
      };
      this.#producer.getMetadata({ timeout: timeoutMs }, onMetadata);
    });
  }

  /** Asks for a topic's metadata, which makes it where the cluster makes topics by themselves. */
  ask(topic: string, timeoutMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#producer.getMetadata({ topic, timeout: timeoutMs }, (error: kafka.LibrdKafkaError | null) => {
        if (error) reject(new KafkaError(error.message, error.code));
        else resolve();
      });
    });
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#producer.disconnect(() => {
        resolve();
      });
    });
  }
}

/** node-rdkafka makes a C string of a header's value: what is not UTF-8 it replaces, and at a zero byte it ends. */
function nativeHeader([name, bytes]: RecordHeader): kafka.MessageHeader {
  const value = Buffer.from(bytes);
  if (isUtf8(value) && !value.includes(0)) return { [name]: value };
  return { [BASE64_PREFIX + name]: value.toString('base64') };
}

/** It takes empty bytes for none where they have no address; a view on other memory has one. */
function present(bytes: Buffer | null): Buffer | null {
  return bytes?.length === 0 ? ADDRESSED.subarray(0, 0) : bytes;
}

const TOO_LARGE = 10;

/** node-rdkafka makes a delivery report's error of librdkafka's text alone, so the one code that matters is told by it. */
function codeOf(error: kafka.LibrdKafkaError): number {
  return /message size too large/i.test(error.message) ? TOO_LARGE : error.code;
}

/**
 * Connects a producer.
 * @throws UserError when no broker answers.
 */
export function openProducer(
  properties: Readonly<Record<string, string | number | boolean>>,
  onError: (message: string) => void = () => undefined,
): Promise<KafkaProducer> {
  const producer = new kafka.Producer({ ...properties, dr_cb: true }, {});
  producer.on('event.error', (error) => {
    onError(error.message);
  });
  return new Promise((resolve, reject) => {
    producer.connect({ timeout: CONNECT_TIMEOUT_MS }, (error: kafka.LibrdKafkaError | null | undefined) => {
      if (!error) resolve(new KafkaProducer(producer));
      else
        reject(
          new UserError([
            `kafka.brokers: ${String(properties['bootstrap.servers'])} does not answer: ${error.message}`,
          ]),
        );
    });
  });
}
