import type { LedgerRecord, UnfinishedDelivery } from '../../src/reconcile/standing.ts';

/** What the ledger has of a record, all of it delivered unless `change` says otherwise. */
export function ledgerRecord(offset: number, change: Partial<LedgerRecord> = {}): LedgerRecord {
  return {
    offset,
    tenant: 'acme',
    eventId: `evt-${offset}`,
    deliveries: 1,
    absent: 0,
    unfinished: [],
    repeated: [],
    maybeTwice: 0,
    ...change,
  };
}

export function unfinished(change: Partial<UnfinishedDelivery> = {}): UnfinishedDelivery {
  return { deliveryId: 'dlv_1', destinationId: 'crm', rows: 1, hasLeft: true, ...change };
}
