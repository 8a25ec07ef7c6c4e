/** Proves that a redrive hands each open delivery over once, marks it only after the ack, and can be run again. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { drop, redrive } from '../../src/dead/apply.ts';
import type { RedriveParts } from '../../src/dead/apply.ts';
import { EVERY_DEAD_LETTER, isMeant } from '../../src/dead/filter.ts';
import { planDeadLetters } from '../../src/dead/plan.ts';
import type { DeadLetterPlan } from '../../src/dead/plan.ts';
import { scanDeadLetters } from '../../src/dead/scan.ts';
import type { DeadState } from '../../src/dead/scan.ts';
import { decodeRetryHeaders, encodeRetryHeaders } from '../../src/retry/retry-headers.ts';
import type { RetryHeaders } from '../../src/domain/retry-headers.ts';
import { TokenBucket } from '../../src/limit/token-bucket.ts';
import { ManualClock } from '../domain/manual-clock.ts';
import { FakeTopic } from './dead-letters.ts';

/** A redrive's surroundings, in memory, with a clock of their own. */
class Bench {
  readonly topic = new FakeTopic();
  readonly clock = new ManualClock();
  readonly handedOver: string[] = [];
  readonly slept: number[] = [];
  readonly stop = new AbortController();
  /** Handed over and not marked, the most at any time. */
  mostUnmarked = 0;
  refuse: (deliveryId: string) => boolean = () => false;

  parts(ratePerSecond = Infinity): RedriveParts {
    return {
      letters: this.topic.letters,
      marks: this.topic.marks,
      mark: (letters, state) => this.topic.mark(letters, state),
      encodeHeaders: encodeRetryHeaders,
      bucket: new TokenBucket(ratePerSecond, 1),
      clock: this.clock,
      sleep: async (ms) => {
        this.slept.push(ms);
        this.clock.nowMs += ms;
      },
      handOver: async ({ headers }) => {
        const { deliveryId } = decodeRetryHeaders(headers) as RetryHeaders;
        if (this.refuse(deliveryId)) throw new Error('no space left');
        this.handedOver.push(deliveryId);
        const marked = new Set(this.topic.marked.map(({ letter }) => letter.deliveryId));
        const unmarked = this.handedOver.filter((id) => !marked.has(id)).length;
        this.mostUnmarked = Math.max(this.mostUnmarked, unmarked);
      },
      stop: this.stop.signal,
      onProgress: () => undefined,
    };
  }

  plan(tenant: string | null = null, maxLetters?: number): Promise<DeadLetterPlan> {
    return planDeadLetters(
      this.topic.spans(),
      this.topic,
      {
        isChosen: (letter) => isMeant(letter, { ...EVERY_DEAD_LETTER, tenant }),
        whyUnfit: (letter) => (letter.value === null ? 'no value' : null),
      },
      maxLetters,
    );
  }

  async states(): Promise<DeadState[]> {
    const states: DeadState[] = [];
    await scanDeadLetters(this.topic.spans(), this.topic, (_, state) => {
      states.push(state);
      return true;
    });
    return states;
  }
}

function fill(bench: Bench, count: number): void {
  for (let i = 0; i < count; i++) bench.topic.add(i % 3, { 'delivery-id': `dlv_${i}` });
}

describe('a redrive', () => {
  test('whatever is chosen is handed over once and marked, the rest untouched, and a second run finds nothing', async () => {
    const record = fc.record({
      partition: fc.nat(2),
      tenant: fc.constantFrom('a', 'b'),
      delivery: fc.nat(12),
      hasValue: fc.boolean(),
      isForeign: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(record, { maxLength: 40 }), async (records) => {
        const bench = new Bench();
        for (const { partition, tenant, delivery, hasValue, isForeign } of records) {
          bench.topic.add(
            partition,
            { tenant, 'delivery-id': `${tenant}${delivery}` },
            {
              ...(hasValue ? {} : { value: null }),
              ...(isForeign ? { headers: [] } : {}),
            },
          );
        }
        const chosen = records.filter((r) => r.tenant === 'a' && r.hasValue && !r.isForeign);
        const ids = new Set(chosen.map(({ tenant, delivery }) => `${tenant}${delivery}`));

        const plan = await bench.plan('a');
        expect({ letters: plan.places.size, deliveries: plan.deliveries, tally: plan.tally.total }).toEqual({
          letters: chosen.length,
          deliveries: ids.size,
          tally: chosen.length,
        });
        expect(await redrive(plan, bench.parts())).toEqual({ letters: chosen.length, deliveries: ids.size });
        expect([...bench.handedOver].sort()).toEqual([...ids].sort());
        expect(bench.topic.marked.every(({ letter }) => letter.tenant === 'a')).toBe(true);

        expect((await bench.plan('a')).places.size).toBe(0);
        await redrive(plan, bench.parts());
        expect(bench.handedOver).toHaveLength(ids.size);
      }),
    );
  });

  test('no more is handed over than the rate, and what waits unmarked is bounded', async () => {
    const bench = new Bench();
    const startMs = bench.clock.nowMs;
    fill(bench, 500);
    await redrive(await bench.plan(), bench.parts(50));
    expect(bench.handedOver).toHaveLength(500);
    expect(bench.clock.nowMs - startMs).toBeCloseTo((499 / 50) * 1_000);
    expect(bench.mostUnmarked).toBeLessThanOrEqual(51);
  });

  test('without a rate, a batch is marked before the next one is handed over', async () => {
    const bench = new Bench();
    fill(bench, 1_000);
    await redrive(await bench.plan(), bench.parts());
    expect(bench.mostUnmarked).toBe(200);
  });

  test('at one an hour, each is marked before the hour begins', async () => {
    const bench = new Bench();
    fill(bench, 3);
    await redrive(await bench.plan(), bench.parts(1 / 3_600));
    expect(bench.mostUnmarked).toBe(1);
  });

  test('one that the broker refuses stays open with its twin; those of its batch that it took are marked', async () => {
    const bench = new Bench();
    fill(bench, 4);
    bench.topic.add(0, { 'delivery-id': 'dlv_2' });
    bench.refuse = (id) => id === 'dlv_2';
    await expect(redrive(await bench.plan(), bench.parts())).rejects.toThrow(
      /^the broker refused a retry: no space left$/,
    );
    const marked = bench.topic.marked.map(({ letter }) => letter.deliveryId).sort();
    expect(marked).toEqual(['dlv_0', 'dlv_1', 'dlv_3']);
    bench.refuse = () => false;
    expect(await redrive(await bench.plan(), bench.parts())).toEqual({ letters: 2, deliveries: 1 });
  });

  test('a ledger that takes no mark is told with the places that a next run repeats', async () => {
    const bench = new Bench();
    fill(bench, 7);
    const parts = { ...bench.parts(), mark: () => Promise.reject(new Error('read only')) };
    await expect(redrive(await bench.plan(), parts)).rejects.toThrow(
      /^7 dead letters were handed over and not marked, so the next redrive repeats them \(0:0, 0:1, 0:2, 1:0, 1:1, …\): read only$/,
    );
  });

  test('stopped, it hands nothing more over, and marks what it did', async () => {
    const bench = new Bench();
    fill(bench, 20);
    const parts = bench.parts();
    const stopping: RedriveParts = {
      ...parts,
      handOver: async (record) => {
        await parts.handOver(record);
        if (bench.handedOver.length === 5) bench.stop.abort();
      },
    };
    expect(await redrive(await bench.plan(), stopping)).toEqual({ letters: 5, deliveries: 5 });
    expect(bench.topic.marked).toHaveLength(5);
  });

  test('the preview is of what one run takes, when there is more', async () => {
    const bench = new Bench();
    fill(bench, 10);
    const plan = await bench.plan(null, 4);
    expect([plan.isCut, plan.places.size, plan.tally.total]).toEqual([true, 4, 4]);
    expect(await redrive(plan, bench.parts())).toEqual({ letters: 4, deliveries: 4 });
  });
});

describe('a drop', () => {
  test('marks each chosen one as dropped, and hands nothing over', async () => {
    const bench = new Bench();
    fill(bench, 450);
    expect(await drop(await bench.plan(), bench.parts())).toBe(450);
    expect(new Set(await bench.states())).toEqual(new Set(['dropped']));
    expect(bench.handedOver).toEqual([]);
    expect((await bench.plan()).places.size).toBe(0);
  });
});

describe('a scan', () => {
  test('holds the marks of a window only, however far apart the offsets are', async () => {
    const bench = new Bench();
    bench.topic.add(0, { 'delivery-id': 'first' });
    bench.topic.add(0, { 'delivery-id': 'far' }, { offset: 70_000 });
    expect(await bench.states()).toEqual(['open', 'open']);
    expect(bench.topic.widestSpan).toBeLessThanOrEqual(20_000);
  });

  test('a mark of a topic that was made anew does not hide the dead letter that has its place now', async () => {
    const bench = new Bench();
    fill(bench, 1);
    await redrive(await bench.plan(), bench.parts());
    bench.topic.records.splice(0);
    bench.topic.add(0, { 'delivery-id': 'another' });
    expect(await bench.states()).toEqual(['open']);
  });
});
