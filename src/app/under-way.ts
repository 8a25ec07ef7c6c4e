import type { LedgerBatcher } from '../ledger/batcher.ts';
import type { HandoverProducer } from '../retry/handover-producer.ts';

const CHECK_MS = 10;

/** Waits for the broker's answers to what was handed over, and then for the ledger's about all of it; no longer than that. */
export async function underWayDurable(
  handovers: Pick<HandoverProducer, 'stats'>,
  batcher: Pick<LedgerBatcher, 'flush'>,
  timeoutMs: number,
): Promise<void> {
  let leftMs = timeoutMs;
  while (handovers.stats.pendingRecords > 0) {
    if (leftMs <= 0) return;
    leftMs -= CHECK_MS;
    await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
  }
  let timer: NodeJS.Timeout | undefined;
  const timeUp = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, leftMs);
  });
  await Promise.race([batcher.flush(), timeUp]);
  clearTimeout(timer);
}
