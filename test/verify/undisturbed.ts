import type { History, LedgerRow, ReceivedRequest } from '../../src/verify/history.ts';

export function idOf({ deliveryId }: ReceivedRequest | LedgerRow): string {
  return deliveryId;
}

/** Deliveries that a fault could excuse. */
export function disturbedIds({ requests, faults }: History): Set<string> {
  const excused = requests.filter(({ atMs }) =>
    faults.some(({ fromMs, toMs }) => atMs > fromMs - 3_000 && atMs < toMs + 1_000),
  );
  return new Set(excused.map(idOf));
}

/** The requests of deliveries that no fault could excuse, in their order. */
export function undisturbed(history: History): ReceivedRequest[][] {
  const disturbed = disturbedIds(history);
  const redriven = new Set(history.ledger.filter(({ outcome }) => outcome === 'redriven').map(idOf));
  const groups = new Map<string, ReceivedRequest[]>();
  for (const request of history.requests) {
    const id = idOf(request);
    if (disturbed.has(id) || redriven.has(id)) continue;
    groups.set(id, [...(groups.get(id) ?? []), request]);
  }
  return [...groups.values()];
}
