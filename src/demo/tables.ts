import type { AttemptView, DestinationSummary, OutcomeCount } from '../ledger/queries.ts';
import { colors } from './colors.ts';
import { DEMO_DESTINATIONS, describeBehaviour } from './destinations.ts';
import { grouped, milliseconds } from './numbers.ts';
import type { Check } from './reconcile.ts';
import type { ReceiverCounts } from './receiver-messages.ts';
import { tableText } from './table.ts';

/** What the ledger knows of each destination. */
export function destinationTable(summaries: readonly DestinationSummary[]): string {
  return tableText(
    [
      ['destination', 'left'],
      ['deliveries', 'right'],
      ['delivered', 'right'],
      ['dead', 'right'],
      ['retries', 'right'],
      ['attempt\np50 / p99', 'right'],
      ['produce to receipt\np50 / p99', 'right'],
    ],
    summaries.map((row) => [
      row.destinationId,
      grouped(row.deliveries),
      grouped(row.delivered),
      grouped(row.dead),
      grouped(row.retries),
      `${milliseconds(row.durationP50Ms)} / ${milliseconds(row.durationP99Ms)}`,
      `${milliseconds(row.produceToReceiptP50Ms)} / ${milliseconds(row.produceToReceiptP99Ms)}`,
    ]),
  );
}

/** What the receivers counted themselves. */
export function receiverTable(counts: readonly ReceiverCounts[]): string {
  return tableText(
    [
      ['receiver', 'left'],
      ['behaviour', 'left'],
      ['answered 2xx', 'right'],
      ['answered 503', 'right'],
    ],
    counts.map(({ id, accepted, refused }) => [id, behaviourOf(id), grouped(accepted), grouped(refused)]),
  );
}

function behaviourOf(id: string): string {
  const destination = DEMO_DESTINATIONS.find((candidate) => candidate.id === id);
  return destination === undefined ? '' : describeBehaviour(destination.receiver);
}

export function outcomeTable(counts: readonly OutcomeCount[]): string {
  return tableText(
    [
      ['outcome', 'left'],
      ['final', 'left'],
      ['rows', 'right'],
    ],
    counts.map(({ outcome, isFinal, rows }) => [outcome, isFinal ? 'yes' : 'no', grouped(rows)]),
  );
}

/** One event's attempts, as support would read them. */
export function historyTable(attempts: readonly AttemptView[]): string {
  return tableText(
    [
      ['destination', 'left'],
      ['attempt', 'right'],
      ['outcome', 'left'],
      ['answer', 'left'],
      ['when', 'left'],
      ['took', 'right'],
    ],
    attempts.map(({ destinationId, attempt, outcome, reason, attemptedAtMs, durationMs }) => [
      destinationId,
      attempt,
      outcome,
      reason,
      new Date(attemptedAtMs).toISOString(),
      milliseconds(durationMs),
    ]),
  );
}

/** `OK` or `NOT OK`, what was claimed, and the first rows that break it. */
export function checkLines({ claim, broken, examples }: Check): string[] {
  if (broken === 0) return [`${colors.green('OK')}      ${claim}`];
  const shown = examples.map((example) => `          ${JSON.stringify(example)}`);
  return [`${colors.red('NOT OK')}  ${claim}: broken by ${grouped(broken)}`, ...shown];
}
