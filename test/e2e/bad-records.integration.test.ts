/**
 * Faults K9, S2 and S4: records of every kind that can't be read, among good ones. Each is `invalid` in the ledger with
 * its reason and place, and is on the bad-event topic as it was; every good record is delivered, and no partition stops.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { deliveryId } from '../../src/domain/ids.ts';
import type { RecordHeader, SourceRecord } from '../../src/domain/record.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temp.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { brokenRecords, encodeNote, NOTE_SCHEMA, NOTE_SCHEMA_ID } from './broken-records.ts';
import { rawProduce } from './raw-produce.ts';
import { Scenario } from './scenario.ts';
import { Sender, type SentRecord } from './sender.ts';
import { headerValues, readTopic } from './topic-records.ts';

const MAX_RECORD_BYTES = 2048;
const PARTITIONS = 3;
const TENANTS = 2;
const GOOD_AROUND_EACH = 5;
const BROKEN = brokenRecords(MAX_RECORD_BYTES);
/** One name twice. */
const HEADERS: readonly RecordHeader[] = [
  ['trace', Buffer.from('first')],
  ['trace', Buffer.from('zweiter, größer')],
  ['empty', Buffer.alloc(0)],
];
/** As Java producers write them: a long, and bytes that are not UTF-8. */
const BINARY_HEADERS: readonly RecordHeader[] = [
  ['count', Buffer.of(0, 0, 0, 0, 0, 0, 0, 42)],
  ['span', Buffer.of(255, 128, 1)],
  ['plain', Buffer.from('as it is')],
];

/** One of each kind a partition, and the one with binary headers. */
const EXPECTED = Object.keys(BROKEN).length * PARTITIONS + 1;

describeWithKafka(
  `${Object.keys(BROKEN).length} kinds of bad records on each of ${PARTITIONS} partitions`,
  (kafka) => {
    let folder: TemporaryDirectory;
    let scenario: Scenario;
    let dispatcher: DispatcherProcess;
    const goodIds = new Set<string>();
    /** By kind, one a partition. */
    const sent = new Map<string, SentRecord[]>();
    /** With headers that are no text, and a key and a value that are there and empty. */
    let binary: Pick<SentRecord, 'partition' | 'offset'>;
    let badEvents: SourceRecord[];
    let invalidRows: InvalidRow[];

    beforeAll(async () => {
      folder = await schemaFolder();
      scenario = await Scenario.open({
        kafka,
        partitions: PARTITIONS,
        destinations: { crm: {} },
        config: {
          kafka: { maxRecordSize: `${MAX_RECORD_BYTES / 1024}kb` },
          schemas: { folder: folder.path },
        },
      });
      dispatcher = await scenario.startDispatcher();
      await sendAll();
      const empty = { key: Buffer.alloc(0), value: Buffer.alloc(0), headers: BINARY_HEADERS };
      binary = { partition: 0, offset: await rawProduce(kafka.brokers, scenario.topic, 0, empty) };
      await scenario.settled();
      badEvents = await readTopic(kafka, scenario.badEventTopic);
      invalidRows = await scenario.ledger.query<InvalidRow>(
        `SELECT topic, partition, offset, reason, tenant, attempt, is_final, destination_id
       FROM attempts WHERE outcome = 'invalid'`,
      );
    });
    afterAll(async () => {
      await scenario.close();
      await folder.remove();
    });

    for (const [kind, { reason }] of Object.entries(BROKEN)) {
      describe(kind, () => {
        it(`is invalid in the ledger: ${reason}`, () => {
          for (const { topic, partition, offset } of sent.get(kind)!) {
            const rows = invalidRows.filter((row) => row.partition === partition && row.offset === offset);
            expect(rows).toEqual([
              {
                topic,
                partition,
                offset,
                reason,
                tenant: expect.any(String),
                attempt: 0,
                is_final: true,
                destination_id: '',
              },
            ]);
          }
        });

        it('is on the bad-event topic once, as it was', () => {
          for (const record of sent.get(kind)!) {
            const found = badEvents.filter((event) => isFrom(event, record));
            expect(found).toHaveLength(1);
            expect(found[0]!.value).toEqual(record.value);
            expect(found[0]!.key ?? null).toEqual(record.key);
            expect(found[0]!.headers).toEqual([
              ...HEADERS.map(([name, bytes]) => ({ [name]: bytes })),
              { 'eventdispatch-outcome': Buffer.from('invalid') },
              { 'eventdispatch-reason': Buffer.from(reason) },
              { 'eventdispatch-source-topic': Buffer.from(record.topic) },
              { 'eventdispatch-source-partition': Buffer.from(String(record.partition)) },
              { 'eventdispatch-source-offset': Buffer.from(String(record.offset)) },
              { 'eventdispatch-source-timestamp': expect.any(Buffer) },
            ]);
          }
        });
      });
    }

    it('keeps header values that are no text, in Base64', () => {
      const [event, ...others] = badEvents.filter((one) => isFrom(one, binary));
      expect(others).toEqual([]);
      expect(event!.headers!.slice(0, BINARY_HEADERS.length)).toEqual([
        { 'eventdispatch-base64.count': Buffer.from('AAAAAAAAACo=') },
        { 'eventdispatch-base64.span': Buffer.from('/4AB') },
        { plain: Buffer.from('as it is') },
      ]);
      expect([event!.key, event!.value]).toEqual([Buffer.alloc(0), Buffer.alloc(0)]);
    });

    it('delivers every good record once, also those without a key', async () => {
      const ids = (await scenario.receiver.requests('crm')).map((request) => request.webhookId);
      expect(ids.toSorted()).toEqual([...goodIds].toSorted());
      const deliveries = await scenario.ledgerDeliveries('crm');
      expect([...deliveries.keys()].toSorted()).toEqual([...goodIds].toSorted());
    });

    it('takes nothing else for invalid', () => {
      expect(invalidRows).toHaveLength(EXPECTED);
      expect(badEvents).toHaveLength(EXPECTED);
    });

    it('names the tenant where it could be told', () => {
      const [record] = sent.get('an event id of 600 letters')!;
      const row = invalidRows.find(
        ({ partition, offset }) => partition === record!.partition && offset === record!.offset,
      );
      expect(row!.tenant).toBe('tenant-1');
    });

    it('counts them, commits to the end, and leaves cleanly', async () => {
      expect(await dispatcher.metric('eventdispatch_records_undelivered_total', { outcome: 'invalid' })).toBe(
        EXPECTED,
      );
      expect(
        await dispatcher.metric('eventdispatch_handovers_total', { to: 'bad_event', result: 'ok' }),
      ).toBe(EXPECTED);
      expect(await kafka.committedOffsets(scenario.group, scenario.topic)).toEqual(
        await kafka.endOffsets(scenario.topic),
      );
      expect(await dispatcher.stop(), dispatcher.child.output()).toEqual({ code: 0, signal: null });
    });

    /** On each partition: good ones, a bad one, good ones, the next bad one … */
    async function sendAll(): Promise<void> {
      const sender = await Sender.open(kafka.brokers);
      for (const [index, [kind, { value }]] of Object.entries(BROKEN).entries()) {
        const bad: SentRecord[] = [];
        for (let partition = 0; partition < PARTITIONS; partition++) {
          await sender.send(scenario.topic, goodNotes(`${index}-${partition}`, partition));
          const key = index % 2 === 0 ? null : Buffer.from('tenant-1');
          bad.push(...(await sender.send(scenario.topic, [{ partition, key, value, headers: HEADERS }])));
        }
        sent.set(kind, bad);
      }
      for (let partition = 0; partition < PARTITIONS; partition++) {
        await sender.send(scenario.topic, goodNotes(`last-${partition}`, partition));
      }
      await sender.close();
    }

    function goodNotes(prefix: string, partition: number) {
      return Array.from({ length: GOOD_AROUND_EACH }, (_, index) => {
        const note = { eventId: `${prefix}-${index}`, tenantId: `tenant-${(index % TENANTS) + 1}` };
        goodIds.add(deliveryId(note.tenantId, note.eventId, 'crm'));
        return { partition, key: index === 0 ? null : Buffer.from(note.tenantId), value: encodeNote(note) };
      });
    }
  },
);

interface InvalidRow {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly reason: string;
  readonly tenant: string;
  readonly attempt: number;
  readonly is_final: boolean;
  readonly destination_id: string;
}

async function schemaFolder(): Promise<TemporaryDirectory> {
  const folder = await temporaryDirectory('schemas');
  await writeFile(path.join(folder.path, 'note.avsc'), JSON.stringify(NOTE_SCHEMA));
  const schemas = [{ id: NOTE_SCHEMA_ID, file: 'note.avsc', subject: 'note-value', version: 1 }];
  await writeFile(path.join(folder.path, 'index.json'), JSON.stringify({ schemas }));
  return folder;
}

function isFrom(
  event: SourceRecord,
  { partition, offset }: Pick<SentRecord, 'partition' | 'offset'>,
): boolean {
  return (
    headerValues(event, 'eventdispatch-source-partition').join() === String(partition) &&
    headerValues(event, 'eventdispatch-source-offset').join() === String(offset)
  );
}
