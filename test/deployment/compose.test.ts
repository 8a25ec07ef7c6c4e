/**
 * Proves, as far as no container engine allows, that docker-compose.yml, the files
 * it mounts, the Dockerfile and the configuration agree with one another.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import ipaddr from 'ipaddr.js';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import type { Config } from '../../src/config/config.ts';
import { loadConfig } from '../../src/config/load.ts';
import { repositoryRoot } from '../support/repository.ts';

interface Service {
  readonly image: string;
  readonly build?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly depends_on?: readonly string[] | Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
  readonly stop_grace_period?: string;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
  readonly networks: {
    readonly default: { readonly ipam: { readonly config: readonly { readonly subnet: string }[] } };
  };
}

const file = (name: string): string => path.join(repositoryRoot, name);
const text = (name: string): string => readFileSync(file(name), 'utf8');
const compose = parse(text('docker-compose.yml')) as Compose;
const services = Object.entries(compose.services);
const service = (name: string): Service => compose.services[name]!;

/** A value as compose makes it of `${NAME:-default}` where NAME is not set. */
const filled = (value: string | number): string => String(value).replace(/\$\{\w+:-([^}]*)\}/g, '$1');

const environmentOf = (name: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(service(name).environment ?? {}).map(([key, value]) => [key, filled(value)]),
  );

/** The container port that is published, with its host part. */
const published = (name: string): { host: string; container: number }[] =>
  (service(name).ports ?? []).map((mapping) => {
    const [address, host, container] = mapping.split(':');
    return { host: `${address}:${host}`, container: Number(container) };
  });

const config: Config = loadConfig({
  file: file('docker/eventdispatch.yaml'),
  env: environmentOf('eventdispatch'),
});

describe('compose file', () => {
  test('it has every part', () => {
    expect(Object.keys(compose.services)).toEqual(
      expect.arrayContaining([
        'eventdispatch',
        'kafka',
        'schema-registry',
        'clickhouse',
        'prometheus',
        'grafana',
      ]),
    );
  });

  test.each(services)('%s: the image is pinned by a tag', (_, { image }) => {
    expect(image).toMatch(/^[a-z0-9./-]+:v?\d+(\.\d+)+(-[a-z-]+)?$/);
  });

  test.each(services)('%s: what it mounts exists', (_, { volumes = [] }) => {
    for (const mount of volumes) {
      const [source, target] = mount.split(':');
      expect(target).toMatch(/^\//);
      if (source!.startsWith('.')) expect([source, existsSync(file(source!))]).toEqual([source, true]);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
  });

  test('each named volume is mounted', () => {
    const mounted = services.flatMap(([, { volumes = [] }]) => volumes.map((mount) => mount.split(':')[0]));
    expect(mounted).toEqual(expect.arrayContaining(Object.keys(compose.volumes)));
  });

  test.each(services)(
    '%s: it waits only for services that are there, and for health only where it is checked',
    (_, s) => {
      const waits = Array.isArray(s.depends_on)
        ? s.depends_on.map((name: string) => [name, 'service_started'] as const)
        : Object.entries(s.depends_on ?? {}).map(([name, { condition }]) => [name, condition] as const);
      for (const [name, condition] of waits) {
        expect(Object.keys(compose.services)).toContain(name);
        if (condition === 'service_healthy') expect(service(name).healthcheck?.test).toBeDefined();
      }
    },
  );

  test('ports are published on this machine only, each once', () => {
    const hosts = services.flatMap(([name]) => published(name).map(({ host }) => host));
    expect(hosts.filter((host) => !/^127\.0\.0\.1:\d+$/.test(host))).toEqual([]);
    expect(new Set(hosts).size).toBe(hosts.length);
  });
});

describe('configuration', () => {
  const ours = services.filter(([, { build }]) => build !== undefined).map(([name]) => name);

  test.each(ours)('%s: its command names the mounted configuration, and its environment is known', (name) => {
    const { command = [], volumes = [] } = service(name);
    const target = command[command.indexOf('--config') + 1];
    expect(volumes).toContain(`./docker/eventdispatch.yaml:${target}:ro`);
    expect(loadConfig({ file: file('docker/eventdispatch.yaml'), env: environmentOf(name) })).toEqual(config);
  });

  test('the schema folder is where the image has it', () => {
    const mounted = service('eventdispatch').command!.at(-1)!;
    const written = (parse(text('docker/eventdispatch.yaml')) as { schemas: { folder: string } }).schemas
      .folder;
    expect(path.resolve(path.dirname(mounted), written)).toBe('/app/schemas');
    expect(text('Dockerfile')).toMatch(/^COPY schemas \.\/schemas$/m);
  });

  test('Kafka is where the broker advertises itself to the network', () => {
    const environment = environmentOf('kafka');
    expect(environment['KAFKA_ADVERTISED_LISTENERS']).toContain(`INTERNAL://${config.kafka.brokers}`);
    const port = config.kafka.brokers!.split(':')[1];
    expect(environment['KAFKA_LISTENERS']).toContain(`INTERNAL://:${port}`);
  });

  test('each listener of Kafka has a protocol, and the one for this machine is published', () => {
    const environment = environmentOf('kafka');
    const names = (list: string): string[] => list.split(',').map((entry) => entry.split(':')[0]!);
    expect(names(environment['KAFKA_LISTENER_SECURITY_PROTOCOL_MAP']!).sort()).toEqual(
      names(environment['KAFKA_LISTENERS']!).sort(),
    );
    const advertised = /HOST:\/\/localhost:(\d+)/.exec(environment['KAFKA_ADVERTISED_LISTENERS']!)![1]!;
    expect(published('kafka')).toContainEqual({
      host: `127.0.0.1:${advertised}`,
      container: Number(advertised),
    });
  });

  test('every topic the dispatcher uses is created', () => {
    const script = service('topics').command!.join('\n');
    for (const topic of [...config.kafka.topics, config.kafka.deadLetterTopic, config.kafka.badEventTopic]) {
      expect(script).toMatch(new RegExp(`[ ]${topic.replaceAll('.', '\\.')}[ ;]`));
    }
  });

  test('ClickHouse is reached with the user, password and database it is started with', () => {
    const environment = environmentOf('clickhouse');
    const { url, username, password, database } = config.clickhouse;
    expect(url).toBe('http://clickhouse:8123');
    expect(published('clickhouse').map(({ container }) => container)).toContain(8123);
    expect([username, password, database]).toEqual([
      environment['CLICKHOUSE_USER'],
      environment['CLICKHOUSE_PASSWORD'],
      environment['CLICKHOUSE_DB'],
    ]);
  });

  test('the registry is reached at its port and at Confluent’s API', () => {
    const { hostname, port, pathname } = new URL(config.schemas.registry!.url);
    expect([hostname, pathname]).toEqual(['schema-registry', '/apis/ccompat/v7']);
    expect(published(hostname).map(({ container }) => container)).toContain(Number(port));
  });

  test('the HTTP surface listens where it is published, scraped, checked and exposed', () => {
    const { host, port } = config.http!;
    expect(host).toBe('0.0.0.0');
    expect(published('eventdispatch')).toEqual([{ host: `127.0.0.1:${port}`, container: port }]);
    const prometheus = parse(text('grafana/prometheus.yml')) as {
      scrape_configs: { job_name: string; static_configs: { targets: string[] }[] }[];
    };
    expect(prometheus.scrape_configs[0]!.static_configs[0]!.targets).toEqual([`eventdispatch:${port}`]);
    expect(text('Dockerfile')).toContain(`EXPOSE ${port}\n`);
    expect(text('Dockerfile')).toContain(`http://127.0.0.1:${port}/health'`);
  });

  test('destinations are services of the network, whose addresses may be reached, and no others', () => {
    const [subnet] = compose.networks.default.ipam.config.map((entry) => entry.subnet);
    expect(config.delivery.allowAddresses).toEqual([subnet]);
    expect(ipaddr.parseCIDR(subnet!)[0].range()).toBe('private');
    for (const { origin } of config.destinations)
      expect(Object.keys(compose.services)).toContain(new URL(origin).hostname);
    const port = /PORT = (\d+)/.exec(text('docker/receiver.mjs'))![1];
    for (const { origin } of config.destinations) expect(new URL(origin).port).toBe(port);
  });

  test('a stop waits longer than a drain may take', () => {
    const graceMs = Number.parseInt(service('eventdispatch').stop_grace_period!, 10) * 1000;
    expect(graceMs).toBeGreaterThan(config.shutdown.deadlineMs);
  });
});

describe('Grafana', () => {
  interface Provisioned {
    readonly datasources?: readonly { readonly uid: string; readonly url: string }[];
    readonly providers?: readonly { readonly options: { readonly path: string } }[];
  }
  const provisioning = (name: string): Provisioned =>
    parse(text(`grafana/provisioning/${name}`)) as Provisioned;
  const mounts = new Map(
    service('grafana').volumes!.map((mount) => mount.split(':').reverse().slice(-2) as [string, string]),
  );

  test('its data source is the Prometheus of the network, under the id the dashboard uses', () => {
    const [source] = provisioning('datasources/prometheus.yml').datasources!;
    const { hostname, port } = new URL(source!.url);
    expect(published(hostname).map(({ container }) => container)).toContain(Number(port));
    const used = [
      ...text('grafana/dashboards/eventdispatch.json').matchAll(/"type": "prometheus",\s*"uid": "([^"]+)"/g),
    ];
    expect(new Set(used.map(([, uid]) => uid))).toEqual(new Set([source!.uid]));
  });

  test('its dashboards are read from where they are mounted', () => {
    const [provider] = provisioning('dashboards/eventdispatch.yml').providers!;
    expect(mounts.get(provider!.options.path)).toBe('./grafana/dashboards');
    const home = environmentOf('grafana')['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH']!;
    const onDisk = home.replace(provider!.options.path, 'grafana/dashboards');
    expect(statSync(file(onDisk)).isFile()).toBe(true);
  });
});

describe('Dockerfile', () => {
  const lines = text('Dockerfile').replaceAll(/\\\n/g, ' ').split('\n');
  const stages = lines.filter((line) => line.startsWith('FROM '));

  test('both stages are the same pinned Node, of the major version in use, on Debian 12', () => {
    const versions = stages.map(
      (line) => /^FROM node:(\d+\.\d+\.\d+)-bookworm(-slim)?( AS build)?$/.exec(line)?.[1],
    );
    expect(new Set(versions).size).toBe(1);
    expect(versions[0]).toMatch(/^20\./);
    expect(stages).toHaveLength(2);
  });

  test('it builds with zstd, and runs without root and development packages', () => {
    expect(lines.find((line) => line.includes('apt-get'))).toContain('libzstd-dev');
    expect(lines.some((line) => line.includes('npm prune --omit=dev'))).toBe(true);
    expect(lines.lastIndexOf('USER node')).toBeGreaterThan(lines.indexOf(stages[1]!));
  });

  test('what it copies exists and is not kept out by .dockerignore', () => {
    const kept = text('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    const copied = lines
      .filter((line) => line.startsWith('COPY ') && !line.includes('--from='))
      .flatMap((line) => line.split(' ').slice(1, -1));
    expect(copied).toContain('src');
    for (const name of copied)
      expect([name, existsSync(file(name)), kept.includes(name)]).toEqual([name, true, true]);
    expect([...new Set(copied)].sort()).toEqual([...kept].sort());
  });

  test('its entry point is the program of package.json', () => {
    const { bin } = JSON.parse(text('package.json')) as { bin: { eventdispatch: string } };
    expect(text('Dockerfile')).toContain(`ENTRYPOINT ["node", "/app/${bin.eventdispatch}"]`);
  });
});
