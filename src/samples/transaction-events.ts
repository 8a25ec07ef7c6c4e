import type { Random } from './random.ts';
import { WEIGHT, type SampleKind } from './sample-event.ts';
import { CURRENCIES, email, id, often } from './vocabulary.ts';

const MINUTE_MS = 60_000;
const METHODS = ['CARD', 'SEPA_DEBIT', 'PAYPAL', 'INVOICE'];
const PROVIDERS = ['stripe', 'adyen', 'mollie'];

function payment(random: Random): object {
  return {
    transactionId: random.uuid(),
    orderId: id(random, 'ord'),
    contactId: id(random, 'ct'),
    amountMinor: random.between(199, 5_000_000),
    currency: random.pick(CURRENCIES),
  };
}

function completed(random: Random): object {
  return Object.assign(payment(random), {
    method: random.pick(METHODS),
    authorizationCode: random.hex8(),
    receiptUrl: `https://pay.example.com/receipts/${random.hex8()}`,
  });
}

export const transactionEvents: readonly SampleKind[] = [
  {
    type: 'transaction.created',
    version: 1,
    weight: WEIGHT.regular,
    fields: (random) =>
      Object.assign(payment(random), {
        method: random.pick(METHODS),
        items: [
          {
            sku: `SKU-${random.between(10_000, 99_999)}`,
            quantity: 1,
            unitPriceMinor: random.between(199, 90_000),
          },
          {
            sku: `SKU-${random.between(10_000, 99_999)}`,
            quantity: 3,
            unitPriceMinor: random.between(99, 9_000),
          },
        ],
      }),
  },
  {
    type: 'transaction.completed',
    version: 1,
    weight: WEIGHT.regular,
    fields: (random) => Object.assign(completed(random), { processor: random.pick(PROVIDERS) }),
  },
  {
    type: 'transaction.completed',
    version: 2,
    weight: WEIGHT.regular,
    fields: (random) =>
      Object.assign(completed(random), {
        paymentProvider: random.pick(PROVIDERS),
        feeMinor: random.between(9, 4_000),
      }),
  },
  {
    type: 'transaction.failed',
    version: 1,
    weight: WEIGHT.occasional,
    fields: (random, nowMs) =>
      Object.assign(payment(random), {
        method: random.pick(METHODS),
        processor: random.pick(PROVIDERS),
        failureCode: 'insufficient_funds',
        failureMessage: 'The card has insufficient funds to complete the purchase',
        attempt: random.between(1, 4),
        retryAt: often(random, nowMs + random.between(5, 600) * MINUTE_MS),
      }),
  },
  {
    type: 'transaction.cancelled',
    version: 1,
    weight: WEIGHT.occasional,
    fields: (random) =>
      Object.assign(payment(random), {
        cancelledBy: email(random),
        reason: 'Ordered by mistake, the customer asked within the hour',
        refundedMinor: 0,
        note: null,
      }),
  },
];
