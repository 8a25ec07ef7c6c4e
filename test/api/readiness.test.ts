/** Proves that readiness is red for each thing that is wrong, says which, and is green otherwise. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CHECKS, DEFAULT_READINESS_LIMITS, evaluateReadiness } from '../../src/api/readiness.ts';
import type { CheckName, ReadinessSnapshot } from '../../src/api/readiness.ts';

const NOW = 1_000_000;
const { pollStalledMs, ledgerStalledMs, rekeyStalledMs } = DEFAULT_READINESS_LIMITS;

const healthy: ReadinessSnapshot = {
  draining: false,
  lastPollMs: NOW - 20,
  kafka: { connected: true, lastError: null, assignedPartitions: 12 },
  ledger: {
    state: 'ok',
    lastError: null,
    awaitedBecause: null,
    isDiverting: false,
    pendingRows: 10,
    pendingSinceMs: NOW - 300,
    lastAckMs: NOW - 500,
  },
  rekey: { lastPollMs: NOW - 20, lastError: null, waitingSinceMs: NOW - 100 },
  lanes: { alive: 2, expected: 2 },
};
const withRekey = (rekey: Partial<ReadinessSnapshot['rekey']>): ReadinessSnapshot => ({
  ...healthy,
  rekey: { lastPollMs: NOW - 20, lastError: null, waitingSinceMs: null, ...rekey },
});
const withLedger = (ledger: Partial<ReadinessSnapshot['ledger']>): ReadinessSnapshot => ({
  ...healthy,
  ledger: { ...healthy.ledger, ...ledger },
});

describe('ready', () => {
  const green: Record<string, ReadinessSnapshot> = {
    'all is well': healthy,
    'no partition is assigned: a spare member': {
      ...healthy,
      kafka: { ...healthy.kafka, assignedPartitions: 0 },
    },
    'Kafka had an error and is connected': {
      ...healthy,
      kafka: { ...healthy.kafka, lastError: 'broker down' },
    },
    'the last ack is long ago and no row waits': withLedger({
      pendingRows: 0,
      pendingSinceMs: null,
      lastAckMs: 1,
    }),
    'nothing was ever written': withLedger({ pendingRows: 0, pendingSinceMs: null, lastAckMs: null }),
    'a first row waits after a long silence': withLedger({ lastAckMs: 1, pendingSinceMs: NOW - 100 }),
    'the ledger is away and rows go to the overflow': withLedger({
      state: 'retrying',
      lastError: 'ECONNREFUSED',
      isDiverting: true,
    }),
    'nothing is rekeyed': { ...healthy, rekey: null },
    'nothing waits to be rekeyed': withRekey({}),
    'the last poll is exactly at the limit': { ...healthy, lastPollMs: NOW - pollStalledMs },
  };
  test.each(Object.entries(green))('%s', (_, snapshot) => {
    const { ready, checks } = evaluateReadiness(snapshot, NOW);
    expect(checks).not.toContainEqual(expect.objectContaining({ reason: expect.anything() }));
    expect(ready).toBe(true);
  });
});

describe('not ready', () => {
  const red: [string, CheckName, RegExp, ReadinessSnapshot][] = [
    ['asked to stop', 'running', /draining/, { ...healthy, draining: true }],
    [
      'Kafka is away',
      'kafka',
      /not connected: all brokers down/,
      { ...healthy, kafka: { connected: false, lastError: 'all brokers down', assignedPartitions: 0 } },
    ],
    ['no poll yet', 'pollLoop', /no poll has returned yet/, { ...healthy, lastPollMs: null }],
    [
      'the poll loop stands still',
      'pollLoop',
      /for 10001 ms/,
      { ...healthy, lastPollMs: NOW - pollStalledMs - 1 },
    ],
    [
      'the ledger is retrying',
      'ledger',
      /tried again: ECONNREFUSED/,
      withLedger({ state: 'retrying', lastError: 'ECONNREFUSED' }),
    ],
    [
      'the ledger refuses',
      'ledger',
      /refused: no such column/,
      withLedger({ state: 'alarm', lastError: 'no such column' }),
    ],
    [
      'an insert hangs',
      'ledger',
      /a row has waited for 30001 ms/,
      withLedger({ pendingSinceMs: NOW - ledgerStalledMs - 1 }),
    ],
    [
      'partitions wait for what the ledger holds',
      'ledger',
      /not known yet, and partitions wait: ECONNREFUSED/,
      withLedger({ awaitedBecause: 'ECONNREFUSED' }),
    ],
    [
      'the overflow does not take rows either',
      'ledger',
      /a row has waited for 30001 ms/,
      withLedger({ state: 'retrying', isDiverting: true, pendingSinceMs: NOW - ledgerStalledMs - 1 }),
    ],
    [
      'the ledger refuses, and rows go to the overflow meanwhile',
      'ledger',
      /refused: no such column/,
      withLedger({ state: 'alarm', lastError: 'no such column', isDiverting: true }),
    ],
    [
      'the broker refuses what is rekeyed',
      'rekey',
      /produced again: no leader/,
      withRekey({ lastError: 'no leader' }),
    ],
    [
      'the broker acknowledges nothing that is rekeyed',
      'rekey',
      /acknowledged no record for 10001 ms/,
      withRekey({ waitingSinceMs: NOW - rekeyStalledMs - 1 }),
    ],
    [
      'rekeying stands still',
      'rekey',
      /no poll has returned for 10001 ms/,
      withRekey({ lastPollMs: NOW - pollStalledMs - 1 }),
    ],
    ['a lane is gone', 'lanes', /1 of 2 lanes run/, { ...healthy, lanes: { alive: 1, expected: 2 } }],
  ];
  test.each(red)('%s', (_, name, reason, snapshot) => {
    const { ready, checks } = evaluateReadiness(snapshot, NOW);
    expect(ready).toBe(false);
    expect(checks[name].reason).toMatch(reason);
    expect(CHECKS.filter((other) => !checks[other].ok)).toEqual([name]);
  });
});

test('ready exactly when every check is, and each failed one has a reason', () => {
  const since = fc.option(fc.integer({ min: 0, max: NOW }));
  const text = fc.option(fc.string());
  const snapshot: fc.Arbitrary<ReadinessSnapshot> = fc.record({
    draining: fc.boolean(),
    lastPollMs: since,
    kafka: fc.record({ connected: fc.boolean(), lastError: text, assignedPartitions: fc.nat() }),
    ledger: fc.record({
      state: fc.constantFrom('ok' as const, 'retrying' as const, 'alarm' as const),
      lastError: text,
      awaitedBecause: text,
      isDiverting: fc.boolean(),
      pendingRows: fc.nat(),
      pendingSinceMs: since,
      lastAckMs: since,
    }),
    rekey: fc.option(
      fc.record({ lastPollMs: fc.integer({ min: 0, max: NOW }), lastError: text, waitingSinceMs: since }),
    ),
    lanes: fc.record({ alive: fc.nat(4), expected: fc.nat(4) }),
  });
  fc.assert(
    fc.property(snapshot, (s) => {
      const { ready, checks } = evaluateReadiness(s, NOW);
      expect(ready).toBe(CHECKS.every((name) => checks[name].ok));
      for (const name of CHECKS) expect(checks[name].reason === undefined).toBe(checks[name].ok);
    }),
  );
});
