import type { DeadLetter } from '../../src/dead/dead-letter.ts';
import { deadLetterOf } from '../../src/dead/dead-letter.ts';
import type { DeadLetterFacts } from '../../src/dead/dead-letter.ts';
import type { Mark, MarkedState, ScanParts, Span } from '../../src/dead/scan.ts';
import type { SourceRecord } from '../../src/domain/record.ts';

/** Ours, without the prefix, as the lanes write them. */
export type OurHeaders = Readonly<Record<string, string>>;

const HEADERS: OurHeaders = {
  outcome: 'dead',
  reason: 'http_503',
  status: '503',
  attempts: '5',
  tenant: 'acme',
  'event-id': 'evt-1',
  'event-type': 'contact.created',
  'delivery-id': 'dlv_1',
  'destination-id': 'crm',
  'source-topic': 'events',
  'source-partition': '1',
  'source-offset': '77',
  'source-timestamp': '1700000000000',
};

/** A record of the dead-letter topic; `ours` goes over `HEADERS`. */
export function deadRecord(ours: OurHeaders = {}, record: Partial<SourceRecord> = {}): SourceRecord {
  const all = { ...HEADERS, ...ours };
  return {
    topic: 'dead',
    partition: 0,
    offset: 0,
    timestamp: 1_700_000_001_000,
    key: Buffer.from('acme'),
    value: Buffer.from([0, 1, 2]),
    headers: Object.entries(all).map(([name, text]) => ({ [`eventdispatch-${name}`]: Buffer.from(text) })),
    ...record,
  };
}

export function deadLetter(ours: OurHeaders = {}, record: Partial<SourceRecord> = {}): DeadLetter {
  return deadLetterOf(deadRecord(ours, record))!;
}

/** The dead-letter topic and the ledger's marks, in memory. */
export class FakeTopic implements ScanParts {
  readonly records: SourceRecord[] = [];
  readonly marked: { readonly letter: DeadLetterFacts; readonly state: MarkedState }[] = [];
  /** How many marks were held at once, at most. */
  widestSpan = 0;

  /** Appends a record to a partition. */
  add(partition: number, ours: OurHeaders, record: Partial<SourceRecord> = {}): void {
    const offset = this.of(partition).length;
    this.records.push(deadRecord(ours, { partition, offset, ...record }));
  }

  spans(): Span[] {
    return [...new Set(this.records.map(({ partition }) => partition))].map((partition) => ({
      partition,
      from: 0,
      end: Math.max(...this.of(partition).map(({ offset }) => offset)) + 1,
    }));
  }

  readonly letters = {
    read: async (
      { partition, from, end }: Span,
      onRecords: (records: readonly SourceRecord[]) => Promise<boolean>,
    ): Promise<void> => {
      const wanted = this.of(partition).filter(({ offset }) => offset >= from && offset < end);
      for (let at = 0; at < wanted.length; at += 3) {
        if (!(await onRecords(wanted.slice(at, at + 3)))) return;
      }
    },
  };

  readonly marks = {
    marksOf: async ({ partition, from, end }: Span): Promise<Mark[]> => {
      this.widestSpan = Math.max(this.widestSpan, end - from);
      return this.marked
        .filter(({ letter: { place } }) => place.partition === partition)
        .filter(({ letter: { place } }) => place.offset >= from && place.offset < end)
        .map(({ letter, state }) => ({
          offset: letter.place.offset,
          deliveryId: letter.deliveryId,
          state,
        }));
    },
  };

  async mark(letters: readonly DeadLetterFacts[], state: MarkedState): Promise<void> {
    this.marked.push(...letters.map((letter) => ({ letter, state })));
  }

  private of(partition: number): SourceRecord[] {
    return this.records.filter((record) => record.partition === partition);
  }
}
