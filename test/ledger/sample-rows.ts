import {
  AttemptRows,
  encodeRecord,
  EventRows,
  type AttemptRow,
  type EventRow,
  type RecordColumns,
} from '../../src/ledger/rows.ts';

export const TIME_MS = 1_760_000_000_123;

export const sampleRecord: RecordColumns = {
  tenant: 'tenant-1',
  eventId: 'evt_1',
  eventType: 'contact.created',
  eventTimeMs: TIME_MS,
  correlationId: 'cor_1',
  topic: 'contacts',
  partition: 3,
  offset: 42,
  producedAtMs: TIME_MS + 5,
  instance: 'host-1',
  lane: 2,
  epoch: 7,
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
};

export const sampleEvent: EventRow = {
  version: '1',
  source: 'crm',
  key: 'c_1',
  aggregateType: 'contact',
  aggregateId: 'c_1',
  aggregateVersion: '3',
  deliveries: 1,
  ingestedAtMs: TIME_MS + 10,
  data: Buffer.from('{"name":"Ada"}'),
};

export const sampleAttempt: AttemptRow = {
  deliveryId: 'dlv_1',
  destinationId: 'crm-webhook',
  channel: 'webhook',
  attempt: 1,
  outcome: 'delivered',
  isFinal: true,
  reason: 'ok',
  status: 200,
  attemptedAtMs: TIME_MS + 20,
  durationUs: 1_500,
  nextAttemptAtMs: 0,
  response: '{"ok":true}',
  attemptClass: 'delivered',
  ambiguous: false,
  handOver: '',
  retryTopic: '',
  retryPartition: 0,
  retryOffset: 0,
  waitedUs: 250,
  firstByteUs: 1_200,
  requestBytes: 512,
  responseBytes: 11,
};

export interface Sample<Row> {
  readonly record?: Partial<RecordColumns>;
  readonly row?: Partial<Row>;
}

export function attemptBytes(samples: readonly Sample<AttemptRow>[]): Uint8Array<ArrayBuffer> {
  const rows = new AttemptRows();
  for (const { record, row } of samples) {
    rows.append(encodeRecord({ ...sampleRecord, ...record }), { ...sampleAttempt, ...row });
  }
  return rows.take()?.bytes ?? new Uint8Array();
}

export function eventBytes(samples: readonly Sample<EventRow>[]): Uint8Array<ArrayBuffer> {
  const rows = new EventRows();
  for (const { record, row } of samples) {
    rows.append(encodeRecord({ ...sampleRecord, ...record }), { ...sampleEvent, ...row });
  }
  return rows.take()?.bytes ?? new Uint8Array();
}
