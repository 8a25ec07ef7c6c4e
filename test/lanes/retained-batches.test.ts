/**
 * Proves that the next thread of a lane is given every record that was not reported,
 * once, in order and byte for byte, that admission gets back the rest, and that
 * one slow record does not keep the memory of all that were sent with it.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LanePacker } from '../../src/ingest/lane-packer.ts';
import { BatchReader } from '../../src/lanes/batch-reader.ts';
import { RetainedBatches } from '../../src/lanes/retained-batches.ts';

interface Sent {
  readonly lane: number;
  readonly assignment: number;
  readonly sequence: number;
  readonly value: string | null;
}

const LANES = 2;

/** Sends and reports as a pool does; what is sent is transferred, so gone. */
class Bench {
  readonly retained = new RetainedBatches(LANES);
  readonly sent: Sent[] = [];
  readonly done = new Set<Sent>();
  readonly ended = new Set<number>();
  readonly #packer = new LanePacker();
  readonly #bytes = new Map<Sent, number>();
  #next = 0;
  /** Three partitions, each under its present epoch. */
  readonly #assignments = [1, 2, 3];

  send(lane: number, values: readonly (string | null)[]): void {
    for (const value of values) {
      const sequence = this.#next++;
      const assignment = this.#assignments[sequence % 3]!;
      const tenant = Buffer.from(`tenant-${sequence}`);
      const before = this.#packer.bytes;
      this.#packer.add({
        assignment,
        sequence,
        offset: sequence * 2,
        timestampMs: 1_000,
        schemaId: 9,
        invalid: 0,
        part: 0,
        parts: 1,
        tenant,
        tenantStart: 0,
        tenantEnd: tenant.length,
        key: sequence % 2 === 0 ? null : Buffer.from('key'),
        headers: null,
        value: value === null ? null : Buffer.from(value),
      });
      const record = { lane, assignment, sequence, value };
      this.sent.push(record);
      this.#bytes.set(record, this.#packer.bytes - before);
    }
    const { buffer, count } = this.#packer.take()!;
    this.retained.keep(lane, buffer, count);
    structuredClone(buffer, { transfer: [buffer] });
  }

  report(records: readonly Sent[]): void {
    for (const record of records) {
      this.done.add(record);
      this.retained.release(record.lane, Uint32Array.of(record.assignment, record.sequence), {
        records: 1,
        bytes: this.#bytes.get(record)!,
      });
    }
  }

  /** Another epoch of a partition begins. */
  end(partition: number): void {
    const assignment = this.#assignments[partition]!;
    this.#assignments[partition] = assignment + 3;
    this.ended.add(assignment);
    this.retained.forget([assignment]);
  }

  held(lane: number): Sent[] {
    return this.sent.filter((record) => record.lane === lane && !this.done.has(record));
  }

  /** What a new thread of the lane must be given. */
  owed(lane: number): Sent[] {
    return this.held(lane).filter(({ assignment }) => !this.ended.has(assignment));
  }

  given(lane: number): Sent[] {
    return [...this.retained.copies(lane)].flatMap(({ buffer, count }) => {
      const reader = new BatchReader(buffer, count);
      const records: Sent[] = [];
      while (reader.next()) {
        const { assignment, sequence, bytes, tenant, offset } = reader;
        expect([tenant, offset]).toEqual([`tenant-${sequence}`, sequence * 2]);
        expect(bytes.key?.toString() ?? null).toBe(sequence % 2 === 0 ? null : 'key');
        records.push({ lane, assignment, sequence, value: bytes.value?.toString() ?? null });
      }
      return records;
    });
  }

  bytesOf(records: readonly Sent[]): number {
    return records.reduce((sum, record) => sum + this.#bytes.get(record)!, 0);
  }
}

const values = fc.array(fc.option(fc.string({ maxLength: 30 }), { freq: 5 }), {
  minLength: 1,
  maxLength: 20,
});
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('send' as const), lane: fc.nat(LANES - 1), values }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('report' as const),
      ranks: fc.array(fc.nat(), { maxLength: 30 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('end' as const), partition: fc.nat(2) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('die' as const), lane: fc.nat(LANES - 1) }) },
);

test('a new thread is given what was not reported, once and in order, and the rest of what was held is let go of', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const bench = new Bench();
      for (const one of steps) {
        if (one.kind === 'send') bench.send(one.lane, one.values);
        else if (one.kind === 'end') bench.end(one.partition);
        else if (one.kind === 'report') {
          const open = bench.sent.filter((record) => !bench.done.has(record));
          bench.report([...new Set(one.ranks.flatMap((rank) => open[rank % open.length] ?? []))]);
        } else {
          const [held, owed] = [bench.held(one.lane), bench.owed(one.lane)];
          const lost = bench.retained.handOn(one.lane);
          expect(lost).toEqual({
            records: held.length - owed.length,
            bytes: bench.bytesOf(held) - bench.bytesOf(owed),
          });
          expect(bench.given(one.lane)).toEqual(owed);
          for (const record of held) if (!owed.includes(record)) bench.done.add(record);
        }
      }
      for (let lane = 0; lane < LANES; lane++) {
        bench.retained.handOn(lane);
        expect(bench.given(lane)).toEqual(bench.owed(lane));
        bench.report(bench.owed(lane));
      }
      expect(bench.retained.keptBytes).toBe(0);
    }),
  );
});

test('one record of each batch that stays open does not keep all batches in memory', () => {
  const bench = new Bench();
  const value = 'x'.repeat(1_000);
  for (let batch = 0; batch < 300; batch++) {
    bench.send(
      0,
      Array.from({ length: 200 }, () => value),
    );
    bench.report(bench.sent.slice(-199));
  }
  expect(bench.retained.keptBytes).toBeLessThan(10 * 1024 * 1024);
  bench.retained.handOn(0);
  expect(bench.given(0)).toEqual(bench.owed(0));
  expect(bench.owed(0)).toHaveLength(300);
});
