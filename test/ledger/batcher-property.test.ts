/** In any run each record is told once, in order, and only after its rows are stored once, however the ledger answers. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { LedgerSink } from '../../src/ledger/batch-sender.ts';
import { LedgerBatcher } from '../../src/ledger/batcher.ts';
import type { LedgerTable } from '../../src/ledger/columns.ts';
import { BOUNDS, chunkOf, LONGEST_RETRY_MS, passing, refusing, textOf } from './batcher-parts.ts';
import { SimulatedTime } from './simulated-time.ts';

/** How the ledger answers one insert: after a while, having stored the rows or not, well or with an error. */
interface Answer {
  readonly afterMs: number;
  readonly stores: boolean;
  readonly error: 'none' | 'retryable' | 'fatal';
}
const anyAnswer: fc.Arbitrary<Answer> = fc
  .record({
    afterMs: fc.nat(2_000),
    stores: fc.boolean(),
    error: fc.constantFrom('none' as const, 'none' as const, 'retryable' as const, 'fatal' as const),
  })
  .map((answer) => (answer.error === 'none' ? { ...answer, stores: true } : answer));

type Step =
  | {
      readonly kind: 'add';
      readonly attemptRows: number;
      readonly eventRows: number;
      readonly records: number;
    }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'flush' };
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('add' as const),
      attemptRows: fc.nat(6),
      eventRows: fc.nat(4),
      records: fc.nat(3),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(1_500) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'flush' as const }) },
);

/** A ledger that stores a token once, answers as it is told, and then always well. */
class ModelLedger implements LedgerSink {
  readonly stored: Record<LedgerTable, string> = { events: '', attempts: '' };
  readonly sent = new Map<string, string>();
  readonly broken: string[] = [];
  readonly #tokens = new Set<string>();
  readonly #busy = new Set<LedgerTable>();
  readonly #answers: Answer[];
  readonly #time: SimulatedTime;

  constructor(time: SimulatedTime, answers: readonly Answer[]) {
    this.#time = time;
    this.#answers = [...answers];
  }

  async insert(table: LedgerTable, pieces: readonly Uint8Array[], token: string): Promise<void> {
    const rows = textOf(Buffer.concat(pieces));
    const key = `${table} ${token}`;
    // Thrown here they would look like one more failed insert.
    if ((this.sent.get(key) ?? rows) !== rows) this.broken.push('a token stands for other bytes');
    if (this.#busy.has(table)) this.broken.push('two inserts at once');
    this.sent.set(key, rows);
    this.#busy.add(table);
    const { afterMs, stores, error } = this.#answers.shift() ?? { afterMs: 1, stores: true, error: 'none' };
    await new Promise<void>((resolve) => this.#time.set(resolve, afterMs));
    this.#busy.delete(table);
    if (stores && !this.#tokens.has(key)) {
      this.#tokens.add(key);
      this.stored[table] += rows;
    }
    if (error !== 'none') throw error === 'fatal' ? refusing() : passing();
  }
}

test('each record is told once, in order, and only after its rows and all before them are stored once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyStep, { maxLength: 40 }),
      fc.array(anyAnswer, { maxLength: 30 }),
      fc.double({ min: 0, max: 0.99, noNaN: true }),
      async (steps, answers, random) => {
        const time = new SimulatedTime();
        const ledger = new ModelLedger(time, answers);
        const expected = { attempts: '', events: '' };
        /** For each record: how much of each table must be there when it is told. */
        const needs: { readonly attempts: number; readonly events: number }[] = [];
        const told: number[] = [];
        const batcher = new LedgerBatcher({
          sink: ledger,
          bounds: BOUNDS,
          clock: time,
          timers: time,
          random: () => random,
          onDurable: (records) => {
            for (let i = 1; i < records.length; i += 2) {
              const sequence = records[i] as number;
              told.push(sequence);
              const need = needs[sequence];
              expect(ledger.stored.attempts.length).toBeGreaterThanOrEqual(need?.attempts ?? Infinity);
              expect(ledger.stored.events.length).toBeGreaterThanOrEqual(need?.events ?? Infinity);
            }
          },
        });
        const flushes: Promise<void>[] = [];
        for (const step of steps) {
          if (step.kind === 'wait') await time.advance(step.ms);
          else if (step.kind === 'flush') flushes.push(batcher.flush());
          else {
            const chunk = chunkOf(step.attemptRows, step.eventRows, []);
            if (chunk.attempts !== null) expected.attempts += textOf(chunk.attempts);
            if (chunk.events !== null) expected.events += textOf(chunk.events);
            const records: number[] = [];
            for (let i = 0; i < step.records; i++) {
              records.push(9, needs.length);
              needs.push({ attempts: expected.attempts.length, events: expected.events.length });
            }
            batcher.add({ ...chunk, records: Uint32Array.from(records) });
          }
        }
        await time.advance(60 * LONGEST_RETRY_MS);
        await Promise.all(flushes);
        expect(ledger.broken).toEqual([]);
        expect(told).toEqual(needs.map((_, sequence) => sequence));
        expect(ledger.stored).toEqual(expected);
        expect([batcher.pendingRows, batcher.pendingBytes, time.timers]).toEqual([0, 0, 0]);
        expect(batcher.stats.rows).toBe(
          expected.attempts.split('\n').length + expected.events.split('\n').length - 2,
        );
        for (const rows of ledger.sent.values()) expect(rows.split('\n').length - 1).toBeLessThan(10 + 6 + 4);
      },
    ),
    { numRuns: 300 },
  );
});
