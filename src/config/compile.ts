import path from 'node:path';
import { catalogueFolder } from './catalogue-folder.ts';
import { compileDestinations } from './compile-destinations.ts';
import { compileKafka } from './compile-kafka.ts';
import { compileLimits } from './compile-limits.ts';
import { orNull } from './compile-policies.ts';
import { compileDelayTopics } from './delay-topics.ts';
import type {
  ClickHouseConfig,
  Config,
  DeliveryConfig,
  LanesConfig,
  RegistryConfig,
  SchemasConfig,
} from './config.ts';
import { fileProblem, folderProblem, readTextFile, writableFolderProblem } from './files.ts';
import { EVERY_TENANT } from '../domain/destination.ts';
import { limits } from '../domain/limits.ts';
import { compileMapping } from './field-mapping.ts';
import { compileOverflow } from './overflow.ts';
import type { Report } from './problems.ts';
import { compileRekey } from './rekey.ts';
import { compileAllowed, isNameServer } from './reachable.ts';
import type { Settings } from './schema.ts';
import { urlProblem } from './urls.ts';

/**
 * Settings, each fine in itself, to a configuration: paths made absolute,
 * defaults spread, and the relations between keys checked.
 *
 * @param folder what relative paths start at.
 */
export function compile(settings: Settings, folder: string, report: Report): Config {
  const { delivery, fields, ledger, shutdown, log } = settings;
  checkBounds(settings, report);
  const mapping = compileMapping(fields.default);
  return {
    kafka: { ...compileKafka(settings.kafka, folder, report), rekey: compileRekey(settings, report) },
    retry: compileDelayTopics(settings, report),
    clickhouse: compileClickHouse(settings.clickhouse, folder, report),
    overflow: compileOverflow(settings, report),
    duplicates: settings.duplicates && {
      windowMs: settings.duplicates.window,
      maxRemembered: settings.duplicates.maxRemembered,
    },
    schemas: compileSchemas(settings.schemas, folder, report),
    fields: {
      default: mapping,
      byTopic: Object.fromEntries(
        Object.entries(fields.topics).map(([topic, own]) => [topic, compileMapping(fields.default, own)]),
      ),
    },
    destinations: compileDestinations(settings, report),
    limits: compileLimits(settings.limits, report),
    delivery: compileDelivery(delivery, report),
    lanes: compileLanes(settings.lanes, report),
    ledger: {
      batchMaxRows: ledger.batchMaxRows,
      batchMaxBytes: ledger.batchMaxSize,
      batchMaxAgeMs: ledger.batchMaxAge,
      responseExcerptBytes: ledger.responseExcerpt,
    },
    http: settings.http,
    shutdown: { deadlineMs: shutdown.deadline },
    log: { level: log.level },
  };
}

function checkBounds(settings: Settings, report: Report): void {
  const { kafka, lanes, ledger, delivery } = settings;
  if (lanes.maxBytes < kafka.maxRecordSize) {
    report(
      ['lanes', 'maxBytes'],
      'is not allowed; allowed: at least kafka.maxRecordSize, or such a record never fits',
    );
  } else if (lanes.maxBytes * lanes.tenantShare < kafka.maxRecordSize) {
    report(
      ['lanes', 'tenantShare'],
      'is not allowed; allowed: a share of lanes.maxBytes of at least kafka.maxRecordSize, or such a record never fits',
    );
  }
  if (ledger.responseExcerpt > delivery.maxResponseSize) {
    report(['ledger', 'responseExcerpt'], 'is not allowed; allowed: at most delivery.maxResponseSize');
  }
}

function compileLanes(settings: Settings['lanes'], report: Report): LanesConfig {
  const { stallTimeout, ...lanes } = settings;
  for (const [tenant, most] of Object.entries(lanes.spread)) {
    const at = ['lanes', 'spread', tenant];
    if (tenant === EVERY_TENANT || tenant === '' || Buffer.byteLength(tenant) > limits.identifierMaxBytes) {
      report(
        at,
        `is not allowed here; allowed: the id of one tenant, ${limits.identifierMaxBytes} bytes at most`,
      );
    } else if (most > lanes.count) {
      report(at, `is not allowed; allowed: at most lanes.count, which is ${lanes.count}`);
    }
  }
  return { ...lanes, stallTimeoutMs: stallTimeout };
}

function compileClickHouse(
  settings: Settings['clickhouse'],
  folder: string,
  report: Report,
): ClickHouseConfig {
  const { url, username, password, database, requestTimeout } = settings;
  const isEmbedded = url === undefined;
  const embeddedPath =
    isEmbedded && settings.embeddedPath !== undefined ? path.resolve(folder, settings.embeddedPath) : null;
  if (url !== undefined) reportIf(urlProblem(url), ['clickhouse', 'url'], report);
  if (embeddedPath !== null) {
    reportIf(writableFolderProblem(embeddedPath), ['clickhouse', 'embeddedPath'], report);
  }
  const { ttl, cluster = null } = settings;
  if (isEmbedded && cluster !== null) {
    report(['clickhouse', 'cluster'], 'is not allowed without clickhouse.url: the embedded engine is alone');
  }
  return {
    url: url ?? null,
    username,
    password,
    database,
    embeddedPath,
    requestTimeoutMs: requestTimeout,
    cluster,
    ttl: {
      eventsMs: orNull(ttl.events),
      attemptsMs: orNull(ttl.attempts),
      rollupsMs: orNull(ttl.rollups),
    },
  };
}

function compileSchemas(settings: Settings['schemas'], folder: string, report: Report): SchemasConfig {
  const registry =
    settings.registry === undefined ? null : compileRegistry(settings.registry, folder, report);
  if (settings.folder === undefined) return { folder: registry === null ? catalogueFolder : null, registry };
  const schemaFolder = path.resolve(folder, settings.folder);
  reportIf(folderProblem(schemaFolder), ['schemas', 'folder'], report);
  return { folder: schemaFolder, registry };
}

function compileRegistry(
  settings: NonNullable<Settings['schemas']['registry']>,
  folder: string,
  report: Report,
): RegistryConfig {
  const { username = null, password = null, timeout, url = '' } = settings;
  const at = ['schemas', 'registry'];
  if (settings.url !== undefined) reportIf(urlProblem(settings.url), [...at, 'url'], report);
  if ((username === null) !== (password === null)) {
    const present = username === null ? 'password' : 'username';
    report([...at, present], 'is not enough; allowed: username and password together, or neither');
  }
  let ca: string | null = null;
  if (settings.caFile !== undefined) {
    const file = path.resolve(folder, settings.caFile);
    const problem = fileProblem(file);
    reportIf(problem, [...at, 'caFile'], report);
    if (problem === null) ca = readTextFile(file);
  }
  return { url, username, password, ca, timeoutMs: timeout };
}

function compileDelivery(settings: Settings['delivery'], report: Report): DeliveryConfig {
  const { allowAddresses, connectTimeout, connectionsPerOrigin, keepAlive, maxResponseSize, dns } = settings;
  allowAddresses.forEach((entry, index) => {
    if (compileAllowed([entry]).length === 0) {
      report(
        ['delivery', 'allowAddresses', index],
        'is not allowed; allowed: an address or CIDR range such as 127.0.0.0/8 or fd00::/8',
      );
    }
  });
  dns.servers.forEach((server, index) => {
    if (!isNameServer(server)) {
      report(
        ['delivery', 'dns', 'servers', index],
        'is not allowed; allowed: an IP address, with a port as in 10.0.0.2:53 or [fd00::2]:53',
      );
    }
  });
  return {
    allowAddresses,
    connectTimeoutMs: connectTimeout,
    connectionsPerOrigin,
    keepAliveMs: keepAlive,
    maxResponseBytes: maxResponseSize,
    dns: { timeoutMs: dns.timeout, maxTtlMs: dns.maxTtl, servers: dns.servers },
  };
}

function reportIf(problem: string | null, at: readonly string[], report: Report): void {
  if (problem !== null) report(at, problem);
}
