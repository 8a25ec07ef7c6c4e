/** The reconcile believes a run in which all went well, and names what is wrong with any other. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  countProduced,
  countRetriesOut,
  countStored,
  reconcile,
  type Verdict,
} from '../../src/demo/reconcile.ts';
import type { Ledger } from '../../src/ledger/client.ts';
import type { AttemptRow, EventRow, RecordColumns } from '../../src/ledger/rows.ts';
import { attemptBytes, eventBytes, type Sample } from '../ledger/sample-rows.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temp.ts';
import { migratedLedger } from '../support/ledger.ts';

const FILTERS = [
  { id: 'crm', typePattern: '^(contact|email)[.][^.]+$' },
  { id: 'billing', typePattern: '^(transaction|email)[.][^.]+$' },
];

/** Everything a reconcile looks at. */
interface Run {
  manifest: (readonly [eventId: string, type: string, offset: number])[];
  events: Sample<EventRow>[];
  attempts: Sample<AttemptRow>[];
  receipts: (readonly [destination: string, deliveryId: string])[];
}

function recordOf(eventId: string, eventType: string, offset: number): Partial<RecordColumns> {
  return { tenant: 'acme', eventId, eventType, topic: 'events', partition: 1, offset };
}

const contact = recordOf('e1', 'contact.created', 10);
const email = recordOf('e2', 'email.sent', 11);
const payment = recordOf('e3', 'transaction.failed', 12);
const heartbeat = recordOf('e4', 'system.heartbeat', 13);

function attempt(
  record: Partial<RecordColumns>,
  destinationId: string,
  row: Partial<AttemptRow> = {},
): Sample<AttemptRow> {
  return {
    record,
    row: { destinationId, deliveryId: `dlv-${record.eventId}-${destinationId}`, reason: 'http_204', ...row },
  };
}

const retrying = { outcome: 'retrying', isFinal: false, reason: 'http_503' } as const;
const dead = { outcome: 'dead', reason: 'http_503' } as const;
const filtered = { outcome: 'filtered', reason: 'no_filter_matches', deliveryId: '', attempt: 0 } as const;

/** One event for one destination, one for two with a retry, one dead, one that nobody wants. */
function calmRun(): Run {
  return {
    manifest: [
      ['e1', 'contact.created', 10],
      ['e2', 'email.sent', 11],
      ['e3', 'transaction.failed', 12],
      ['e4', 'system.heartbeat', 13],
    ],
    events: [contact, email, payment, heartbeat].map((record) => ({ record })),
    attempts: [
      attempt(contact, 'crm'),
      attempt(email, 'crm'),
      attempt(email, 'billing', { ...retrying, attempt: 1 }),
      attempt(email, 'billing', { attempt: 2 }),
      attempt(payment, 'billing', dead),
      attempt(heartbeat, '', filtered),
    ],
    receipts: [
      ['crm', 'dlv-e1-crm'],
      ['crm', 'dlv-e2-crm'],
      ['billing', 'dlv-e2-billing'],
    ],
  };
}

let directory: TemporaryDirectory;
let ledger: Ledger;
beforeEach(async () => {
  directory = await temporaryDirectory('reconcile');
  ledger = await migratedLedger();
});
afterEach(async () => {
  await ledger.close();
  await directory.remove();
});

const file = (name: string): string => path.join(directory.path, name);

async function verdictOn(run: Run): Promise<Verdict> {
  const manifest = run.manifest.map(
    ([id, type, offset]) => `${id}\tacme\t${type}\t1\t${offset}\t1760000000000\n`,
  );
  writeFileSync(file('manifest.tsv'), manifest.join(''));
  writeFileSync(file('receipts.tsv'), run.receipts.map((receipt) => `${receipt.join('\t')}\n`).join(''));
  if (run.events.length > 0) await ledger.insert('events', [eventBytes(run.events)], 'e'.repeat(32));
  if (run.attempts.length > 0) await ledger.insert('attempts', [attemptBytes(run.attempts)], 'a'.repeat(32));
  return reconcile(ledger, {
    topic: 'events',
    manifestFile: file('manifest.tsv'),
    receiptsFile: file('receipts.tsv'),
    filters: FILTERS,
  });
}

/** The claims that do not hold, with how many rows break each and the first of them. */
async function brokenBy(plant: (run: Run) => void): Promise<Record<string, [number, unknown]>> {
  const run = calmRun();
  plant(run);
  const { checks } = await verdictOn(run);
  const broken = checks.filter((check) => check.broken > 0);
  return Object.fromEntries(broken.map((check) => [check.claim, [check.broken, check.examples[0]]]));
}

const CLAIM = {
  ownPlace: 'each produced event has an id and a place of its own',
  payload: 'the payload of every produced event is in the ledger',
  missing: 'every expected (event, destination) has a final outcome',
  twice: 'none has two final outcomes',
  unexpected: 'nothing is in the ledger that was not expected',
  fits: 'each outcome fits its event (delivered, dead, rejected; filtered) and has a reason',
  place: 'each row names the tenant, type, topic, partition and offset the producer knows',
  receipts: 'what the ledger calls delivered was answered with 2xx, and the other way round',
  receivedTwice: 'no receiver answered a delivery with 2xx twice',
};

describe('a run in which all went well', () => {
  test('breaks nothing, and is counted', async () => {
    const { totals, checks } = await verdictOn(calmRun());
    expect(checks.filter(({ broken }) => broken > 0)).toEqual([]);
    expect(checks.map(({ claim }) => claim)).toEqual(Object.values(CLAIM));
    expect(totals).toEqual({ events: 4, expected: 5, finals: 5, delivered: 3, dead: 1, receipts: 3 });
    expect(await countProduced(ledger, file('manifest.tsv'))).toBe(4);
  });

  test('knows the events that are stored, and the deliveries that have not ended', async () => {
    const run = calmRun();
    run.attempts.push(
      attempt(contact, 'late', retrying),
      attempt(contact, 'refused', { outcome: 'breaker_open', isFinal: false, attempt: 0 }),
    );
    await verdictOn(run);
    expect(await countStored(ledger)).toBe(4);
    expect(await countRetriesOut(ledger)).toBe(2);
  });

  test('of nothing leaves nothing broken and nothing counted', async () => {
    const { totals, checks } = await verdictOn({ manifest: [], events: [], attempts: [], receipts: [] });
    expect(checks.filter(({ broken }) => broken > 0)).toEqual([]);
    expect(totals).toEqual({ events: 0, expected: 0, finals: 0, delivered: 0, dead: 0, receipts: 0 });
  });
});

describe('a planted fault is found, and nothing else', () => {
  test('a missing outcome: no row at all', async () => {
    const broken = await brokenBy((run) => run.attempts.splice(4, 1));
    expect(broken).toEqual({
      [CLAIM.missing]: [
        1,
        {
          tenant: 'acme',
          event_id: 'e3',
          event_type: 'transaction.failed',
          destination_id: 'billing',
          row_count: 0,
        },
      ],
    });
  });

  test('a missing outcome: only a retry that nothing followed', async () => {
    const broken = await brokenBy((run) => {
      run.attempts.splice(3, 1);
      run.receipts.pop();
    });
    expect(broken).toEqual({
      [CLAIM.missing]: [1, expect.objectContaining({ event_id: 'e2', row_count: 1 })],
    });
  });

  test('a missing outcome: an event nobody wants that is not recorded as filtered', async () => {
    const broken = await brokenBy((run) => run.attempts.pop());
    expect(broken).toEqual({
      [CLAIM.missing]: [1, expect.objectContaining({ event_id: 'e4', destination_id: '' })],
    });
  });

  test('two final outcomes', async () => {
    const broken = await brokenBy((run) =>
      run.attempts.push(attempt(contact, 'crm', { ...dead, attempt: 2 })),
    );
    expect(broken).toEqual({
      [CLAIM.twice]: [1, expect.objectContaining({ event_id: 'e1', destination_id: 'crm', finals: 2 })],
    });
  });

  test('a pair the filters do not want', async () => {
    const broken = await brokenBy((run) => run.attempts.push(attempt(contact, 'billing', dead)));
    expect(broken).toEqual({
      [CLAIM.unexpected]: [
        1,
        { tenant: 'acme', event_id: 'e1', destination_id: 'billing', outcomes: ['dead'] },
      ],
    });
  });

  test('an event that was never produced', async () => {
    const stranger = recordOf('e9', 'contact.created', 99);
    const broken = await brokenBy((run) => {
      run.attempts.push(attempt(stranger, 'crm'));
      run.receipts.push(['crm', 'dlv-e9-crm']);
    });
    expect(broken).toEqual({
      [CLAIM.unexpected]: [1, expect.objectContaining({ event_id: 'e9' })],
      [CLAIM.place]: [1, expect.objectContaining({ event_id: 'e9' })],
    });
  });

  test('another tenant’s event', async () => {
    const broken = await brokenBy((run) => {
      run.attempts[0] = attempt({ ...contact, tenant: 'other' }, 'crm');
    });
    expect(broken).toEqual({
      [CLAIM.missing]: [1, expect.objectContaining({ tenant: 'acme', event_id: 'e1' })],
      [CLAIM.unexpected]: [1, expect.objectContaining({ tenant: 'other', event_id: 'e1' })],
      [CLAIM.place]: [1, expect.objectContaining({ tenant: 'other', event_id: 'e1' })],
    });
  });

  test('a payload that is not there', async () => {
    const broken = await brokenBy((run) => run.events.shift());
    expect(broken).toEqual({ [CLAIM.payload]: [1, expect.objectContaining({ event_id: 'e1', offset: 10 })] });
  });

  test('a wrong offset', async () => {
    const broken = await brokenBy((run) => {
      run.attempts[0] = attempt({ ...contact, offset: 11 }, 'crm');
    });
    expect(broken).toEqual({ [CLAIM.place]: [1, expect.objectContaining({ event_id: 'e1', offset: 11 })] });
  });

  test.each([
    ['an outcome without a reason', attempt(contact, 'crm', { reason: '' })],
    ['an outcome no delivery has', attempt(contact, 'crm', { outcome: 'no_route' })],
  ])('%s', async (_what, wrong) => {
    const broken = await brokenBy((run) => {
      run.attempts[0] = wrong;
      if (wrong.row?.outcome !== undefined) run.receipts.shift();
    });
    expect(broken).toEqual({ [CLAIM.fits]: [1, expect.objectContaining({ event_id: 'e1' })] });
  });

  test('a delivery its receiver knows nothing of', async () => {
    const broken = await brokenBy((run) => run.receipts.shift());
    expect(broken).toEqual({
      [CLAIM.receipts]: [1, { known_to: 'ledger only', destination_id: 'crm', delivery_id: 'dlv-e1-crm' }],
    });
  });

  test('a 2xx the ledger knows nothing of', async () => {
    const broken = await brokenBy((run) => run.receipts.push(['billing', 'dlv-e3-billing']));
    expect(broken).toEqual({
      [CLAIM.receipts]: [
        1,
        { known_to: 'receiver only', destination_id: 'billing', delivery_id: 'dlv-e3-billing' },
      ],
    });
  });

  test('a delivery that was accepted twice', async () => {
    const broken = await brokenBy((run) => run.receipts.push(['crm', 'dlv-e1-crm']));
    expect(broken).toEqual({
      [CLAIM.receivedTwice]: [1, { destination_id: 'crm', delivery_id: 'dlv-e1-crm', times: 2 }],
    });
  });

  test('a manifest that names an event or a place twice', async () => {
    const broken = await brokenBy((run) => run.manifest.push(['e1', 'contact.created', 10]));
    expect(broken[CLAIM.ownPlace]).toEqual([2, expect.objectContaining({ times: 2 })]);
  });

  test('many of one kind are all counted, and three of them shown', async () => {
    const run = calmRun();
    run.attempts = [];
    run.receipts = [];
    const { checks } = await verdictOn(run);
    const missing = checks.find(({ claim }) => claim === CLAIM.missing);
    expect(missing?.broken).toBe(5);
    expect(missing?.examples).toHaveLength(3);
  });
});
