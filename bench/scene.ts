import path from 'node:path';

import { startClickHouseOwner, type ClickHouseOwner } from '../test/support/clickhouse-owner.ts';
import { startDispatcherProcess, type DispatcherProcess } from '../test/support/dispatcher.ts';
import { startKafka, type RealKafka } from '../test/support/kafka.ts';
import { startReceiver, type Receiver } from '../test/support/receiver.ts';
import { repositoryRoot } from '../test/support/repository.ts';
import type { Ledger } from '../src/ledger/client.ts';
import { openTestLedger } from '../test/support/ledger.ts';

export type Say = (line: string) => void;

/** The parts of a benchmark, each real and a process of its own. */
export interface Scene {
  readonly brokers: string;
  readonly topic: string;
  readonly receiver: Receiver;
  readonly owner: ClickHouseOwner;
  readonly ledger: Ledger;
  /** Starts the dispatcher with one destination per tenant, at the receiver's path `/TENANT`. */
  startDispatcher(
    tenants: readonly string[],
    config: Readonly<Record<string, unknown>>,
  ): Promise<DispatcherProcess>;
}

/** What every benchmark of the whole needs, each a process of its own. */
export interface Parts {
  readonly kafka: RealKafka;
  readonly owner: ClickHouseOwner;
  readonly receiver: Receiver;
  /** To be called at the end, the last one first. */
  readonly closers: (() => Promise<unknown>)[];
}

/** Starts Kafka, the ledger and a receiver, runs the benchmark, and stops everything. */
export async function withParts<T>(say: Say, run: (parts: Parts) => Promise<T>): Promise<T> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    say('starting Kafka, the ledger and a receiver');
    const kafka = await startKafka();
    closers.push(() => kafka.stop());
    const owner = await startClickHouseOwner();
    closers.push(() => owner.stop());
    const receiver = await startReceiver({
      ports: [{ name: 'sink', recording: { rows: 'none', body: 'none' } }],
    });
    closers.push(() => receiver.stop());
    return await run({ kafka, owner, receiver, closers });
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

/** Starts everything but the dispatcher, runs the benchmark, and stops everything. */
export function withScene<T>(partitions: number, say: Say, run: (scene: Scene) => Promise<T>): Promise<T> {
  return withParts(say, async ({ kafka, owner, receiver, closers }) => {
    const ledger = await openTestLedger({ url: owner.url, requestTimeoutMs: 60_000 });
    closers.push(() => ledger.close());
    const topic = 'events';
    await kafka.tools.createTopics([{ name: topic, partitions }]);
    return run({
      brokers: kafka.brokers,
      topic,
      receiver,
      owner,
      ledger,
      startDispatcher: async (tenants, config) => {
        const dispatcher = await startDispatcherProcess({
          kafka: { brokers: kafka.brokers, groupId: 'bench', topics: [topic] },
          clickhouse: { url: owner.url },
          schemas: { folder: path.join(repositoryRoot, 'schemas') },
          destinations: tenants.map((tenant) => ({
            id: 'sink',
            tenant,
            url: `${receiver.url('sink')}/${tenant}`,
            format: 'data',
          })),
          ...config,
          delivery: { allowAddresses: ['127.0.0.0/8'] },
        });
        closers.push(() => dispatcher.stop());
        return dispatcher;
      },
    });
  });
}
