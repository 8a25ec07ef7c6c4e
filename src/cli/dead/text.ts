import type { DeadLetterFacts } from '../../dead/dead-letter.ts';
import { placeText } from '../../dead/dead-letter.ts';
import type { Standing, Tally } from '../../dead/tally.ts';
import { tableText } from '../../demo/table.ts';
import type { Column } from '../../demo/table.ts';

const REASONS_NAMED = 8;
/** Control characters, and those that turn the direction of what comes after them. */
const NOT_SHOWN = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu;

/** Text that others wrote, fit for a terminal: control characters are spelled out, so that none is obeyed. */
export function printable(text: string): string {
  return text.replace(NOT_SHOWN, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export function grouped(count: number): string {
  return count.toLocaleString('en');
}

/** `1 dead letter`, `1,200 dead letters` */
export function lettersText(count: number): string {
  return `${grouped(count)} dead letter${count === 1 ? '' : 's'}`;
}

/** `2026-08-01T10:00:00.000Z`, or a dash when it is not known. */
export function timeText(epochMs: number): string {
  return epochMs > 0 ? new Date(epochMs).toISOString() : '–';
}

/** A table of dead letters, in the order given. @param withState adds how each stands. */
export function lettersTable(standings: readonly Standing[], withState: boolean): string {
  const columns: Column[] = [
    ['dead letter', 'left'],
    ['died at', 'left'],
    ['tenant', 'left'],
    ['destination', 'left'],
    ['event type', 'left'],
    ['kind', 'left'],
    ['reason', 'left'],
    ['attempts', 'right'],
    ...(withState ? ([['state', 'left']] as const) : []),
  ];
  return tableText(
    columns,
    standings.map(({ letter, state }) => [
      placeText(letter.place),
      timeText(letter.diedAtMs),
      printable(letter.tenant),
      printable(letter.destinationId),
      printable(letter.eventType),
      letter.kind,
      printable(letter.reason),
      letter.attempts < 0 ? '–' : letter.attempts,
      ...(withState ? [state] : []),
    ]),
  );
}

/** Counts by destination, kind and reason: what a run is about to do. */
export function tallyTable(tally: Tally): string {
  return tableText(
    [
      ['destination', 'left'],
      ['kind', 'left'],
      ['reason', 'left'],
      ['dead letters', 'right'],
    ],
    tally
      .lines()
      .map(({ destinationId, kind, reason, count }) => [
        printable(destinationId),
        kind,
        printable(reason),
        grouped(count),
      ]),
  );
}

/** `1,200 dead letters match, the newest 50 shown: http_503 1,100, deadline 100` */
export function closingLine(tally: Tally, shown: number): string {
  const { total } = tally;
  if (total === 0) return 'no dead letter matches';
  const some = shown < total ? `, the newest ${grouped(shown)} shown` : '';
  const reasons = tally.reasons();
  const named = reasons
    .slice(0, REASONS_NAMED)
    .map(([reason, count]) => `${printable(reason)} ${grouped(count)}`);
  const more = reasons.length > named.length ? [`${reasons.length - named.length} more reasons`] : [];
  return `${lettersText(total)} match${total === 1 ? 'es' : ''}${some}: ${[...named, ...more].join(', ')}`;
}

/** A dead letter as `--json` shows it. */
export function letterJson({ letter, state }: Standing): Record<string, unknown> {
  const { place, ...facts } = letter satisfies DeadLetterFacts;
  return { place: placeText(place), state, ...facts };
}
