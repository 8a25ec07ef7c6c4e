import { hostname } from 'node:os';
import type { Config } from '../../config/config.ts';
import { placeText } from '../../dead/dead-letter.ts';
import type { Place } from '../../dead/dead-letter.ts';
import { spansOf } from '../../dead/scan.ts';
import type { ScanParts, Span } from '../../dead/scan.ts';
import { systemClock } from '../../domain/clock.ts';
import { UserError } from '../../domain/errors.ts';
import type { TopicReader } from '../../kafka/topic-reader.ts';
import { openConnected } from '../connect.ts';
import type { Connected } from '../connect.ts';
import { LedgerMarks } from './ledger-marks.ts';

/** The dead-letter topic and the ledger, opened for one command. */
export interface DeadLetters extends ScanParts, Connected {
  readonly topic: string;
  readonly marks: LedgerMarks;
  /** All that the topic holds now. */
  spans(): Promise<readonly Span[]>;
  /** @throws UserError for a place that the topic does not have, or no longer. */
  spansOf(places: readonly Place[]): Promise<readonly Span[]>;
}

/** @throws UserError when the configuration names no system that is there without a dispatcher's process. */
export async function openDeadLetters(config: Config): Promise<DeadLetters> {
  const connected = await openConnected(config, 'no dead letters to read');
  const { reader, ledger } = connected;
  const topic = config.kafka.deadLetterTopic;
  const instance = `dead-${hostname()}-${process.pid}`;
  return {
    ...connected,
    topic,
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
  };
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
