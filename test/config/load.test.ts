/** Proves what a configuration comes to: defaults, units, inheritance, paths, references, and the environment over the file. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { inFolder, load, MINIMAL, problemsOf } from './support.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Every value in it, however deep. */
function everyObject(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return [value, ...Object.values(value).flatMap(everyObject)];
}

describe('the file', () => {
  test('says as little as one destination', () => {
    const config = load(MINIMAL);
    expect(config).toMatchObject({
      kafka: {
        brokers: null,
        groupId: 'eventdispatch',
        groupProtocol: 'consumer',
        topics: ['events'],
        rekey: null,
        deadLetterTopic: 'eventdispatch.dead-letter',
        badEventTopic: 'eventdispatch.bad-events',
        properties: {},
        maxRecordBytes: 1_048_576,
        revokeDeadlineMs: 10_000,
        lostRecords: 'stop',
        commitIntervalMs: 1_000,
      },
      clickhouse: {
        url: null,
        username: 'default',
        password: '',
        database: 'eventdispatch',
        embeddedPath: null,
        cluster: null,
        ttl: { eventsMs: null, attemptsMs: null, rollupsMs: null },
      },
      schemas: { folder: path.join(ROOT, 'schemas'), registry: null },
      delivery: {
        allowAddresses: [],
        connectTimeoutMs: 5_000,
        maxResponseBytes: 65_536,
        dns: { maxTtlMs: 300_000 },
      },
      retry: {
        topicPrefix: 'eventdispatch.retry',
        delaysMs: [1_000, 5_000, 30_000, 120_000, 600_000, 3_600_000, 21_600_000, 86_400_000],
      },
      limits: { channels: {}, tenants: { default: null, byTenant: {} } },
      lanes: {
        maxRecords: 4096,
        maxBytes: 16 * 1024 * 1024,
        tenantShare: 0.5,
        weights: { first: 8, retry: 4, replay: 2, bulk: 1 },
        stallTimeoutMs: 30_000,
      },
      ledger: {
        batchMaxRows: 20_000,
        batchMaxBytes: 8 * 1024 * 1024,
        batchMaxAgeMs: 500,
        responseExcerptBytes: 256,
      },
      http: { host: '127.0.0.1', port: 9400 },
      shutdown: { deadlineMs: 20_000 },
      log: { level: 'info' },
    });
    expect(config.lanes.count).toBeGreaterThanOrEqual(1);
    expect(config.destinations).toEqual([
      {
        id: 'a',
        tenant: 'acme',
        channel: 'webhook',
        origin: 'https://hooks.example',
        path: '/in',
        events: ['**'],
        format: 'cloudevents',
        headers: [],
        rateLimit: null,
        maxInFlight: 32,
        minInFlight: 1,
        adaptive: false,
        timeoutMs: 10_000,
        retry: {
          maxAttempts: { high: 5, normal: 3, low: 2 },
          initialDelayMs: 500,
          maxDelayMs: 600_000,
          scheduleMs: null,
          maxAgeMs: null,
          maxRetryAfterMs: 3_600_000,
          maxShare: 0.5,
        },
        breaker: {
          consecutiveFailures: 5,
          failureRate: 0.5,
          windowMs: 30_000,
          minimumVolume: 20,
          openMs: 30_000,
          maxOpenMs: 600_000,
          disableAfterMs: null,
        },
        order: 'none',
        poison: { maxBlockMs: 600_000, then: 'park' },
        expireAfterMs: null,
        weight: 1,
      },
    ]);
  });

  test('is frozen all the way down', () => {
    const config = load(
      `${MINIMAL}    headers: { x-a: b }\n`.replace(' }\n    headers', ', headers').replace('b }', 'b } }'),
    );
    const objects = everyObject(config);
    expect(objects.length).toBeGreaterThan(20);
    expect(objects.filter((object) => !Object.isFrozen(object))).toEqual([]);
  });

  test('spreads its defaults over destinations, key by key', () => {
    const [first, second] = load(`
defaults: { timeout: 3s, maxInFlight: 7, rateLimit: { rate: 90/m }, retry: { maxAttempts: 5 }, format: data, channel: sms }
destinations:
  - { id: a, tenant: t, url: 'https://h.example' }
  - { id: b, tenant: t, url: 'https://h.example:8443/x/../y?z=1', timeout: 1s, rateLimit: none, retry: { maxDelay: 9s }, format: cloudevents, headers: { X-Key: v } }
`).destinations;
    expect(first).toMatchObject({
      path: '/',
      timeoutMs: 3_000,
      maxInFlight: 7,
      rateLimit: { ratePerSecond: 1.5, burst: 2 },
      retry: { maxAttempts: { high: 5, normal: 5, low: 5 }, initialDelayMs: 500, maxDelayMs: 600_000 },
      format: 'data',
      channel: 'sms',
    });
    expect(second).toMatchObject({
      origin: 'https://h.example:8443',
      path: '/y?z=1',
      timeoutMs: 1_000,
      maxInFlight: 7,
      rateLimit: null,
      retry: { maxAttempts: { high: 5, normal: 5, low: 5 }, initialDelayMs: 500, maxDelayMs: 9_000 },
      format: 'cloudevents',
      headers: ['X-Key', 'v'],
    });
  });

  test('maps fields by topic over the default', () => {
    const { fields } = load(`${MINIMAL}
fields:
  default: { tenant: header:x-tenant }
  topics: { orders: { id: order.id, key: 'avro:key' } }
`);
    expect(fields.default.tenant).toEqual({ from: 'header', name: 'x-tenant' });
    expect(fields.default.key).toEqual({ from: 'key' });
    expect(fields.byTopic['orders']).toEqual({
      ...fields.default,
      id: { from: 'avro', path: ['order', 'id'] },
      key: { from: 'avro', path: ['key'] },
    });
  });

  test('turns security into librdkafka properties, files made absolute', () => {
    const yaml = `${MINIMAL}
kafka:
  brokers: b:9092
  properties: { client.rack: r1, socket.keepalive.enable: true }
  security: { protocol: SASL_SSL, mechanism: SCRAM-SHA-512, username: u, password: p, caFile: ca.pem }
`;
    inFolder({ 'c.yaml': yaml, 'ca.pem': 'PEM' }, (folder) => {
      expect(loadConfig({ file: path.join(folder, 'c.yaml'), env: {} }).kafka.properties).toEqual({
        'client.rack': 'r1',
        'socket.keepalive.enable': true,
        'security.protocol': 'SASL_SSL',
        'sasl.mechanisms': 'SCRAM-SHA-512',
        'sasl.username': 'u',
        'sasl.password': 'p',
        'ssl.ca.location': path.join(folder, 'ca.pem'),
      });
    });
  });

  test('reads the text of the registry’s authorities, and knows no catalogue beside a registry', () => {
    const { schemas } = load(
      `${MINIMAL}schemas: { registry: { url: 'https://r.example', caFile: ca.pem } }\n`,
      {},
      { 'ca.pem': 'PEM TEXT' },
    );
    expect(schemas).toEqual({
      folder: null,
      registry: {
        url: 'https://r.example',
        username: null,
        password: null,
        ca: 'PEM TEXT',
        timeoutMs: 5_000,
      },
    });
  });

  test('allows what delivery.allowAddresses names, and nothing beside it', () => {
    const yaml = (url: string): string =>
      `delivery: { allowAddresses: [127.0.0.0/8, '::1'] }\ndestinations: [{ id: a, tenant: t, url: '${url}' }]\n`;
    expect(load(yaml('http://127.0.0.1:80/')).destinations[0]?.origin).toBe('http://127.0.0.1');
    expect(load(yaml('http://[::1]:81/')).destinations[0]?.origin).toBe('http://[::1]:81');
    expect(problemsOf(yaml('http://[::2]/'))).toHaveLength(1);
    expect(problemsOf(yaml('http://10.0.0.1/'))).toHaveLength(1);
  });

  test('takes the same id under two tenants, a key without a value as absent, http: off as none', () => {
    const config = load(
      `${MINIMAL}  - { id: a, tenant: other, url: 'https://h.example' }\nhttp: off\nkafka:\n  brokers:\nlanes:\n`,
    );
    expect(config.destinations.map(({ tenant }) => tenant)).toEqual(['acme', 'other']);
    expect(config.http).toBeNull();
    expect(config.kafka.brokers).toBeNull();
  });

  test('keeps a literal ${ as $${', () => {
    const { password } = load(`${MINIMAL}clickhouse: { password: 'a$\${env:X}b' }\n`).clickhouse;
    expect(password).toBe('a${env:X}b');
  });

  test('takes secrets from variables and files', () => {
    const yaml = `
clickhouse: { password: '\${file:secret}' }
destinations:
  - { id: a, tenant: t, url: 'https://h.example/\${env:PART}/x', headers: { authorization: 'Bearer \${env:TOKEN}' } }
`;
    const config = load(yaml, { TOKEN: 'tok', PART: 'abc' }, { secret: 'line\n' });
    expect(config.clickhouse.password).toBe('line');
    expect(config.destinations[0]).toMatchObject({
      path: '/abc/x',
      headers: ['authorization', 'Bearer tok'],
    });
  });

  test('that comes as the example loads, and means what the defaults mean', () => {
    const example = loadConfig({ file: path.join(ROOT, 'eventdispatch.example.yaml'), env: {} });
    const bare = load(MINIMAL);
    const { destinations, delivery, ...rest } = example;
    const { destinations: _destinations, delivery: bareDelivery, ...bareRest } = bare;
    expect(rest).toEqual(bareRest);
    expect(delivery).toEqual({ ...bareDelivery, allowAddresses: ['127.0.0.0/8'] });
    expect(destinations.map(({ id }) => id)).toEqual(['crm', 'audit']);
  });

  test('whose example has every commented line right', () => {
    const text = readFileSync(path.join(ROOT, 'eventdispatch.example.yaml'), 'utf8');
    const [head = '', ...body] = text.split('\nkafka:\n');
    expect(head).toMatch(/^#/);
    const uncommented = `kafka:\n${body.join('')}`
      // A commented line that holds a key or a list item is an example; others are prose.
      .replace(/^( *)# ((?: *)(?:[a-zA-Z][\w.-]*:(?: \S.*)?|- .*))$/gm, '$1$2')
      .replace(/^.*caFile: .*$/gm, '')
      .replace('/run/secrets/clickhouse', 'secret')
      .replace('folder: ./schemas', 'folder: .');
    expect(uncommented).toContain('\n  security:\n    protocol: SASL_SSL');
    const env = { KAFKA_PASSWORD: 'k', REGISTRY_PASSWORD: 'r', CRM_TOKEN: 't' };
    expect(problemsOf(uncommented, env, { secret: 's' })).toEqual([]);
  });
});

describe('the environment', () => {
  test('overrides the file, level by level and word by word', () => {
    const config = load(`${MINIMAL}kafka: { groupId: file, brokers: file:1 }\nhttp: off\n`, {
      EVENTDISPATCH_KAFKA__GROUP_ID: 'env',
      EVENTDISPATCH_KAFKA__SECURITY__KEY_PASSWORD: '',
      EVENTDISPATCH_DELIVERY__DNS__MAX_TTL: '7s',
      EVENTDISPATCH_HTTP__PORT: '0',
      EVENTDISPATCH_LANES__COUNT: '3',
      EVENTDISPATCH_CLICKHOUSE__PASSWORD: '12${345',
      EVENTDISPATCH_DEFAULTS__RATE_LIMIT__RATE: '6000/m',
    });
    expect(config.kafka).toMatchObject({ groupId: 'env', brokers: 'file:1' });
    expect(config.delivery.dns.maxTtlMs).toBe(7_000);
    expect(config.http).toEqual({ host: '127.0.0.1', port: 0 });
    expect(config.lanes.count).toBe(3);
    expect(config.clickhouse.password).toBe('12${345');
    expect(config.destinations[0]?.rateLimit).toEqual({ ratePerSecond: 100, burst: 100 });
  });

  test('gives lists with commas or as YAML, maps as YAML, words as words', () => {
    const config = load(MINIMAL, {
      EVENTDISPATCH_KAFKA__TOPICS: 'a, b',
      EVENTDISPATCH_DELIVERY__ALLOW_ADDRESSES: '[127.0.0.0/8]',
      EVENTDISPATCH_KAFKA__PROPERTIES: '{client.rack: r1, queued.min.messages: 5}',
      EVENTDISPATCH_DEFAULTS__RATE_LIMIT: 'none',
      EVENTDISPATCH_HTTP: 'off',
      EVENTDISPATCH_FIELDS__TOPICS: '{orders: {id: order.id}}',
    });
    expect(config.kafka.topics).toEqual(['a', 'b']);
    expect(config.delivery.allowAddresses).toEqual(['127.0.0.0/8']);
    expect(config.kafka.properties).toEqual({ 'client.rack': 'r1', 'queued.min.messages': 5 });
    expect(config.http).toBeNull();
    expect(config.fields.byTopic['orders']?.id).toEqual({ from: 'avro', path: ['order', 'id'] });
  });

  test('can say everything, without a file', () => {
    const env = { EVENTDISPATCH_DESTINATIONS: '[{id: a, tenant: t, url: "https://h.example"}]' };
    expect(loadConfig({ file: null, env }).destinations[0]?.id).toBe('a');
  });

  test('replaces a reference it overrides, missing or not', () => {
    const yaml = `${MINIMAL}clickhouse: { password: '\${env:NOT_SET}' }\n`;
    expect(load(yaml, { EVENTDISPATCH_CLICKHOUSE__PASSWORD: 'p' }).clickhouse.password).toBe('p');
  });

  test('is named in its problems', () => {
    expect(
      problemsOf(MINIMAL, {
        EVENTDISPATCH_KAFKA__GRUOP_ID: 'x',
        EVENTDISPATCH_NOTHING_LIKE_IT: 'x',
        EVENTDISPATCH_LANES__COUNT: 'many',
        EVENTDISPATCH_KAFKA__PROPERTIES: '{',
        EVENTDISPATCH_CLICKHOUSE__URL: 'http://u:hunter2@h',
      }),
    ).toEqual([
      'EVENTDISPATCH_KAFKA__GRUOP_ID: no such setting; did you mean EVENTDISPATCH_KAFKA__GROUP_ID?',
      'EVENTDISPATCH_KAFKA__PROPERTIES: not a valid YAML value, as a list or a map in a variable must be',
      'EVENTDISPATCH_NOTHING_LIKE_IT: no such setting; docs/configuration.md lists them all',
      'EVENTDISPATCH_LANES__COUNT lanes.count: "many" is not allowed; allowed: a whole number, 1 to 255',
      'EVENTDISPATCH_CLICKHOUSE__URL clickhouse.url: "http://********@h" is not allowed: no user or password in a URL; there are other keys for them',
    ]);
  });

  test('may hold what Kubernetes puts there for a service of this name', () => {
    const links = {
      EVENTDISPATCH_PORT: 'tcp://10.0.0.1:9400',
      EVENTDISPATCH_PORT_9400_TCP: 'tcp://10.0.0.1:9400',
      EVENTDISPATCH_PORT_9400_TCP_ADDR: '10.0.0.1',
      EVENTDISPATCH_SERVICE_HOST: '10.0.0.1',
      EVENTDISPATCH_SERVICE_PORT_METRICS: '9400',
      EVENTDISPATCH_METRICS_SERVICE_PORT: '9400',
      EVENTDISPATCH_DEBUG: '1',
      EVENTDISPATCH_CONFIG: 'x.yaml',
    };
    expect(problemsOf(MINIMAL, links)).toEqual([]);
  });
});
