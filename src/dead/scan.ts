import type { SourceRecord } from '../domain/record.ts';
import { deadLetterOf } from './dead-letter.ts';
import type { DeadLetter, Place } from './dead-letter.ts';

/**
 * How a dead letter stands. Only a person moves it, once, by `redrive` or `drop`;
 * both ends are kept as a row of the ledger that names its place:
 * `open` → `redriven`, `open` → `dropped`. A delivery that fails again after
 * a redrive is a new dead letter at a new place, `open` again.
 */
export type DeadState = 'open' | MarkedState;
export type MarkedState = 'redriven' | 'dropped';

/** Offsets of one partition, `from` included, `end` not. */
export interface Span {
  readonly partition: number;
  readonly from: number;
  readonly end: number;
}

/** The dead-letter topic, as far as this room needs it. */
export interface LetterSource {
  /** Reads what is left of a span, in order. Waits for `onRecords`, whose answer is whether to read on. */
  read(span: Span, onRecords: (records: readonly SourceRecord[]) => Promise<boolean>): Promise<void>;
}

/** What the ledger knows of one dead letter. */
export interface Mark {
  readonly offset: number;
  /** Of the dead letter that was marked: a topic that was made anew has other ones at the same places. */
  readonly deliveryId: string;
  readonly state: MarkedState;
}

export interface MarkSource {
  /** The marks of a span's dead letters, in any order, one an offset at most. */
  marksOf(span: Span): Promise<readonly Mark[]>;
}

export interface ScanParts {
  readonly letters: LetterSource;
  readonly marks: MarkSource;
}

/** Offsets whose marks are held at once: the bound of a scan's memory, whatever the topic holds. */
const WINDOW_OFFSETS = 20_000;
const SKIP_OFFSETS = 1_000;

/**
 * Visits every dead letter of the spans with its state: span after span, each in
 * the order of its offsets, holding no more than a window's marks. Records that
 * are no dead letters are passed over.
 *
 * @param visit answers whether to go on.
 */
export async function scanDeadLetters(
  spans: readonly Span[],
  { letters, marks }: ScanParts,
  visit: (letter: DeadLetter, state: DeadState) => Promise<boolean> | boolean,
): Promise<void> {
  let goesOn = true as boolean;
  for (const window of windowsOf(spans)) {
    const byOffset = new Map((await marks.marksOf(window)).map((mark) => [mark.offset, mark]));
    await letters.read(window, async (records) => {
      for (const record of records) {
        const letter = deadLetterOf(record);
        if (letter === null) continue;
        const mark = byOffset.get(record.offset);
        goesOn = await visit(letter, mark?.deliveryId === letter.deliveryId ? mark.state : 'open');
        if (!goesOn) break;
      }
      return goesOn;
    });
    if (!goesOn) return;
  }
}

/** Spans of at most `WINDOW_OFFSETS` that cover the same offsets. */
function* windowsOf(spans: readonly Span[]): Generator<Span> {
  for (const { partition, from, end } of spans) {
    for (let at = from; at < end; at += WINDOW_OFFSETS)
      yield { partition, from: at, end: Math.min(at + WINDOW_OFFSETS, end) };
  }
}

/**
 * Spans that hold these places, sorted. Places fewer than `SKIP_OFFSETS` apart share
 * a span: reading over a few records costs less than to begin anew.
 */
export function spansOf(places: readonly Place[]): Span[] {
  const sorted = [...places].sort((a, b) => a.partition - b.partition || a.offset - b.offset);
  const spans: { partition: number; from: number; end: number }[] = [];
  for (const { partition, offset } of sorted) {
    const last = spans.at(-1);
    if (last?.partition === partition && offset - last.end < SKIP_OFFSETS) last.end = offset + 1;
    else spans.push({ partition, from: offset, end: offset + 1 });
  }
  return spans;
}
