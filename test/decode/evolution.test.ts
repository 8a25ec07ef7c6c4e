import { describe, expect, it } from 'vitest';
import { FolderEncoder } from '../../src/decode/avro-encoder.ts';
import { readSchemaFolder } from '../../src/decode/schema-folder.ts';
import { limits } from '../../src/domain/limits.ts';
import { AvscDecoder } from './avsc-decoder.ts';

/* Proves that the catalogue evolves by Avro's rules: a v2 reader reads v1 data. */

const folder = readSchemaFolder('schemas');

function schemaOf(subject: string, version: number): string {
  const schema = [...folder.values()].find((one) => one.subject === subject && one.version === version);
  if (schema === undefined) throw new Error(`no ${subject} v${version}`);
  return schema.text;
}

function readAs(subject: string, writer: number, reader: number, value: object): unknown {
  const decoder = new AvscDecoder(schemaOf(subject, writer), schemaOf(subject, reader));
  const bytes = new FolderEncoder(folder).find(subject, writer)!.encode(value);
  return decoder.decode(bytes.subarray(limits.wireHeaderBytes));
}

const common = {
  eventId: 'e-1',
  timestamp: 1_750_000_000_000,
  version: 1,
  tenantId: 'tenant-1',
  source: 'test',
};

const contact = {
  ...common,
  eventType: 'contact.created',
  contactId: 'ct_1',
  email: 'a@example.com',
  firstName: 'Anna',
  lastName: 'Berg',
  company: null,
  origin: 'API',
  consent: true,
  listIds: ['newsletter'],
  attributes: { city: 'Berlin' },
};

const email = {
  ...common,
  eventType: 'email.sent',
  messageId: 'm-1',
  contactId: 'ct_1',
  campaignId: null,
  sender: 'hello@example.com',
  subject: 'Hi',
  templateId: 'tpl_1',
  sizeBytes: 4_000,
};

const payment = {
  ...common,
  eventType: 'transaction.completed',
  transactionId: 't-1',
  orderId: 'ord_1',
  contactId: 'ct_1',
  amountMinor: 1_999,
  currency: 'EUR',
  method: 'CARD',
  authorizationCode: 'abc',
  receiptUrl: 'https://pay.example.com/r/1',
};

describe('v1 data with a v2 reader', () => {
  it('contact.created: phone is phoneNumber, lifecycleStage has its default', () => {
    expect(readAs('eventdispatch.contact.ContactCreated', 1, 2, { ...contact, phone: '+4930123' })).toEqual({
      ...contact,
      correlationId: null,
      phoneNumber: '+4930123',
      lifecycleStage: 'lead',
    });
  });

  it('email.sent: recipient is to, provider has its default', () => {
    expect(readAs('eventdispatch.email.EmailSent', 1, 2, { ...email, recipient: 'a@example.com' })).toEqual({
      ...email,
      correlationId: null,
      to: 'a@example.com',
      provider: 'smtp',
    });
  });

  it('transaction.completed: processor is paymentProvider, feeMinor has its default', () => {
    expect(
      readAs('eventdispatch.transaction.TransactionCompleted', 1, 2, { ...payment, processor: 'adyen' }),
    ).toEqual({ ...payment, correlationId: null, paymentProvider: 'adyen', feeMinor: 0 });
  });
});

it('v2 data with a v2 reader comes as it was written', () => {
  const written = { ...payment, paymentProvider: 'adyen', feeMinor: 35, correlationId: 'c-1' };
  expect(readAs('eventdispatch.transaction.TransactionCompleted', 2, 2, written)).toEqual(written);
});

it('correlationId may be left out by a writer', () => {
  const subject = 'eventdispatch.contact.ContactCreated';
  expect(readAs(subject, 1, 1, contact)).toMatchObject({ correlationId: null, phone: null });
});
