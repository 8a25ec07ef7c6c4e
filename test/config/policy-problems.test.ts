/** Proves that every mistake among the delivery policies is named in one line, with its key, its value and what is allowed. */
import { describe, expect, test } from 'vitest';
import { MINIMAL, problemsOf } from './support.ts';

describe('a mistake', () => {
  const destination = (change: string): string =>
    `destinations:\n  - id: a\n    tenant: acme\n    url: https://hooks.example/in\n    ${change}\n`;
  const DURATION = 'a duration with a unit (ms, s, m, h, d)';
  const DELAYS =
    'a list of 1 to 16 durations with a unit (ms, s, m, h, d), 100ms to 7d, each longer than the one before';
  const ATTEMPTS = 'a whole number, 1 to 100; or a map of high, normal, low with such numbers';
  const SHARE = 'a percentage such as 50%, or a number such as 0.5; 1% to 100%';
  const RATE = 'a number per s, m or h such as 100/s or 6000/m, 1/h to 1000000/s';

  test.each([
    [
      'no delay',
      `${MINIMAL}retry: { delays: [] }\n`,
      `:3 retry.delays: [] is not allowed; allowed: ${DELAYS}`,
    ],
    [
      'delays out of order',
      `${MINIMAL}retry: { delays: [5s, 1s] }\n`,
      `:3 retry.delays: ["5s","1s"] is not allowed; allowed: ${DELAYS}`,
    ],
    [
      'one delay twice, in other words',
      `${MINIMAL}retry: { delays: [60s, 1m] }\n`,
      `:3 retry.delays: ["60s","1m"] is not allowed; allowed: ${DELAYS}`,
    ],
    [
      'a delay that is too short',
      `${MINIMAL}retry: { delays: [99ms] }\n`,
      `:3 retry.delays: ["99ms"] is not allowed; allowed: ${DELAYS}`,
    ],
    [
      'seventeen delays',
      `${MINIMAL}retry: { delays: [${Array.from({ length: 17 }, (_, i) => `${i + 1}s`).join(', ')}] }\n`,
      `:3 retry.delays: ["1s","2s","3s","4s","5s","6s","7s","8s","9s","10s","11s","12s","13s","14s","15s… is not allowed; allowed: ${DELAYS}`,
    ],
    [
      'a prefix that makes no topic name',
      `${MINIMAL}retry: { topicPrefix: 'my retry' }\n`,
      ':3 retry.topicPrefix: "my retry" is not allowed; allowed: the start of a topic name (letters, digits, `.`, `_`, `-`; 200 at most)',
    ],
    [
      'a pattern of sources that matches the delay topics',
      `${MINIMAL}kafka: { topics: [events, '^eventdispatch[.]retry'] }\n`,
      ' retry.topicPrefix: is not allowed: kafka.topics has ^eventdispatch[.]retry, which would read eventdispatch.retry.1s',
    ],
    [
      'a delay topic that is the one of dead letters',
      `${MINIMAL}retry: { topicPrefix: t }\nkafka: { deadLetterTopic: t.30s }\n`,
      ':3 retry.topicPrefix: "t" is not allowed: the delay topic t.30s is kafka.deadLetterTopic',
    ],
    [
      'no attempt',
      destination('retry: { maxAttempts: 0 }'),
      `:5 destinations[0].retry.maxAttempts: 0 is not allowed; allowed: ${ATTEMPTS}`,
    ],
    [
      'attempts of an unknown priority',
      destination('retry: { maxAttempts: { urgent: 9 } }'),
      `:5 destinations[0].retry.maxAttempts.urgent: 9 is not allowed; allowed: ${ATTEMPTS}`,
    ],
    [
      'too many attempts of one priority',
      destination('retry: { maxAttempts: { high: 101, low: 1 } }'),
      `:5 destinations[0].retry.maxAttempts.high: 101 is not allowed; allowed: ${ATTEMPTS}`,
    ],
    [
      'a schedule of numbers',
      destination('retry: { schedule: [5, 10] }'),
      ':5 destinations[0].retry.schedule: [5,10] is not allowed; allowed: a list of 1 to 100 durations with a unit (ms, s, m, h, d), 0s to 7d; or none',
    ],
    [
      'an age that is a word of no meaning',
      destination('retry: { maxAge: never }'),
      `:5 destinations[0].retry.maxAge: "never" is not allowed; allowed: ${DURATION}, 1s to 365d; or none`,
    ],
    [
      'a share above the whole',
      destination('retry: { maxShare: 101% }'),
      `:5 destinations[0].retry.maxShare: "101%" is not allowed; allowed: ${SHARE}`,
    ],
    [
      'a percentage without its sign',
      destination('breaker: { failureRate: 50 }'),
      `:5 destinations[0].breaker.failureRate: 50 is not allowed; allowed: ${SHARE}`,
    ],
    [
      'a breaker that is on',
      destination('breaker: on'),
      ':5 destinations[0].breaker: "on" is not allowed; allowed: a map of consecutiveFailures, failureRate, window, minimumVolume, open, maxOpen, disableAfter; or off',
    ],
    [
      'a breaker open for longer than the longest',
      `${MINIMAL}defaults:\n  breaker:\n    open: 1h\n`,
      ':5 defaults.breaker.open: "1h" is not allowed; allowed: maxOpen at least as long as open',
    ],
    [
      'the same in a destination, by the defaults',
      destination('breaker: { maxOpen: 1s }'),
      ':5 destinations[0].breaker.maxOpen: "1s" is not allowed; allowed: maxOpen at least as long as open',
    ],
    [
      'fewest in flight above most',
      destination('minInFlight: 33'),
      ':5 destinations[0].minInFlight: 33 is not allowed; allowed: minInFlight at most maxInFlight',
    ],
    [
      'most in flight below the fewest of the defaults',
      `defaults: { minInFlight: 8 }\n${destination('maxInFlight: 4')}`,
      ':6 destinations[0].maxInFlight: 4 is not allowed; allowed: minInFlight at most maxInFlight',
    ],
    [
      'an adaptive bound by number',
      destination('adaptive: 1'),
      ':5 destinations[0].adaptive: 1 is not allowed; allowed: true | false',
    ],
    [
      'an order that is none',
      destination('order: tenant'),
      ':5 destinations[0].order: "tenant" is not allowed; allowed: none | key',
    ],
    [
      'a poisoned delivery that blocks forever',
      destination('poison: { then: block }'),
      ':5 destinations[0].poison.then: "block" is not allowed; allowed: skip | park',
    ],
    [
      'an expiry without a unit',
      destination('expireAfter: 60'),
      `:5 destinations[0].expireAfter: 60 is not allowed; allowed: ${DURATION}, 100ms to 365d; or none`,
    ],
    [
      'a limit of an unknown channel',
      `${MINIMAL}limits: { channels: { mail: { rate: 1/s } } }\n`,
      ':3 limits.channels.mail: unknown key; did you mean email?',
    ],
    [
      'a limit of a tenant without a rate',
      `${MINIMAL}limits:\n  tenants:\n    byTenant:\n      acme: { burst: 3 }\n`,
      `:6 limits.tenants.byTenant.acme.rate: is required; allowed: ${RATE}`,
    ],
    [
      'a limit of every tenant among those of one',
      `${MINIMAL}limits:\n  tenants:\n    byTenant:\n      '*': { rate: 3/s }\n`,
      ':6 limits.tenants.byTenant.*: a map is not allowed: limits.tenants.default is for every tenant; allowed: the id of one tenant',
    ],
    [
      'a tenant’s share too small for one record',
      `${MINIMAL}lanes: { tenantShare: 5% }\n`,
      ':3 lanes.tenantShare: "5%" is not allowed; allowed: a share of lanes.maxBytes of at least kafka.maxRecordSize, or such a record never fits',
    ],
    [
      'a tenant spread over one lane',
      `${MINIMAL}lanes: { count: 4, spread: { acme: 1 } }\n`,
      ':3 lanes.spread.acme: 1 is not allowed; allowed: a map of tenant ids to whole numbers, 2 to 255',
    ],
    [
      'a tenant spread over more lanes than there are',
      `${MINIMAL}lanes: { count: 4, spread: { acme: 4, beta: 5 } }\n`,
      ':3 lanes.spread.beta: 5 is not allowed; allowed: at most lanes.count, which is 4',
    ],
    [
      'every tenant spread',
      `${MINIMAL}lanes: { count: 4, spread: { '*': 2 } }\n`,
      ':3 lanes.spread.*: 2 is not allowed here; allowed: the id of one tenant, 512 bytes at most',
    ],
    [
      'a spread that is no map',
      `${MINIMAL}lanes: { count: 4, spread: 2 }\n`,
      ':3 lanes.spread: 2 is not allowed; allowed: a map of tenant ids to whole numbers, 2 to 255',
    ],
    [
      'a topic whose class is that of a delay topic',
      `${MINIMAL}lanes: { classes: { imports: bulk, contacts: retry } }\n`,
      ':3 lanes.classes.contacts: "retry" is not allowed; allowed: a map of topics to replay or bulk',
    ],
    [
      'a weight of nothing',
      `${MINIMAL}lanes: { weights: { bulk: 0 } }\n`,
      ':3 lanes.weights.bulk: 0 is not allowed; allowed: a whole number, 1 to 1000',
    ],
    [
      'a priority that is no source',
      `${MINIMAL}fields: { default: { priority: 'very high' } }\n`,
      ':3 fields.default.priority: "very high" is not allowed; allowed: `high`, `normal`, `low`, an Avro path such as `customer.id`, `header:NAME`, or `key` (`avro:key` is a field of that name)',
    ],
  ])('%s', (_mistake, yaml, says) => {
    expect(problemsOf(yaml)).toEqual([`eventdispatch.yaml${says}`]);
  });

  test('several are named at once', () => {
    const yaml = `${destination('retry: { maxAttempts: { high: 0, urgent: 1 }, schedule: x }\n    breaker: { open: 1, window: 2 }')}retry: { delays: 5 }\nlimits: { channels: { sms: 1 } }\n`;
    expect(problemsOf(yaml).map((line) => line.split(': ')[0])).toEqual([
      'eventdispatch.yaml:5 destinations[0].retry.maxAttempts.high',
      'eventdispatch.yaml:5 destinations[0].retry.maxAttempts.urgent',
      'eventdispatch.yaml:5 destinations[0].retry.schedule',
      'eventdispatch.yaml:6 destinations[0].breaker.window',
      'eventdispatch.yaml:6 destinations[0].breaker.open',
      'eventdispatch.yaml:7 retry.delays',
      'eventdispatch.yaml:8 limits.channels.sms',
    ]);
  });
});
