import { WEIGHT, type SampleKind } from './sample-event.ts';
import { COMPONENTS, REGIONS, id } from './vocabulary.ts';

const HOUR_MS = 3_600_000;

export const systemEvents: readonly SampleKind[] = [
  {
    type: 'system.alert',
    version: 1,
    weight: WEIGHT.rare,
    fields: (random) => ({
      alertId: id(random, 'alr'),
      severity: random.pick(['INFO', 'WARNING', 'CRITICAL']),
      component: random.pick(COMPONENTS),
      region: random.pick(REGIONS),
      message: 'Deliveries to the mail provider are slower than usual',
      measurements: { p99Seconds: random.between(1, 90) / 10, backlog: random.between(0, 90_000) },
      runbookUrl: 'https://runbooks.example.com/mail-latency',
    }),
  },
  {
    type: 'system.maintenance',
    version: 1,
    weight: WEIGHT.rare,
    fields: (random, nowMs) => ({
      maintenanceId: id(random, 'mnt'),
      component: random.pick(COMPONENTS),
      region: random.pick(REGIONS),
      description: 'Database upgrade, exports are paused',
      startsAt: nowMs + 24 * HOUR_MS,
      endsAt: nowMs + 26 * HOUR_MS,
      affectedServices: ['exports', 'reports'],
      statusUrl: 'https://status.example.com/m/2026-04',
    }),
  },
  {
    type: 'system.heartbeat',
    version: 1,
    weight: WEIGHT.occasional,
    fields: (random) => ({
      component: random.pick(COMPONENTS),
      instanceId: id(random, 'ins'),
      hostName: `node-${random.between(1, 64)}.internal.example.com`,
      region: random.pick(REGIONS),
      buildVersion: `2026.4.${random.between(0, 30)}`,
      uptimeSeconds: random.between(60, 9_000_000),
      cpuLoad: random.between(1, 400) / 100,
      memoryBytes: random.between(100_000_000, 2_000_000_000),
      queueDepth: random.between(0, 500),
      checks: { kafka: true, database: true, mailGateway: random.chance(0.98) },
    }),
  },
];
