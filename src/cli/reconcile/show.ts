import { tableText } from '../../demo/table.ts';
import type { Column } from '../../demo/table.ts';
import type { ListedRecord, ReconcileReport } from '../../reconcile/report.ts';
import { grouped, printable } from '../dead/text.ts';

/** What each word of the report means, as its tables say it. */
const MEANING: Readonly<Record<string, string>> = {
  uncommitted: 'not committed, the ledger has nothing yet: not read, in a lane, or not inserted',
  open: 'not committed, the ledger has a part of it',
  delay_topic: 'committed, its retry waits in a delay topic',
  overflow: 'committed, and the overflow topic may hold what the ledger has not got yet',
  no_row: 'committed, and the ledger has nothing',
  no_delivery: 'committed, and the event went to more destinations than the ledger has deliveries of',
  no_end: 'committed, and a delivery has neither an end nor a retry',
  retry_lost: 'a delivery has no end, and its retry is in no delay topic',
  redrive: 'a redrive handed it over twice',
  hand_over: 'its record and a retry of it were both delivered: a crash while it was handed over',
  owner_change: 'two processes delivered it: a crash, or a revocation whose deadline passed',
  lane_restart: 'one process delivered it twice: a lane thread was replaced',
  retention: 'below the first offset that Kafka still holds',
  no_record: 'no record: compaction, a transaction marker, an aborted or open transaction',
};

/** The report for a person, as lines. */
export function reportLines(topic: string, report: ReconcileReport): string[] {
  const { totals, lists, gaps } = report;
  return [
    tableText(
      [
        ['state', 'left'],
        ['count', 'right'],
        ['meaning', 'left'],
      ],
      [
        ['complete', grouped(totals.complete), completeText(report)],
        ...rowsOf('pending', totals.pending),
        ...rowsOf('missing', totals.missing),
        ...rowsOf('duplicated', totals.duplicated),
        ...rowsOf('gap', totals.gaps),
      ],
    ),
    ...listLines('missing', lists.missing, report.missing),
    ...listLines('duplicated', lists.duplicated, report.duplicated),
    ...listLines('pending', lists.pending, report.pending),
    ...(gaps.length === 0
      ? []
      : [
          'gaps, in offsets',
          ...gaps.map(({ partition, from, end, kind }) => `  ${partition}:${from}…${end - 1} ${kind}`),
        ]),
    closingLine(topic, report),
  ];
}

/** The report as one JSON document. */
export function reportJson(topic: string, report: ReconcileReport, isWhole: boolean): string {
  const { totals, lists, gaps } = report;
  return JSON.stringify({ topic, isWhole, totals, ...lists, gaps }, null, 2);
}

/** `events: 1,200 records, 1,190 complete, 10 pending, 0 missing; 0 deliveries duplicated, 3 maybe` */
export function closingLine(topic: string, report: ReconcileReport): string {
  const { totals, pending, missing, duplicated } = report;
  const maybe = totals.maybeTwice > 0 ? `, ${grouped(totals.maybeTwice)} maybe (ambiguous attempts)` : '';
  return `${printable(topic)}: ${grouped(totals.records)} records, ${grouped(totals.complete)} complete, ${grouped(pending)} pending, ${grouped(missing)} missing; ${grouped(duplicated)} deliveries duplicated${maybe}`;
}

function completeText({ totals: { completeAndGone, deliveries } }: ReconcileReport): string {
  const gone = completeAndGone > 0 ? `, ${grouped(completeAndGone)} of them compacted or deleted since` : '';
  return `every delivery has an end (${grouped(deliveries)} deliveries in all)${gone}`;
}

/** A line for each kind that there is; one of zero for the group when there is none. */
function rowsOf(group: string, counts: Readonly<Record<string, number>>): string[][] {
  const found = Object.entries(counts).filter(([, count]) => count > 0);
  if (found.length === 0) return [[group, '0', '']];
  return found.map(([kind, count]) => [`${group}: ${kind}`, grouped(count), MEANING[kind] ?? '']);
}

const COLUMNS: readonly Column[] = [
  ['record', 'left'],
  ['tenant', 'left'],
  ['event', 'left'],
  ['destination', 'left'],
  ['what', 'left'],
];

function listLines(name: string, list: readonly ListedRecord[], total: number): string[] {
  if (list.length === 0) return [];
  const rest = total > list.length ? `, the first ${grouped(list.length)} of ${grouped(total)}` : '';
  return [
    `${name}${rest}`,
    tableText(
      COLUMNS,
      list.map(({ partition, offset, tenant, eventId, destinationId, what }) => [
        `${partition}:${offset}`,
        printable(tenant),
        printable(eventId),
        printable(destinationId),
        what,
      ]),
    ),
  ];
}
