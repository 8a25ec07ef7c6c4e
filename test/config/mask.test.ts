/** Proves that the effective configuration can be shown: no secret in it, and what it shows loads to the same configuration. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { describeConfig } from '../../src/config/mask.ts';
import { isSecretProperty } from '../../src/config/redact.ts';
import { load, MINIMAL } from './support.ts';

/** Longer than the random part of a temporary folder's name, which is shown: nothing else in a configuration has it. */
const MARK = 'zqzqzqzq';

/** Texts that look like nothing else in a configuration, with the characters that end things in URLs and YAML. */
const secretText = fc
  .tuple(fc.stringMatching(/^[A-Za-z0-9]{4}$/), fc.stringMatching(/^[-A-Za-z0-9:#@/?&=%+ '"{}[\],.]{0,12}$/))
  .map(([start, end]) => `${MARK}${start}${end}${MARK}`);
/** Those that can stand in a URL. */
const urlText = fc.stringMatching(/^zqzqzqzq[A-Za-z0-9]{6,12}$/);

const everySecret = fc.record({
  clickhouse: secretText,
  registry: secretText,
  header: secretText,
  sasl: secretText,
  key: secretText,
  property: secretText,
  inQuery: urlText,
  inPath: urlText,
  topic: urlText,
  user: secretText,
});

describe('no secret is shown', () => {
  test('wherever it stands, literal or by reference', () => {
    fc.assert(
      fc.property(everySecret, (secrets) => {
        const shown = describeConfig(
          load(
            stringify({
              clickhouse: { password: secrets.clickhouse, username: '${env:USER_NAME}' },
              schemas: { registry: { url: 'https://r.example', username: 'u', password: secrets.registry } },
              kafka: {
                brokers: 'b:9092',
                topics: '${env:TOPIC}',
                security: {
                  protocol: 'SASL_SSL',
                  mechanism: 'PLAIN',
                  username: '${env:USER_NAME}',
                  password: secrets.sasl,
                  certFile: 'eventdispatch.yaml',
                  keyFile: 'eventdispatch.yaml',
                  keyPassword: secrets.key,
                },
                consumerProperties: { 'sasl.oauthbearer.client.secret': secrets.property },
              },
              destinations: [
                {
                  id: 'a',
                  tenant: 't',
                  url: `https://h.example/\${env:IN_PATH}/in?token=${secrets.inQuery}`,
                  headers: { authorization: secrets.header, 'x-ref': '${env:USER_NAME}' },
                },
                { id: 'b', tenant: 't', url: `https://h.example/in?${secrets.inQuery}` },
              ],
            }),
            { IN_PATH: secrets.inPath, TOPIC: secrets.topic, USER_NAME: secrets.user },
          ),
        );
        for (const secret of Object.values(secrets)) expect(shown).not.toContain(secret);
        // Nor a part of one: all of them start so.
        expect(shown).not.toContain(MARK);
      }),
      { numRuns: 60 },
    );
  });

  test('a reference is shown as it was written', () => {
    const shown = parse(
      describeConfig(
        load(
          `kafka: { brokers: '\${env:BROKERS}' }
defaults: { timeout: '\${env:TIMEOUT}' }
destinations:
  - { id: a, tenant: t, url: 'https://h.example/\${env:PART}' }
  - { id: b, tenant: t, url: 'https://h.example', timeout: 2s }
`,
          { BROKERS: 'b:9092', PART: 'p', TIMEOUT: '3s' },
        ),
      ),
    );
    expect(shown.kafka.brokers).toBe('${env:BROKERS}');
    expect(shown.destinations[0]).toMatchObject({
      url: 'https://h.example/${env:PART}',
      timeout: '${env:TIMEOUT}',
    });
    expect(shown.destinations[1].timeout).toBe('2s');
  });

  test('properties are secret by their names, places are not', () => {
    const secret = [
      'sasl.password',
      'ssl.key.password',
      'ssl.keystore.password',
      'ssl.key.pem',
      'ssl_key',
      'sasl.oauthbearer.config',
      'sasl.oauthbearer.client.secret',
      'sasl.oauthbearer.assertion.private.key.passphrase',
      'sasl.oauthbearer.assertion.private.key.pem',
      'sasl.kerberos.kinit.cmd',
      'my.api.token',
    ];
    const plain = [
      'ssl.key.location',
      'ssl.keystore.location',
      'ssl.certificate.pem',
      'ssl.ca.pem',
      'sasl.username',
      'sasl.mechanisms',
      'sasl.oauthbearer.token.endpoint.url',
      'sasl.oauthbearer.client.id',
      'socket.keepalive.enable',
      'client.rack',
    ];
    expect(secret.filter((name) => !isSecretProperty(name))).toEqual([]);
    expect(plain.filter(isSecretProperty)).toEqual([]);
  });
});

describe('what is shown', () => {
  test.each([
    ['the shortest configuration', MINIMAL],
    [
      'one that says much',
      `
kafka:
  brokers: a:9092,b:9093
  groupProtocol: classic
  topics: ['^events-.*', orders]
  properties: { client.rack: r1, linger.ms: 5, socket.keepalive.enable: true }
  consumerProperties: { session.timeout.ms: 6000 }
  maxRecordSize: 1500b
clickhouse: { url: 'http://ch:8123', requestTimeout: 90s }
schemas: { registry: { url: 'http://r:8081', timeout: 1500ms } }
fields: { default: { tenant: header:x-tenant }, topics: { orders: { key: avro:key, id: order.id } } }
destinations:
  - { id: a, tenant: '*', url: 'https://h.example:8443/x', events: ['contact.*', '**'], rateLimit: { rate: 7/m, burst: 3 } }
  - { id: b, tenant: '007', url: 'http://10.0.0.1/', retry: { maxAttempts: 1 }, format: data, channel: push }
delivery: { allowAddresses: [10.0.0.0/8], dns: { servers: ['10.0.0.2:53'] } }
lanes: { count: 2 }
http: off
`,
    ],
  ])('%s loads to the same configuration', (_name, yaml) => {
    const config = load(yaml);
    expect(load(describeConfig(config))).toEqual(config);
  });
});
