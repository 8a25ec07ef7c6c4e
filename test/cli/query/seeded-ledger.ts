import type { Outcome } from '../../../src/domain/outcome.ts';
import type { Ledger } from '../../../src/ledger/client.ts';
import type { AttemptRow, RecordColumns } from '../../../src/ledger/rows.ts';
import {
  attemptBytes,
  eventBytes,
  sampleAttempt,
  sampleEvent,
  sampleRecord,
} from '../../ledger/sample-rows.ts';
import { migratedLedger } from '../../support/ledger.ts';

/** A row as it was written; the tests work their figures out from these, and from nothing that the ledger says. */
export interface Written extends AttemptRow {
  readonly record: RecordColumns;
}

export interface SeededLedger {
  readonly ledger: Ledger;
  readonly rows: readonly Written[];
  /** Ids of the events written, once each. */
  readonly events: readonly RecordColumns[];
}

export const FIRST_MS = Date.parse('2026-03-01T10:00:00Z');
export const EVENTS = 900;
const TENANTS = ['acme', 'beta', 'gamma', 'delta'];
const TYPES = ['contact.created', 'email.sent', 'order.paid'];
const DESTINATIONS = [
  ['crm', 'webhook'],
  ['mailer', 'email'],
  ['texts', 'sms'],
] as const;
const FAILURES = [
  ['failed_after_send', 'http_503', 503],
  ['failed_after_send', 'deadline', 0],
  ['failed_before_send', 'ECONNREFUSED', 0],
  ['throttled', 'http_429', 429],
] as const;

/** Xorshift; the seed is fixed, so a figure that is wrong is wrong again. */
class Dice {
  #state = 0x2545_f491;

  /** A whole number below `sides`. */
  roll(sides: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % sides;
  }
}

/** Writes hours of a small pipeline's work: every outcome, retries, redrives, drops, and rows outside of those hours. */
export async function seedLedger(): Promise<SeededLedger> {
  const dice = new Dice();
  const rows: Written[] = [];
  const events: RecordColumns[] = [];
  for (let i = 0; i < EVENTS; i++) {
    const record = recordOf(i, dice);
    if (i % 29 === 0) rows.push(undelivered({ ...record, tenant: '', eventId: '' }, 'invalid', 'truncated'));
    else if (i % 23 === 0) rows.push(undelivered(record, 'filtered', 'no_filter_matches'));
    else for (const to of destinationsOf(dice)) rows.push(...lifeOf(record, to, dice));
    if (i % 29 !== 0) events.push(record);
  }
  const ledger = await migratedLedger();
  await ledger.insert(
    'attempts',
    [attemptBytes(rows.map((row) => ({ record: row.record, row })))],
    'aa'.repeat(16),
  );
  const eventRow = (record: RecordColumns) => ({ record, row: { ingestedAtMs: record.producedAtMs + 3 } });
  await ledger.insert('events', [eventBytes(events.map(eventRow))], 'bb'.repeat(16));
  return { ledger, rows, events };
}

/** The payload's bytes, of every event. */
export const EVENT_BYTES = sampleEvent.data.length;

function recordOf(i: number, dice: Dice): RecordColumns {
  const producedAtMs = FIRST_MS + i * 10_000 + dice.roll(9_000);
  return {
    ...sampleRecord,
    // The first tenant has half of all, so that shares differ.
    tenant: TENANTS[dice.roll(2) === 0 ? 0 : dice.roll(TENANTS.length)] as string,
    eventId: `evt_${i}`,
    eventType: TYPES[dice.roll(TYPES.length)] as string,
    producedAtMs,
    offset: i,
  };
}

function destinationsOf(dice: Dice): (typeof DESTINATIONS)[number][] {
  const wanted = DESTINATIONS.filter(() => dice.roll(3) > 0);
  return wanted.length > 0 ? wanted : [DESTINATIONS[0]];
}

function undelivered(record: RecordColumns, outcome: Outcome, reason: string): Written {
  return {
    ...base(record, ['', ''], record.producedAtMs + 5),
    deliveryId: '',
    attempt: 0,
    outcome,
    isFinal: true,
    reason,
    attemptClass: '',
    status: 0,
    durationUs: 0,
    waitedUs: 0,
    requestBytes: 0,
    responseBytes: 0,
  };
}

function base(
  record: RecordColumns,
  [destinationId, channel]: readonly [string, string],
  atMs: number,
): Written {
  return {
    ...sampleAttempt,
    record,
    destinationId,
    channel,
    deliveryId: `dlv_${record.tenant}_${record.eventId}_${destinationId}`,
    attemptedAtMs: atMs,
  };
}

/** One delivery, from its first attempt to what became of it in the end. */
function lifeOf(record: RecordColumns, to: (typeof DESTINATIONS)[number], dice: Dice): Written[] {
  const rows: Written[] = [];
  let atMs = record.producedAtMs + 20;
  const unsent = (outcome: Outcome, reason: string, isFinal: boolean): void => {
    const { attemptedAtMs: _, ...rest } = undelivered(record, outcome, reason);
    rows.push({ ...base(record, to, atMs), ...rest, ...idOf(record, to), isFinal, attemptedAtMs: atMs });
    atMs += 4_000 + dice.roll(1_000);
  };
  const tried = (attempt: number, outcome: Outcome, slow: number): void => {
    const failure = FAILURES[dice.roll(FAILURES.length)] as (typeof FAILURES)[number];
    const [attemptClass, reason, status] =
      outcome === 'delivered'
        ? (['delivered', 'http_200', 200] as const)
        : outcome === 'rejected'
          ? (['rejected', 'http_400', 400] as const)
          : failure;
    rows.push({
      ...base(record, to, atMs),
      ...{ attempt, outcome, attemptClass, reason, status },
      isFinal: outcome !== 'retrying',
      durationUs: slow * 1_000 + dice.roll(1_000),
      waitedUs: dice.roll(5_000),
      requestBytes: 100 + dice.roll(100),
      responseBytes: dice.roll(50),
      nextAttemptAtMs: outcome === 'retrying' ? atMs + 3_000 : 0,
    });
    atMs += 3_000 + dice.roll(1_000);
  };
  const slow = (to[0].length * 10 + dice.roll(40)) % 90;
  if (dice.roll(40) === 0) {
    unsent('expired', 'expired', true);
    return rows;
  }
  const attempts = 1 + (dice.roll(4) === 0 ? dice.roll(4) : 0);
  for (let attempt = 1; attempt < attempts; attempt++) {
    tried(attempt, 'retrying', slow);
    if (dice.roll(5) === 0) unsent('breaker_open', 'breaker_open', false);
  }
  const end = dice.roll(20);
  if (end === 0) return attempts > 1 ? rows : [...rows, ...pending(record, to, atMs)];
  if (end > 3) {
    tried(attempts, 'delivered', slow);
    return rows;
  }
  tried(attempts, end === 1 ? 'rejected' : 'dead', slow);
  const then = dice.roll(4);
  if (then === 0) unsent('dropped', 'http_503', true);
  else if (then > 1) unsent('redriven', 'http_503', false);
  if (then === 2) tried(1, 'delivered', slow);
  return rows;
}

function pending(record: RecordColumns, to: readonly [string, string], atMs: number): Written[] {
  const failed = {
    outcome: 'retrying',
    attemptClass: 'failed_after_send',
    reason: 'http_503',
    status: 503,
  } as const;
  return [{ ...base(record, to, atMs), ...failed, isFinal: false, nextAttemptAtMs: atMs + 60_000 }];
}

function idOf(
  record: RecordColumns,
  to: readonly [string, string],
): Pick<Written, 'deliveryId' | 'destinationId' | 'channel'> {
  const { deliveryId, destinationId, channel } = base(record, to, 0);
  return { deliveryId, destinationId, channel };
}
