/**
 * Proves the whole comparison on a model of Kafka and the ledger in which the truth of each record is known:
 * every one is counted as what it is, however they are mixed, also where retries move on while they are
 * looked for.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Span } from '../../src/reconcile/merge.ts';
import { reconcile } from '../../src/reconcile/reconcile.ts';
import type { ReconcileParts } from '../../src/reconcile/reconcile.ts';
import { ReconcileReport } from '../../src/reconcile/report.ts';
import type { LedgerRecord } from '../../src/reconcile/standing.ts';
import * as waiting from '../../src/reconcile/waiting.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { ledgerRecord, unfinished } from './ledger-record.ts';

const TRUTHS = [
  'delivered',
  'delivered, compacted since',
  'no record',
  'nothing in the ledger',
  'of one delivery no row',
  'tried, nothing follows',
  'waits',
  'waits in a topic looked at too early',
  'ends while it is looked for',
  'is tried and leaves while it is looked for',
  'its retry is lost',
] as const;
type Truth = (typeof TRUTHS)[number];

/** One partition. Records lie far apart, so that few of them make many spans. */
class Model implements ReconcileParts {
  readonly stop = new AbortController().signal;
  readonly truths: ReadonlyMap<number, Truth>;
  /** Most offsets that one question was about. */
  widest = 0;
  done = 0;
  #scans = 0;

  constructor(truths: ReadonlyMap<number, Truth>) {
    this.truths = truths;
  }

  readonly onProgress = (done: number): void => {
    this.done = done;
  };

  readonly topic = {
    offsets: async ({ from, end }: Span, onOffsets: (offsets: readonly number[]) => void): Promise<void> => {
      this.widest = Math.max(this.widest, end - from);
      for (const [offset, truth] of this.truths) {
        if (offset < from || offset >= end) continue;
        if (truth !== 'no record' && truth !== 'delivered, compacted since') onOffsets([offset]);
      }
    },
  };

  readonly ledger = {
    records: async ({ from, end }: Span): Promise<readonly LedgerRecord[]> =>
      [...this.truths]
        .filter(([offset]) => offset >= from && offset < end)
        .flatMap(([offset, truth]) => this.#recordOf(offset, truth) ?? []),
  };

  readonly delayTopics = {
    scan: async (_partition: number, onRetry: (retry: waiting.WaitingRetry) => void): Promise<void> => {
      this.#scans++;
      for (const [offset, truth] of this.truths) {
        const isThere =
          truth === 'waits' || (truth === 'waits in a topic looked at too early' && this.#scans > 1);
        if (isThere) onRetry({ deliveryId: `dlv_${offset}`, sourceOffset: offset });
        // Of another record: it has the same delivery id where a producer sent an event twice.
        else onRetry({ deliveryId: `dlv_${offset}`, sourceOffset: offset + 1 });
      }
    },
  };

  #recordOf(offset: number, truth: Truth): LedgerRecord | null {
    const open = (rows: number, hasLeft = true): LedgerRecord =>
      ledgerRecord(offset, {
        deliveries: 2,
        unfinished: [unfinished({ deliveryId: `dlv_${offset}`, rows, hasLeft })],
      });
    const isLater = this.#scans > 0;
    switch (truth) {
      case 'delivered':
      case 'delivered, compacted since':
        return ledgerRecord(offset);
      case 'no record':
      case 'nothing in the ledger':
        return null;
      case 'of one delivery no row':
        return ledgerRecord(offset, { absent: 1 });
      case 'tried, nothing follows':
        return open(1, false);
      case 'waits':
      case 'waits in a topic looked at too early':
      case 'its retry is lost':
        return open(1);
      case 'ends while it is looked for':
        return isLater ? ledgerRecord(offset) : open(1);
      case 'is tried and leaves while it is looked for':
        return open(isLater ? 2 : 1);
    }
  }
}

const anyTruths = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 6_000 }), fc.constantFrom(...TRUTHS)), { maxLength: 25 })
  .map((steps) => {
    let offset = 0;
    return new Map(steps.map(([step, truth]) => [(offset += step), truth]));
  });

async function reportOf(model: Model, committed: number): Promise<ReconcileReport> {
  const end = Math.max(0, ...model.truths.keys()) + 1;
  const report = new ReconcileReport(100);
  await reconcile([{ partition: 0, from: 0, end, low: 0, committed, isLedgerWhole: true }], model, report);
  return report;
}

/** How many records have these truths below an offset, or from it on. */
function countOf(model: Model, isMeant: (offset: number) => boolean, ...truths: Truth[]): number {
  return [...model.truths].filter(([offset, truth]) => isMeant(offset) && truths.includes(truth)).length;
}

test('every record is counted as what it is', async () => {
  await fc.assert(
    fc.asyncProperty(anyTruths, fc.integer({ min: -1, max: 160_000 }), async (truths, committed) => {
      const model = new Model(truths);
      const { totals } = await reportOf(model, committed);
      const below = (...of: Truth[]): number => countOf(model, (offset) => offset < committed, ...of);
      const beyond = (...of: Truth[]): number => countOf(model, (offset) => offset >= committed, ...of);
      expect(totals).toMatchObject({
        records: truths.size - countOf(model, () => true, 'no record'),
        complete: below('delivered', 'delivered, compacted since', 'ends while it is looked for'),
        completeAndGone: below('delivered, compacted since'),
        pending: {
          uncommitted: beyond('nothing in the ledger'),
          open: beyond(
            ...TRUTHS.filter((truth) => truth !== 'no record' && truth !== 'nothing in the ledger'),
          ),
          delay_topic: below(
            'waits',
            'waits in a topic looked at too early',
            'is tried and leaves while it is looked for',
          ),
        },
        missing: {
          no_row: below('nothing in the ledger'),
          no_delivery: below('of one delivery no row'),
          no_end: below('tried, nothing follows'),
          retry_lost: below('its retry is lost'),
        },
      });
      const end = Math.max(0, ...truths.keys()) + 1;
      expect(totals.gaps.no_record).toBe(end - totals.records);
      expect(model.done).toBe(end);
      expect(model.widest).toBeLessThanOrEqual(10_000);
    }),
    { seed: 3, numRuns: 200 },
  );
});

describe('the search for retries', () => {
  type Search = Pick<waiting.RetrySearch, 'add' | 'run'>;
  interface Module {
    readonly RetrySearch: new (...args: ConstructorParameters<typeof waiting.RetrySearch>) => Search;
  }

  async function holds({ RetrySearch }: Module): Promise<void> {
    const truths = TRUTHS.filter((truth) => truth !== 'no record' && truth !== 'nothing in the ledger');
    const model = new Model(new Map(truths.map((truth, i) => [100 * (i + 1), truth])));
    const report = new ReconcileReport(100);
    const search = new RetrySearch({ partition: 0, committed: 10_000, isLedgerWhole: true }, model, report);
    for (const record of await model.ledger.records({ partition: 0, from: 0, end: 10_000 }))
      if (record.unfinished.some(({ hasLeft }) => hasLeft)) search.add(record, true);
    await search.run();
    expect(report.totals.pending.delay_topic).toBe(3);
    expect(report.totals.complete).toBe(1);
    expect(report.lists.missing.map(({ what, destinationId }) => [what, destinationId])).toEqual([
      ['retry_lost', 'crm'],
    ]);
  }

  test('finds what waits, moved on or ended, and only the rest is lost', async () => {
    await holds(waiting);
  });

  test.each([
    ['one look', 'const LOOKS = 3', 'const LOOKS = 1'],
    [
      'a retry of another record taken for it',
      'this.#candidates.get(sourceOffset)',
      'this.#candidates.get(sourceOffset) ?? this.#candidates.get(sourceOffset - 1)',
    ],
    ['more rows not noticed', 'now?.rows === known.rows', 'now !== undefined'],
    ['the ledger not asked again', 'if (this.#hasUnknown()) await this.#askLedger();', ''],
  ])('%s is noticed', async (_what, from, to) => {
    const bug = await variantOf<Module>('reconcile/waiting.ts', [from, to]);
    await expect(holds(bug)).rejects.toThrow();
  });
});

test('while the overflow topic holds rows, what looks lost may be in it', async () => {
  const truths = [
    'nothing in the ledger',
    'tried, nothing follows',
    'its retry is lost',
    'delivered',
  ] as const;
  const model = new Model(new Map(truths.map((truth, offset) => [offset, truth])));
  const report = new ReconcileReport(10);
  await reconcile(
    [{ partition: 0, from: 0, end: 4, low: 0, committed: 4, isLedgerWhole: false }],
    model,
    report,
  );
  expect(report.missing).toBe(0);
  expect(report.totals.pending.overflow).toBe(3);
});

test('a run that is stopped says so, and holds on to what it has', async () => {
  const model = new Model(
    new Map([
      [5, 'delivered'],
      [25_000, 'delivered'],
    ] as const),
  );
  const controller = new AbortController();
  const report = new ReconcileReport(10);
  const isWhole = await reconcile(
    [{ partition: 0, from: 0, end: 30_000, low: 0, committed: 30_000, isLedgerWhole: true }],
    {
      topic: model.topic,
      ledger: model.ledger,
      delayTopics: model.delayTopics,
      stop: controller.signal,
      onProgress: () => {
        controller.abort();
      },
    },
    report,
  );
  expect(isWhole).toBe(false);
  expect(report.totals.complete).toBe(1);
});

describe('the report', () => {
  const at = (offset: number) => ({ partition: 1, offset, ledger: null });

  test('lists the first of each kind and counts all', () => {
    const report = new ReconcileReport(2);
    for (let offset = 0; offset < 5; offset++) report.addMissing('no_row', at(offset));
    report.addPending('open', at(9));
    expect(report.missing).toBe(5);
    expect(report.lists.missing.map(({ offset }) => offset)).toEqual([0, 1]);
    expect(report.lists.pending).toHaveLength(1);
  });

  test('makes one gap of parts that meet where spans do', () => {
    const report = new ReconcileReport(2);
    report.addGap({ partition: 0, from: 0, end: 10, kind: 'no_record' });
    report.addGap({ partition: 0, from: 10, end: 30, kind: 'no_record' });
    report.addGap({ partition: 1, from: 30, end: 31, kind: 'no_record' });
    expect(report.gaps.map(({ partition, from, end }) => [partition, from, end])).toEqual([
      [0, 0, 30],
      [1, 30, 31],
    ]);
    expect(report.totals.gaps).toEqual({ retention: 0, no_record: 31 });
  });
});
