import { hostname } from 'node:os';
import type { Config } from '../../config/config.ts';
import { placeText } from '../../dead/dead-letter.ts';
import type { Place } from '../../dead/dead-letter.ts';
import { spansOf } from '../../dead/scan.ts';
import type { ScanParts, Span } from '../../dead/scan.ts';
import { systemClock } from '../../domain/clock.ts';
import { UserError } from '../../domain/errors.ts';
import type { TopicReader } from '../../kafka/topic-reader.ts';
import type { Ledger } from '../../ledger/client.ts';
import { LedgerMarks } from './ledger-marks.ts';

/** The dead-letter topic and the ledger, opened for one command. */
export interface DeadLetters extends ScanParts {
  readonly topic: string;
  readonly brokers: string;
  readonly reader: TopicReader;
  readonly ledger: Ledger;
  readonly marks: LedgerMarks;
  /** All that the topic holds now. */
  spans(): Promise<readonly Span[]>;
  /** @throws UserError for a place that the topic does not have, or no longer. */
  spansOf(places: readonly Place[]): Promise<readonly Span[]>;
  close(): Promise<void>;
}

/** @throws UserError when the configuration names no system that is there without a dispatcher's process. */
export async function openDeadLetters(config: Config): Promise<DeadLetters> {
  const brokers = assertReachable(config);
  // Loaded only now, so that a wrong option is told without native modules.
  const [{ TopicReader }, { consumerProperties }, { openLedger }] = await Promise.all([
    import('../../kafka/topic-reader.ts'),
    import('../../kafka/properties.ts'),
    import('../../ledger/client.ts'),
  ]);
  const topic = config.kafka.deadLetterTopic;
  const ledger = await openLedger(config.clickhouse);
  try {
    await assertUsable(ledger);
    const reader = await TopicReader.open(consumerProperties(config.kafka, brokers));
    const instance = `dead-${hostname()}-${process.pid}`;
    return {
      topic,
      brokers,
      reader,
      ledger,
      marks: new LedgerMarks({
        ledger,
        topic,
        instance,
        clock: systemClock,
        destinations: config.destinations,
      }),
      letters: { read: (span, onRecords) => reader.read(topic, span, onRecords) },
      spans: () => allSpans(reader, topic),
      spansOf: async (places) => {
        assertThere(places, await allSpans(reader, topic), topic);
        return spansOf(places);
      },
      close: async () => {
        await reader.close();
        await ledger.close();
      },
    };
  } catch (error) {
    await ledger.close();
    throw error;
  }
}

function assertReachable({ kafka, clickhouse }: Config): string {
  if (kafka.brokers === null)
    throw new UserError([
      'no dead letters to read: kafka.brokers is not set, and the embedded broker is only inside a running `start`',
    ]);
  if (clickhouse.url === null && clickhouse.embeddedPath === null)
    throw new UserError([
      'no ledger to read: set clickhouse.url (or clickhouse.embeddedPath, for when no dispatcher has it open); without both the ledger is only inside a running `start`',
    ]);
  return kafka.brokers;
}

/** @throws UserError when the ledger does not answer, or has no columns for what is asked of it. */
async function assertUsable(ledger: Ledger): Promise<void> {
  try {
    await ledger.query('SELECT retry_topic FROM attempts LIMIT 0');
  } catch (error) {
    const message = error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error);
    throw new UserError([
      `ledger ${ledger.database}: ${message} (\`eventdispatch migrate\` makes its tables, or brings them up to date)`,
    ]);
  }
}

async function allSpans(reader: TopicReader, topic: string): Promise<readonly Span[]> {
  const partitions = await reader.partitions(topic);
  const numbers = Array.from({ length: partitions }, (_, partition) => partition);
  return Promise.all(numbers.map((partition) => reader.bounds(topic, partition)));
}

function assertThere(places: readonly Place[], spans: readonly Span[], topic: string): void {
  const problems = places.flatMap((place) => {
    const span = spans.find(({ partition }) => partition === place.partition);
    if (span === undefined) return [`${placeText(place)}: ${topic} has ${spans.length} partitions`];
    if (place.offset >= span.from && place.offset < span.end) return [];
    const held = span.end > span.from ? `holds ${span.from} to ${span.end - 1}` : 'is empty';
    return [`${placeText(place)}: no dead letter there; partition ${span.partition} of ${topic} ${held}`];
  });
  if (problems.length > 0) throw new UserError(problems);
}
