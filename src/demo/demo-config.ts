import { writeFileSync } from 'node:fs';
import { catalogueFolder } from '../config/catalogue-folder.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import type { DemoFolder } from './demo-folder.ts';

export const DEMO_TOPIC = 'events';

/**
 * Writes a configuration file as a user would and loads it as `start` would, but
 * for the environment: a demo is the same whatever is set there.
 *
 * @param ports of the receivers, by destination.
 */
export function writeDemoConfig(folder: DemoFolder, ports: Readonly<Record<string, number>>): Config {
  writeFileSync(folder.configFile, configText(folder, ports));
  return loadConfig({ file: folder.configFile, env: {} });
}

function configText(folder: DemoFolder, ports: Readonly<Record<string, number>>): string {
  const url = (id: string): string => `http://127.0.0.1:${ports[id]}/${id}`;
  // JSON's spelling of a text is YAML's too, and a path may hold anything.
  return `# What the demo runs on. No kafka.brokers and no clickhouse.url: both are embedded.
kafka:
  topics: [${DEMO_TOPIC}]
clickhouse:
  embeddedPath: ${JSON.stringify(folder.ledgerPath)}
# A delivery that failed waits in one of these topics: demo.retry.500ms and so on.
retry:
  topicPrefix: demo.retry
  delays: [500ms, 2s, 10s]
schemas:
  folder: ${JSON.stringify(catalogueFolder)}
defaults:
  timeout: 5s
  retry:
    maxAttempts: 3
    initialDelay: 500ms
    maxDelay: 2s
# tenant '*': one such destination per tenant, each with a rate and a concurrency of its own.
destinations:
  - id: crm
    tenant: '*'
    url: ${url('crm')}
    events: ['contact.*', 'email.*', 'campaign.*', 'form.*', 'scoring.*', 'user.*']
    rateLimit: { rate: 1000/s, burst: 500 }
    maxInFlight: 32
  - id: warehouse
    tenant: '*'
    url: ${url('warehouse')}
    events: ['contact.*', 'campaign.*']
    format: data
    rateLimit: { rate: 500/s, burst: 200 }
    # 200 ms an answer: a tenant with 150 events/s needs 30 at once.
    maxInFlight: 96
  - id: billing
    tenant: '*'
    url: ${url('billing')}
    events: ['transaction.*', 'email.*']
    rateLimit: { rate: 1000/s, burst: 500 }
    maxInFlight: 32
delivery:
  allowAddresses: [127.0.0.0/8]
  connectionsPerOrigin: 256
  # The receivers close what is idle for 10 s.
  keepAlive: 5s
http:
  port: 0
log:
  level: info
`;
}
