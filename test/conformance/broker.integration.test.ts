/** The embedded broker and a real Kafka do the same for us, as far as the demo and the first tests rely on it. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe } from 'vitest';

import { startEmbeddedBroker, type EmbeddedBroker } from '../../src/kafka/embedded-broker.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { brokerConformance } from './broker.suite.ts';

describe('the embedded broker', () => {
  let broker: EmbeddedBroker;
  beforeAll(async () => {
    broker = await startEmbeddedBroker();
  });
  afterAll(() => broker.close());
  brokerConformance({
    brokers: () => broker.brokers,
    uniqueName: (prefix) => `${prefix}-${randomUUID().slice(0, 8)}`,
  });
});

describeWithKafka('a real Kafka', (kafka) => {
  brokerConformance({ brokers: () => kafka.brokers, uniqueName: kafka.uniqueName });
});
