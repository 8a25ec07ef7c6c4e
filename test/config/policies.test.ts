/**
 * Proves what the delivery policies come to: a destination's own keys over the
 * defaults, whatever is written where; and that what is shown of them loads to the
 * same. Mistakes among them are in policy-problems.test.ts.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { describeConfig } from '../../src/config/mask.ts';
import { PRIORITIES } from '../../src/domain/destination.ts';
import type { Destination } from '../../src/domain/destination.ts';
import { load, MINIMAL } from './support.ts';

const withDefaults = (defaults: string, own = ''): Destination => {
  const [destination] = load(
    `defaults: ${defaults}\ndestinations:\n  - { id: a, tenant: t, url: 'https://h.example'${own} }\n`,
  ).destinations;
  if (destination === undefined) throw new Error('no destination');
  return destination;
};

/** A value as written, and what it comes to. */
type Spelled = readonly [written: unknown, compiled: unknown];

const seconds = (min: number, max: number): fc.Arbitrary<Spelled> =>
  fc.integer({ min, max }).map((count) => [`${count}s`, count * 1_000]);
const orNone = (value: fc.Arbitrary<Spelled>): fc.Arbitrary<Spelled> =>
  fc.oneof(value, fc.constant<Spelled>(['none', null]));
const count = (max: number): fc.Arbitrary<Spelled> =>
  fc.integer({ min: 1, max }).map((number) => [number, number]);
const share = fc
  .integer({ min: 1, max: 100 })
  .chain((percent) =>
    fc.constantFrom<Spelled>([`${percent}%`, percent / 100], [percent / 100, percent / 100]),
  );

const maxAttempts = fc.oneof(
  fc.integer({ min: 1, max: 100 }).map((all): Spelled => [all, { high: all, normal: all, low: all }]),
  fc
    .record(Object.fromEntries(PRIORITIES.map((priority) => [priority, fc.integer({ min: 1, max: 100 })])), {
      requiredKeys: [],
    })
    .map((map): Spelled => [map, map]),
);

/** Every policy's keys: [section, key as written, key as compiled, values]. Pairs that bound one another never cross. */
const KEYS = [
  ['', 'minInFlight', 'minInFlight', count(32)],
  ['', 'maxInFlight', 'maxInFlight', fc.integer({ min: 32, max: 200 }).map((n): Spelled => [n, n])],
  ['', 'adaptive', 'adaptive', fc.boolean().map((is): Spelled => [is, is])],
  ['', 'order', 'order', fc.constantFrom<Spelled>(['none', 'none'], ['key', 'key'])],
  ['', 'expireAfter', 'expireAfterMs', orNone(seconds(1, 10_000))],
  ['retry', 'maxAttempts', 'maxAttempts', maxAttempts],
  ['retry', 'initialDelay', 'initialDelayMs', seconds(0, 100)],
  ['retry', 'maxDelay', 'maxDelayMs', seconds(100, 10_000)],
  [
    'retry',
    'schedule',
    'scheduleMs',
    orNone(
      fc
        .array(fc.nat(604_800), { minLength: 1, maxLength: 100 })
        .map((list): Spelled => [list.map((wait) => `${wait}s`), list.map((wait) => wait * 1_000)]),
    ),
  ],
  ['retry', 'maxAge', 'maxAgeMs', orNone(seconds(1, 10_000))],
  ['retry', 'maxRetryAfter', 'maxRetryAfterMs', seconds(0, 604_800)],
  ['retry', 'maxShare', 'maxShare', share],
  ['breaker', 'consecutiveFailures', 'consecutiveFailures', count(1_000)],
  ['breaker', 'failureRate', 'failureRate', share],
  ['breaker', 'window', 'windowMs', seconds(1, 3_600)],
  ['breaker', 'minimumVolume', 'minimumVolume', count(1_000)],
  ['breaker', 'open', 'openMs', seconds(1, 30)],
  ['breaker', 'maxOpen', 'maxOpenMs', seconds(30, 10_000)],
  ['breaker', 'disableAfter', 'disableAfterMs', orNone(seconds(1, 10_000))],
  ['poison', 'maxBlock', 'maxBlockMs', seconds(0, 604_800)],
  ['poison', 'then', 'then', fc.constantFrom<Spelled>(['skip', 'skip'], ['park', 'park'])],
] as const;

type Written = Readonly<Record<string, Spelled | undefined>>;

/** Any of the keys, by `section.key`, and perhaps a breaker that is off. */
const policies: fc.Arbitrary<Written> = fc
  .tuple(
    fc.record(Object.fromEntries(KEYS.map(([section, key, , values]) => [`${section}.${key}`, values])), {
      requiredKeys: [],
    }),
    fc.nat(3),
  )
  .map(([written, chance]) =>
    chance > 0
      ? written
      : {
          ...Object.fromEntries(Object.entries(written).filter(([name]) => !name.startsWith('breaker.'))),
          breaker: ['off', null],
        },
  );

function yamlOf(written: Written): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [name, spelled] of Object.entries(written)) {
    const [section = '', key] = name.split('.');
    if (key === undefined || section === '') root[key ?? section] = spelled?.[0];
    else root[section] = { ...(root[section] as object | undefined), [key]: spelled?.[0] };
  }
  return root;
}

/** The rule, key by key: the destination's own, else the default's, else the built-in one. */
function expected(defaults: Written, own: Written, builtIn: Destination): Record<string, unknown> {
  const says = Object.keys(own).some((name) => name.startsWith('breaker.'));
  const isOff = own['breaker'] !== undefined || (defaults['breaker'] !== undefined && !says);
  const result: Record<string, unknown> = isOff ? { breaker: null } : {};
  for (const [section, key, compiledKey] of KEYS) {
    if (section === 'breaker' && isOff) continue;
    const name = `${section}.${key}`;
    const base = (section === '' ? builtIn : builtIn[section]) as unknown as Record<string, unknown>;
    const layers = [{ ...(base[compiledKey] as object) }, defaults[name]?.[1], own[name]?.[1]];
    const chosen = [own[name], defaults[name]].find((spelled) => spelled !== undefined);
    const value =
      key === 'maxAttempts'
        ? Object.assign({}, ...(layers as object[]))
        : chosen === undefined
          ? base[compiledKey]
          : chosen[1];
    if (section === '') result[compiledKey] = value;
    else result[section] = { ...(result[section] as object | undefined), [compiledKey]: value };
  }
  return result;
}

describe('a destination', () => {
  const builtIn = load(MINIMAL).destinations[0] as Destination;

  test('has its own keys over those of the defaults, and shows them as they are', () => {
    fc.assert(
      fc.property(policies, policies, (defaults, own) => {
        const destination = { id: 'a', tenant: 't', url: 'https://h.example', ...yamlOf(own) };
        const config = load(stringify({ defaults: yamlOf(defaults), destinations: [destination] }));
        expect(config.destinations[0]).toMatchObject(expected(defaults, own, builtIn));
        expect(load(describeConfig(config))).toEqual(config);
      }),
      { numRuns: 150 },
    );
  });

  test('has a breaker of its own where the defaults have none', () => {
    expect(withDefaults('{ breaker: off }').breaker).toBeNull();
    expect(withDefaults('{ breaker: off }', ', breaker: { open: 1m }').breaker).toEqual({
      ...builtIn.breaker,
      openMs: 60_000,
    });
    expect(withDefaults('{ breaker: { open: 1m } }', ', breaker: off').breaker).toBeNull();
    expect(withDefaults('{ breaker: { open: 1m } }', ', breaker: {}').breaker).toMatchObject({
      openMs: 60_000,
    });
  });

  test('takes a single wait for a schedule of one, and its weight', () => {
    expect(withDefaults('{ retry: { schedule: 5s } }').retry.scheduleMs).toEqual([5_000]);
    expect(
      withDefaults('{ retry: { schedule: 5s } }', ', retry: { schedule: none }').retry.scheduleMs,
    ).toBeNull();
    expect(withDefaults('{}', ', weight: 7').weight).toBe(7);
  });
});

describe('beside destinations', () => {
  const yaml = `${MINIMAL}
retry: { topicPrefix: my.retry, delays: [200ms, 1s, 90s, 7d] }
limits:
  channels: { sms: { rate: 50/s }, email: { rate: 90/m, burst: 7 } }
  tenants: { default: { rate: 5/s }, byTenant: { acme: { rate: 100/s, burst: 20 }, '007': { rate: 1/h } } }
lanes: { count: 4, tenantShare: 25%, spread: { acme: 4, '007': 2 }, classes: { imports: bulk, constructor: replay }, weights: { bulk: 3 }, stallTimeout: 2s }
`;

  test('delay topics, shared limits and lanes are in base units', () => {
    const { retry, limits, lanes } = load(yaml);
    expect(retry).toEqual({ topicPrefix: 'my.retry', delaysMs: [200, 1_000, 90_000, 604_800_000] });
    expect(limits).toEqual({
      channels: { sms: { ratePerSecond: 50, burst: 50 }, email: { ratePerSecond: 1.5, burst: 7 } },
      tenants: {
        default: { ratePerSecond: 5, burst: 5 },
        byTenant: {
          acme: { ratePerSecond: 100, burst: 20 },
          '007': { ratePerSecond: 1 / 3600, burst: 1 },
        },
      },
    });
    expect(lanes).toMatchObject({
      tenantShare: 0.25,
      spread: { acme: 4, '007': 2 },
      classes: { imports: 'bulk', constructor: 'replay' },
      weights: { first: 8, retry: 4, replay: 2, bulk: 3 },
      stallTimeoutMs: 2_000,
    });
  });

  test('what is shown of them loads to the same', () => {
    const config = load(yaml);
    expect(load(describeConfig(config))).toEqual(config);
  });

  test('a reference in a list of the defaults is shown as it was written, in each destination', () => {
    const config = load(`${MINIMAL}defaults: { retry: { schedule: ['\${env:WAIT}', 1m] } }\n`, {
      WAIT: '7s',
    });
    expect(config.destinations[0]?.retry.scheduleMs).toEqual([7_000, 60_000]);
    expect(describeConfig(config)).toContain('${env:WAIT}');
    expect(describeConfig(config)).not.toContain('7s');
  });

  test('the environment sets them', () => {
    const config = load(MINIMAL, {
      EVENTDISPATCH_RETRY__DELAYS: '2s, 20s',
      EVENTDISPATCH_DEFAULTS__RETRY__MAX_ATTEMPTS: '7',
      EVENTDISPATCH_DEFAULTS__RETRY__SCHEDULE: 'none',
      EVENTDISPATCH_DEFAULTS__RETRY__MAX_SHARE: '0.25',
      EVENTDISPATCH_DEFAULTS__BREAKER: 'off',
      EVENTDISPATCH_DEFAULTS__ADAPTIVE: 'true',
      EVENTDISPATCH_LANES__TENANT_SHARE: '75%',
      EVENTDISPATCH_LANES__COUNT: '3',
      EVENTDISPATCH_LANES__SPREAD: '{acme: 3}',
      EVENTDISPATCH_LANES__CLASSES: '{again: replay}',
      EVENTDISPATCH_LIMITS__CHANNELS__SMS__RATE: '10/s',
      EVENTDISPATCH_LIMITS__TENANTS__BY_TENANT: '{acme: {rate: 3/s}}',
      EVENTDISPATCH_FIELDS__DEFAULT__PRIORITY: 'low',
    });
    expect(config.retry.delaysMs).toEqual([2_000, 20_000]);
    expect(config.destinations[0]).toMatchObject({
      retry: { maxAttempts: { high: 7, normal: 7, low: 7 }, scheduleMs: null, maxShare: 0.25 },
      breaker: null,
      adaptive: true,
    });
    expect(config.lanes).toMatchObject({
      tenantShare: 0.75,
      spread: { acme: 3 },
      classes: { again: 'replay' },
    });
    expect(config.limits).toEqual({
      channels: { sms: { ratePerSecond: 10, burst: 10 } },
      tenants: { default: null, byTenant: { acme: { ratePerSecond: 3, burst: 3 } } },
    });
    expect(config.fields.default.priority).toEqual({ from: 'constant', value: 'low' });
  });
});

describe('priority, expiry and aggregate', () => {
  test('come from nowhere by default, and per topic from a field or from one word', () => {
    const { fields } = load(`${MINIMAL}
fields:
  topics:
    crm: { aggregateType: header:x-kind, aggregateId: key, aggregateVersion: contact.revision }
    urgent: { priority: high }
    mixed: { priority: meta.priority, expiresAt: header:x-until }
    field-called-high: { priority: avro:high }
`);
    const nothing = { aggregateType: null, aggregateId: null, aggregateVersion: null };
    expect(fields.default).toMatchObject({ priority: null, expiresAt: null, ...nothing });
    expect(fields.byTopic['crm']).toMatchObject({
      aggregateType: { from: 'header', name: 'x-kind' },
      aggregateId: { from: 'key' },
      aggregateVersion: { from: 'avro', path: ['contact', 'revision'] },
    });
    expect(fields.byTopic['urgent']).toMatchObject({
      priority: { from: 'constant', value: 'high' },
      expiresAt: null,
    });
    expect(fields.byTopic['mixed']).toMatchObject({
      priority: { from: 'avro', path: ['meta', 'priority'] },
      expiresAt: { from: 'header', name: 'x-until' },
    });
    expect(fields.byTopic['field-called-high']?.priority).toEqual({ from: 'avro', path: ['high'] });
  });

  test('of the default hold for topics that say nothing, and what is shown loads to the same', () => {
    const config = load(`${MINIMAL}
fields:
  default: { priority: avro:low, expiresAt: until, aggregateId: 'avro:key' }
  topics: { bulk: { priority: low }, other: { id: x } }
`);
    expect(config.fields.byTopic['other']).toMatchObject({
      priority: { from: 'avro', path: ['low'] },
      expiresAt: { from: 'avro', path: ['until'] },
      aggregateId: { from: 'avro', path: ['key'] },
    });
    expect(config.fields.byTopic['bulk']?.priority).toEqual({ from: 'constant', value: 'low' });
    expect(load(describeConfig(config))).toEqual(config);
  });
});
