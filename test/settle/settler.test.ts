/**
 * Proves that a record is durable only after the ledger has its rows and the broker
 * has each of its hand-overs, in whatever order those answer; and that admission
 * stops while what waits is at a bound.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { limits } from '../../src/domain/limits.ts';
import { Assignments } from '../../src/ingest/assignments.ts';
import { Settler, type SettledWork } from '../../src/settle/settler.ts';

type LedgerAdd = ConstructorParameters<typeof Settler<SettledWork>>[0]['ledger']['add'];

class Bench {
  readonly assignments = new Assignments();
  readonly assignment = this.assignments.begin({ topic: 't', partition: 0 });
  /** Ledger batches that wait for their ack. */
  readonly batches: Uint32Array[] = [];
  /** Rows of hand-overs that the ledger was told of. */
  readonly rows: string[] = [];
  /** Hand-overs that wait for theirs. */
  readonly handed: { assignment: number; sequence: number; row?: Uint8Array<ArrayBuffer> | null }[] = [];
  readonly calls: string[] = [];
  readonly stats = { pendingRecords: 0, pendingBytes: 0 };
  readonly ledger = {
    pendingBytes: 0,
    add: ({ records, attempts, attemptRows }: Parameters<LedgerAdd>[0]): void => {
      this.calls.push('ledger');
      if (attempts !== null) this.rows.push(`${attemptRows} ${Buffer.from(attempts).toString()}`);
      this.batches.push(records);
    },
  };
  readonly settler = new Settler<SettledWork>({
    records: this.assignments,
    admission: {
      release: (lane, records, bytes) => {
        this.calls.push(`release ${lane} ${records} ${bytes}`);
      },
      settle: (pairs) => {
        this.calls.push(`settle ${pairs.join(' ')}`);
      },
    },
    ledger: this.ledger,
    handovers: {
      add: (handover) => {
        this.calls.push('handover');
        this.handed.push(handover);
      },
      stats: this.stats,
    },
  });

  /** What a lane would report of these records: their ends, and this many hand-overs of each. */
  settle(ended: readonly number[], handed: readonly number[]): void {
    const { id } = this.assignment;
    this.settler.onSettled(3, {
      attempts: null,
      attemptRows: 0,
      events: null,
      eventRows: 0,
      records: Uint32Array.from(ended.flatMap((sequence) => [id, sequence])),
      handovers: handed.map((sequence) => ({ assignment: id, sequence })),
      releasedRecords: ended.length,
      releasedBytes: ended.length * 10,
    });
  }

  ackLedger(): void {
    const records = this.batches.shift();
    if (records !== undefined) this.settler.onLedgerAck(records);
  }

  ackHandover(index = 0): void {
    const [done] = this.handed.splice(index, 1);
    if (done !== undefined) this.settler.onHandoverAck({ ...done, row: done.row ?? null });
  }
}

describe('a record', () => {
  test('without hand-overs is durable with its rows', () => {
    const bench = new Bench();
    const sequence = bench.assignment.frontier.admit(7);
    bench.settle([sequence], []);
    expect(bench.assignment.frontier.position).toBe(7);
    bench.ackLedger();
    expect(bench.assignment.frontier.position).toBe(8);
  });

  test.each([
    ['the ledger first', ['ledger', 'handover', 'handover']],
    ['the broker first', ['handover', 'handover', 'ledger']],
    ['the ledger between', ['handover', 'ledger', 'handover']],
  ])('with two hand-overs is durable after all three answers, %s', (_what, answers) => {
    const bench = new Bench();
    const sequence = bench.assignment.frontier.admit(7);
    bench.settle([sequence], [sequence, sequence]);
    for (const answer of answers) {
      expect(bench.assignment.frontier.position).toBe(7);
      if (answer === 'ledger') bench.ackLedger();
      else bench.ackHandover();
    }
    expect(bench.assignment.frontier.position).toBe(8);
  });

  test('handed over in one message and ended in a later one stays open until then', () => {
    const bench = new Bench();
    const sequence = bench.assignment.frontier.admit(7);
    bench.settle([], [sequence]);
    bench.ackHandover();
    bench.ackLedger();
    expect(bench.assignment.frontier.position).toBe(7);
    bench.settle([sequence], []);
    bench.ackLedger();
    expect(bench.assignment.frontier.position).toBe(8);
  });

  test('whose hand-over has a row is durable when the ledger has that row, which it gets at the broker’s ack', () => {
    const bench = new Bench();
    const sequence = bench.assignment.frontier.admit(7);
    bench.settle([sequence], [sequence]);
    bench.handed[0]!.row = new Uint8Array(Buffer.from('row'));
    bench.ackLedger();
    expect(bench.rows).toEqual([]);
    bench.ackHandover();
    expect([bench.rows, bench.assignment.frontier.position]).toEqual([['1 row'], 7]);
    bench.ackLedger();
    expect(bench.assignment.frontier.position).toBe(8);
  });

  test('of an epoch that ended still has its hand-over’s row written: it is true', () => {
    const bench = new Bench();
    const sequence = bench.assignment.frontier.admit(7);
    bench.settle([sequence], [sequence]);
    bench.handed[0]!.row = new Uint8Array(Buffer.from('row'));
    bench.assignments.end(bench.assignment);
    bench.ackHandover();
    bench.ackLedger();
    bench.ackLedger();
    expect([bench.rows, bench.assignment.frontier.position]).toEqual([['1 row'], 7]);
  });

  test('of an epoch that ended moves nothing, and breaks nothing', () => {
    const bench = new Bench();
    const sequence = bench.assignment.frontier.admit(7);
    bench.assignments.end(bench.assignment);
    bench.settle([sequence], [sequence]);
    bench.ackHandover();
    bench.ackLedger();
    expect(bench.assignment.frontier.position).toBe(7);
  });
});

test('hand-overs are counted before the rows go on, and the lane gets its room back', () => {
  const bench = new Bench();
  const sequence = bench.assignment.frontier.admit(7);
  bench.settle([sequence], [sequence]);
  expect(bench.calls).toEqual(['handover', 'settle 1 0', 'ledger', 'release 3 1 10']);
});

test('over any order of answers the frontier is where the naive count says', () => {
  const plan = fc.array(fc.tuple(fc.nat(3), fc.boolean()), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(plan, fc.array(fc.nat(), { maxLength: 60 }), (records, order) => {
      const bench = new Bench();
      const left = new Map<number, number>();
      const sequences = records.map((_, offset) => bench.assignment.frontier.admit(offset));
      records.forEach(([handovers, inOneMessage], i) => {
        const sequence = sequences[i]!;
        const handed = new Array<number>(handovers).fill(sequence);
        left.set(sequence, handovers + 1);
        if (inOneMessage) bench.settle([sequence], handed);
        else {
          bench.settle([], handed);
          bench.settle([sequence], []);
        }
      });
      const finish = (sequence: number): unknown => left.set(sequence, left.get(sequence)! - 1);
      const answer = (pick: number): void => {
        if (pick % 2 === 0) {
          const batch = bench.batches[0];
          if (batch !== undefined && batch.length > 0) finish(batch[1]!);
          bench.ackLedger();
        } else {
          const index = pick % Math.max(1, bench.handed.length);
          const handed = bench.handed[index];
          if (handed !== undefined) finish(handed.sequence);
          bench.ackHandover(index);
        }
        const open = sequences.findIndex((sequence) => left.get(sequence)! > 0);
        expect(bench.assignment.frontier.position).toBe(open < 0 ? records.length : open);
      };
      order.forEach(answer);
      while (bench.batches.length > 0) answer(0);
      while (bench.handed.length > 0) answer(1);
      expect(bench.assignment.frontier.position).toBe(records.length);
    }),
  );
});

describe('room', () => {
  test.each([
    ['ledger bytes', (bench: Bench) => (bench.ledger.pendingBytes = limits.ledgerPendingMaxBytes)],
    ['hand-overs', (bench: Bench) => (bench.stats.pendingRecords = limits.handoverPendingRecords)],
    ['hand-over bytes', (bench: Bench) => (bench.stats.pendingBytes = limits.handoverPendingBytes)],
  ])('ends at the bound of %s', (_what, fill) => {
    const bench = new Bench();
    expect(bench.settler.hasRoom()).toBe(true);
    fill(bench);
    expect(bench.settler.hasRoom()).toBe(false);
  });
});
