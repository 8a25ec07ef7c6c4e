import path from 'node:path';
import type { KafkaConfig } from './config.ts';
import type { Scalar } from './fields.ts';
import { fileProblem } from './files.ts';
import type { Report } from './problems.ts';
import type { KafkaSettings, SecuritySettings } from './schema.ts';

/** Which librdkafka property each security key becomes. */
export const SECURITY_PROPERTIES = {
  protocol: 'security.protocol',
  mechanism: 'sasl.mechanisms',
  username: 'sasl.username',
  password: 'sasl.password',
  caFile: 'ssl.ca.location',
  certFile: 'ssl.certificate.location',
  keyFile: 'ssl.key.location',
  keyPassword: 'ssl.key.password',
} as const satisfies Record<keyof SecuritySettings, string>;

const SECURITY_FILES = ['caFile', 'certFile', 'keyFile'] as const;
const PROPERTY_MAPS = ['properties', 'consumerProperties', 'producerProperties'] as const;

/** Properties a configuration may not set, and what to do instead. */
const OWNED_PROPERTIES: Readonly<Record<string, string>> = {
  'bootstrap.servers': 'set kafka.brokers',
  'metadata.broker.list': 'set kafka.brokers',
  'group.id': 'set kafka.groupId',
  'group.protocol': 'set kafka.groupProtocol',
  'group.remote.assignor': 'partitions are assigned by range, so that a tenant has one owner',
  'partition.assignment.strategy': 'partitions are assigned by range, so that a tenant has one owner',
  'enable.auto.commit': 'an offset is committed only when its record is durable',
  'enable.auto.offset.store': 'an offset is committed only when its record is durable',
  'auto.commit.enable': 'an offset is committed only when its record is durable',
  'enable.partition.eof': 'EventDispatch sets it',
  'enable.idempotence': 'EventDispatch sets it',
  'message.max.bytes': 'set kafka.maxRecordSize',
  acks: 'a hand-over counts when all replicas have it',
  'request.required.acks': 'a hand-over counts when all replicas have it',
  'test.mock.num.brokers': 'leave kafka.brokers out for the embedded broker',
};

/** What librdkafka refuses beside `group.protocol=consumer`: the broker decides these. */
const CLASSIC_ONLY = ['session.timeout.ms', 'heartbeat.interval.ms', 'group.protocol.type'];

export function compileKafka(
  settings: KafkaSettings,
  folder: string,
  report: Report,
): Omit<KafkaConfig, 'rekey'> {
  checkBrokers(settings, report);
  checkTopics(settings, report);
  checkProperties(settings, report);
  return {
    brokers: settings.brokers ?? null,
    groupId: settings.groupId,
    groupProtocol: settings.groupProtocol,
    topics: settings.topics,
    deadLetterTopic: settings.deadLetterTopic,
    badEventTopic: settings.badEventTopic,
    properties: { ...settings.properties, ...securityProperties(settings.security, folder, report) },
    consumerProperties: settings.consumerProperties,
    producerProperties: settings.producerProperties,
    maxRecordBytes: settings.maxRecordSize,
    revokeDeadlineMs: settings.revokeDeadline,
    lostRecords: settings.lostRecords,
    commitIntervalMs: settings.commitInterval,
  };
}

function checkBrokers({ brokers, security }: KafkaSettings, report: Report): void {
  if (brokers === undefined && security !== undefined) {
    report(
      ['kafka', 'security'],
      'is not allowed without kafka.brokers: the embedded broker has no TLS or SASL',
    );
  }
  for (const broker of brokers?.split(',') ?? []) {
    const port = Number(broker.slice(broker.lastIndexOf(':') + 1));
    if (port < 1 || port > 65_535)
      report(['kafka', 'brokers'], 'is not allowed; allowed: ports from 1 to 65535');
  }
}

/** Reading our own dead letters again would dispatch them forever. */
function checkTopics({ topics, rekey, deadLetterTopic, badEventTopic }: KafkaSettings, report: Report): void {
  if (topics.length === 0 && rekey === undefined)
    report(['kafka', 'topics'], 'is not allowed; allowed: at least one topic or pattern');
  for (const [key, own] of Object.entries({ deadLetterTopic, badEventTopic })) {
    const source = topics.find((topic) =>
      topic.startsWith('^') ? new RegExp(topic).test(own) : topic === own,
    );
    if (source !== undefined) {
      report(['kafka', key], `is not allowed: kafka.topics has ${source}, which would read it back`);
    }
  }
}

function checkProperties(settings: KafkaSettings, report: Report): void {
  const bySecurity = new Map(
    Object.entries(SECURITY_PROPERTIES)
      .filter(([key]) => settings.security?.[key as keyof SecuritySettings] !== undefined)
      .map(([key, property]) => [property as string, key]),
  );
  for (const map of PROPERTY_MAPS) {
    for (const property of Object.keys(settings[map])) {
      const why = refusal(property, settings, bySecurity);
      if (why !== null) report(['kafka', map, property], `is not allowed: ${why}`);
    }
  }
}

function refusal(property: string, settings: KafkaSettings, bySecurity: Map<string, string>): string | null {
  const owned = OWNED_PROPERTIES[property];
  if (owned !== undefined) return owned;
  if (property.endsWith('_cb')) return 'callbacks are set by EventDispatch';
  const key = bySecurity.get(property === 'sasl.mechanism' ? 'sasl.mechanisms' : property);
  if (key !== undefined) return `kafka.security.${key} says it already`;
  const isRefused = settings.groupProtocol === 'consumer' && CLASSIC_ONLY.includes(property);
  return isRefused ? 'it needs kafka.groupProtocol: classic' : null;
}

function securityProperties(
  security: SecuritySettings | undefined,
  folder: string,
  report: Report,
): Record<string, Scalar> {
  if (security === undefined) return {};
  checkSecurity(security, report);
  const absolute = { ...security };
  for (const key of SECURITY_FILES) {
    const file = security[key];
    if (file === undefined) continue;
    absolute[key] = path.resolve(folder, file);
    const problem = fileProblem(absolute[key]);
    if (problem !== null) report(['kafka', 'security', key], problem);
  }
  return Object.fromEntries(
    Object.entries(SECURITY_PROPERTIES).flatMap(([key, property]) => {
      const value = absolute[key as keyof SecuritySettings];
      return value === undefined ? [] : [[property, value]];
    }),
  );
}

function checkSecurity(security: SecuritySettings, report: Report): void {
  const at = (key: keyof SecuritySettings): string[] => ['kafka', 'security', key];
  checkSasl(security, (key, text) => report(at(key), text));
  checkTls(security, (key, text) => report(at(key), text));
}

type ReportKey = (key: keyof SecuritySettings, text: string) => void;

function checkSasl({ protocol, mechanism, username, password }: SecuritySettings, report: ReportKey): void {
  const isSasl = protocol.startsWith('SASL_');
  if (isSasl && mechanism === undefined) report('protocol', 'is not enough: mechanism is needed with it');
  if (!isSasl && mechanism !== undefined) {
    report('mechanism', 'is not allowed; allowed: only with protocol SASL_SSL or SASL_PLAINTEXT');
  }
  const needsUser = isSasl && mechanism !== undefined && mechanism !== 'OAUTHBEARER';
  if (needsUser && (username === undefined || password === undefined)) {
    report('mechanism', 'is not enough: username and password are needed with it');
  }
}

function checkTls(security: SecuritySettings, report: ReportKey): void {
  const { protocol, certFile, keyFile, keyPassword } = security;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    const present = certFile === undefined ? 'keyFile' : 'certFile';
    report(present, 'is not enough: certFile and keyFile go together');
  }
  if (keyPassword !== undefined && keyFile === undefined)
    report('keyPassword', 'is not allowed without keyFile');
  const usesTls = protocol === 'SSL' || protocol === 'SASL_SSL';
  for (const key of SECURITY_FILES) {
    if (!usesTls && security[key] !== undefined) {
      report(key, 'is not allowed; allowed: only with protocol SSL or SASL_SSL');
    }
  }
}
