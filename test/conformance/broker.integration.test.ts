/** The embedded broker and a real Kafka do the same for us, as far as a pipeline, the demo and the first tests rely on it. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe } from 'vitest';

import { startEmbeddedBroker, type EmbeddedBroker } from '../../src/kafka/embedded-broker.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { brokerConformance, type BrokerUnderTest } from './broker.suite.ts';
import { pipelineReaderConformance } from './pipeline-reader.suite.ts';

function conformance(broker: BrokerUnderTest): void {
  brokerConformance(broker);
  describe('with a reader of delay topics', () => {
    pipelineReaderConformance(broker);
  });
}

describe('the embedded broker', () => {
  let broker: EmbeddedBroker;
  beforeAll(async () => {
    broker = await startEmbeddedBroker();
  });
  afterAll(() => broker.close());
  conformance({
    brokers: () => broker.brokers,
    uniqueName: (prefix) => `${prefix}-${randomUUID().slice(0, 8)}`,
  });
});

describeWithKafka('a real Kafka', (kafka) => {
  conformance({ brokers: () => kafka.brokers, uniqueName: kafka.uniqueName });
});
