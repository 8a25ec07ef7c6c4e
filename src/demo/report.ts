import type { Dispatcher } from '../app/dispatcher.ts';
import { deliveryHistory, destinationSummary, outcomeCounts, type LedgerReader } from '../ledger/queries.ts';
import { DEMO_TOPIC } from './demo-config.ts';
import type { DemoFolder } from './demo-folder.ts';
import { DEMO_DESTINATIONS } from './destinations.ts';
import { grouped } from './numbers.ts';
import { reconcile, type Check, type Verdict } from './reconcile.ts';
import type { ReceiverCounts } from './receiver-messages.ts';
import { checkLines, destinationTable, historyTable, outcomeTable, receiverTable } from './tables.ts';

export interface ReportInputs {
  readonly dispatcher: Pick<Dispatcher, 'ledger' | 'stats'>;
  readonly folder: Pick<DemoFolder, 'manifestFile' | 'receiptsFile'>;
  readonly receivers: readonly ReceiverCounts[];
  /** What went wrong on the way, one line each. */
  readonly failures: readonly string[];
  readonly print: (text: string) => void;
}

/** Prints the tables and the verdict, all read from the ledger by SQL. @returns whether all of it holds. */
export async function printReport(inputs: ReportInputs): Promise<boolean> {
  const { dispatcher, receivers, print } = inputs;
  const { ledger } = dispatcher;
  print('\nThe ledger, by SQL: per destination');
  print(destinationTable(await destinationSummary(ledger)));
  print('\nThe ledger, by SQL: rows by outcome');
  print(outcomeTable(await outcomeCounts(ledger)));
  await printHistory(ledger, print);
  print('\nThe receivers, by their own count');
  print(receiverTable(receivers));
  return printVerdict(inputs);
}

/** The question of support, asked about an event that needed more than one attempt. */
async function printHistory(ledger: LedgerReader, print: (text: string) => void): Promise<void> {
  const [event] = await ledger.query<{
    readonly tenant: string;
    readonly eventId: string;
    readonly type: string;
  }>(
    `SELECT tenant, event_id AS eventId, event_type AS type
     FROM attempts
     WHERE outcome = 'retrying'
     GROUP BY tenant, eventId, type
     ORDER BY count() DESC, eventId
     LIMIT 1`,
  );
  if (event === undefined) return;
  print(`\nThe ledger, by SQL: did ${event.tenant} get ${event.type} ${event.eventId}?`);
  print(historyTable(await deliveryHistory(ledger, event.tenant, event.eventId)));
}

async function printVerdict({ dispatcher, folder, failures, print }: ReportInputs): Promise<boolean> {
  const verdict = await reconcile(dispatcher.ledger, {
    topic: DEMO_TOPIC,
    manifestFile: folder.manifestFile,
    receiptsFile: folder.receiptsFile,
    filters: DEMO_DESTINATIONS,
  });
  const { events, expected, finals, delivered, receipts } = verdict.totals;
  print('\nReconcile, by SQL: what the producer and the receivers have on record, against the ledger');
  print(
    `        ${grouped(events)} events, ${grouped(expected)} expected outcomes, ${grouped(finals)} final rows, ` +
      `${grouped(delivered)} delivered, ${grouped(receipts)} answered with 2xx`,
  );
  const checks = [
    ...checksOfRun(verdict, failures),
    ...verdict.checks,
    deadLetterCheck(verdict, dispatcher.stats().deadLetters.produced),
  ];
  for (const line of checks.flatMap(checkLines)) print(line);
  const holds = checks.every(({ broken }) => broken === 0);
  print(holds ? '\nOK: none missing, none twice' : '\nNOT OK');
  return holds;
}

function checksOfRun({ totals }: Verdict, failures: readonly string[]): Check[] {
  return [
    {
      claim: 'the run went as planned',
      broken: failures.length,
      examples: failures.map((failure) => ({ failure })),
    },
    // Of nothing, everything else holds.
    { claim: 'events were produced', broken: totals.events > 0 ? 0 : 1, examples: [] },
  ];
}

/** @param produced dead letters that the broker acknowledged. */
function deadLetterCheck({ totals: { dead } }: Verdict, produced: number): Check {
  return {
    claim: 'each dead delivery is on the dead-letter topic, once',
    broken: Math.abs(dead - produced),
    examples: [{ dead, produced }],
  };
}
