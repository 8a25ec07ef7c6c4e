/** Proves that what an event says of itself comes to the column of its name in the ledger. */
import { expect, test } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import type { Event } from '../../src/domain/event.ts';
import { LedgerEntries } from '../../src/lanes/ledger-entries.ts';
import { Outbox } from '../../src/lanes/outbox.ts';
import { columnNames } from '../../src/ledger/columns.ts';
import { assignmentOf, eventOf, openRecordOf } from './lane-parts.ts';

/** The event's row, by column. */
function rowOf(event: Event): Record<string, string> {
  let bytes: Uint8Array = new Uint8Array();
  const outbox = new Outbox(({ events }) => {
    if (events !== null) bytes = events;
  });
  const entries = new LedgerEntries(outbox, systemClock, { instance: 'host-1', lane: 2 });
  entries.event(event, openRecordOf(assignmentOf(3), 40), 3);
  outbox.post();
  const cells = Buffer.from(bytes).toString().trimEnd().split('\t');
  expect(cells).toHaveLength(columnNames('events').length);
  return Object.fromEntries(columnNames('events').map((name, i) => [name, cells[i] ?? '']));
}

test('each field of an event has its column', () => {
  const event = {
    ...eventOf('e-1', 'acme', 'contact.created'),
    version: '2',
    source: '/crm',
    key: 'k-1',
    correlationId: 'cor-1',
    aggregateType: 'contact',
    aggregateId: 'c-7',
    aggregateVersion: '12',
  };
  expect(rowOf(event)).toMatchObject({
    tenant: 'acme',
    event_id: 'e-1',
    event_type: 'contact.created',
    correlation_id: 'cor-1',
    version: '2',
    source: '/crm',
    event_key: 'k-1',
    aggregate_type: 'contact',
    aggregate_id: 'c-7',
    aggregate_version: '12',
    deliveries: '3',
    data: '{"id":"e-1"}',
  });
});

test('what it does not tell of an aggregate is empty, also after one that did', () => {
  expect(rowOf(eventOf('e-2'))).toMatchObject({
    aggregate_type: '',
    aggregate_id: '',
    aggregate_version: '',
  });
});
