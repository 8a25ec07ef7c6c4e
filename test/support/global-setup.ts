import type { TestProject } from 'vitest/node';

import type { Availability } from './java-parts.ts';
import { realKafkaAvailability, startKafka } from './kafka.ts';
import type { RealKafka } from './kafka.ts';
import { realRegistryAvailability } from './schema-registry.ts';

/**
 * What the run has of real parts. One broker serves all test files, since its start takes seconds; registries are
 * started by the files that need one.
 */
export interface RealParts {
  readonly kafka:
    { readonly available: true; readonly brokers: string } | Extract<Availability, { available: false }>;
  readonly registry: Availability;
}

declare module 'vitest' {
  interface ProvidedContext {
    realParts: RealParts;
  }
}

let kafka: RealKafka | undefined;

/** Vitest calls this once before the first integration test; runs of unit tests alone never come here. */
export async function setup(project: TestProject): Promise<void> {
  const kafkaAvailability = await realKafkaAvailability();
  const registry = await realRegistryAvailability();
  demand({ Kafka: kafkaAvailability, 'Schema Registry': registry });
  if (!kafkaAvailability.available) {
    project.provide('realParts', { kafka: kafkaAvailability, registry });
    return;
  }
  kafka = await startKafka();
  project.provide('realParts', { kafka: { available: true, brokers: kafka.brokers }, registry });
}

export async function teardown(): Promise<void> {
  await kafka?.stop();
  kafka = undefined;
}

/** A missing part is an error under CI=true; elsewhere its tests are left out, and one line says so. */
function demand(parts: Readonly<Record<string, Availability>>): void {
  const missing = Object.entries(parts).flatMap(([name, part]) =>
    part.available ? [] : [`${name} (${part.reason})`],
  );
  if (missing.length === 0) return;
  if (process.env['CI'] === 'true') throw new Error(`CI=true, but there is no real ${missing.join(', ')}`);
  console.warn(`Left out: tests on a real ${missing.join(', ')}.`);
}
