/** Proves what is waited for before an epoch ends that was lost: hand-overs first, then the ledger, and neither for ever. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { underWayDurable } from '../../src/app/under-way.ts';
import type { HandoverProducer } from '../../src/retry/handover-producer.ts';

const TIMEOUT_MS = 1_000;
type Handovers = Pick<HandoverProducer, 'stats'>;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function handoversOf(pendingRecords: number): Handovers & { stats: { pendingRecords: number } } {
  return { stats: { pendingRecords } } as unknown as Handovers & { stats: { pendingRecords: number } };
}

/** Whether it is over, and what it flushed. */
function follow(handovers: Handovers, flush: () => Promise<void>): { isOver: boolean; flushes: number } {
  const seen = { isOver: false, flushes: 0 };
  const flushed = (): Promise<void> => {
    seen.flushes++;
    return flush();
  };
  void underWayDurable(handovers, { flush: flushed }, TIMEOUT_MS).then(() => (seen.isOver = true));
  return seen;
}

test('the ledger is asked when no hand-over waits for the broker any more', async () => {
  const handovers = handoversOf(2);
  const seen = follow(handovers, () => Promise.resolve());
  await vi.advanceTimersByTimeAsync(500);
  expect(seen).toEqual({ isOver: false, flushes: 0 });
  handovers.stats.pendingRecords = 0;
  await vi.advanceTimersByTimeAsync(20);
  expect(seen).toEqual({ isOver: true, flushes: 1 });
});

test('a broker that answers nothing is waited for so long', async () => {
  const seen = follow(handoversOf(1), () => Promise.resolve());
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS + 20);
  expect(seen).toEqual({ isOver: true, flushes: 0 });
});

test('so is a ledger', async () => {
  const seen = follow(handoversOf(0), () => new Promise(() => undefined));
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS - 20);
  expect(seen).toEqual({ isOver: false, flushes: 1 });
  await vi.advanceTimersByTimeAsync(20);
  expect(seen.isOver).toBe(true);
});
