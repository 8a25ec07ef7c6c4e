import { describe, inject } from 'vitest';

import type { RealParts } from './global-setup.ts';
import { kafkaTools } from './kafka-tools.ts';
import type { KafkaTools } from './kafka-tools.ts';

/**
 * A describe block for tests on the run's shared real broker; skipped where there is none. Its tests use topic and
 * group names of `kafka.uniqueName`, and start a broker of their own (startKafka) to stop, pause or kill it.
 */
export function describeWithKafka(title: string, tests: (kafka: KafkaTools) => void): void {
  const { kafka } = realParts();
  if (kafka.available) {
    describe(title, () => {
      tests(kafkaTools(kafka.brokers));
    });
  } else {
    describe.skip(title, () => {
      tests(kafkaTools('unavailable.invalid:0'));
    });
  }
}

/** A describe block for tests that start a real Schema Registry; skipped where it can't be had. */
export function describeWithRegistry(title: string, tests: () => void): void {
  describe.skipIf(!realParts().registry.available)(title, tests);
}

function realParts(): RealParts {
  const parts = inject('realParts') as RealParts | undefined;
  if (parts === undefined) {
    throw new Error(
      'No real parts: name the file *.integration.test.ts, so that global-setup.ts runs before it.',
    );
  }
  return parts;
}
