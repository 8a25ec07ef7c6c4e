import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { evaluateReadiness, type Readiness } from '../api/readiness.ts';
import { surfaceRoutes } from '../api/routes.ts';
import { startHttpSurface, type HttpSurface } from '../api/server.ts';
import type { Config } from '../config/config.ts';
import { RegistryClient } from '../decode/registry-client.ts';
import { readSchemaFolder } from '../decode/schema-folder.ts';
import { SchemaStore } from '../decode/schema-store.ts';
import { systemClock } from '../domain/clock.ts';
import { startEmbeddedBroker, type EmbeddedBroker } from '../kafka/embedded-broker.ts';
import { openProducer, type KafkaProducer } from '../kafka/producer.ts';
import { ensurePipelineTopics, type PipelineTopics } from '../kafka/pipeline-topics.ts';
import { adminProperties, PRODUCED_RECORD_MAX_BYTES, producerProperties } from '../kafka/properties.ts';
import { KafkaTopicAdmin } from '../kafka/topic-admin.ts';
import { openLedger, type Ledger } from '../ledger/client.ts';
import { LaneCounters, createLaneCounters } from '../observability/lane-counters.ts';
import type { Log } from '../observability/log.ts';
import type { MainStats } from '../observability/main-stats.ts';
import { createMetrics } from '../observability/metrics.ts';
import { delayTopicsOf } from '../retry/delay-topics.ts';
import { countedRegistry, type SchemaLookupCounts } from './counted-registry.ts';
import { IDLE_STATS, readMainStats } from './main-stats.ts';
import { logLedgerNotices, type LedgerNotices } from './ledger-notices.ts';
import { startLedger } from './ledger-start.ts';
import { logNotices, type Notices } from './notices.ts';
import { openOverflow } from './overflow.ts';
import { openPipeline, type Pipeline } from './pipeline.ts';
import type { RunOptions } from './run-options.ts';
import type { RekeyHealth } from '../rekey/rekeyer.ts';
import { openRekey, sourceTopicsOf, type Rekey, type RekeyParts } from './rekey.ts';
import { drainPipeline } from './shutdown.ts';
import { programVersion } from './version.ts';

/** A running dispatcher. */
export interface Dispatcher {
  /** `host:port` of the brokers in use, the embedded one's included. */
  readonly brokers: string;
  readonly ledger: Ledger;
  /** Where `/metrics` and `/health` answer; null when `http` is off. */
  readonly httpPort: number | null;
  readonly lanes: readonly LaneCounters[];
  stats(): MainStats;
  readiness(): Readiness;
  /** Resolves with the reason when it cannot go on; never rejects. */
  readonly failed: Promise<Error>;
  /**
   * Stops the intake, lets what is in flight finish until the deadline, makes it
   * durable, commits and leaves the group.
   * @returns whether nothing was left open.
   */
  drain(deadlineMs: number): Promise<boolean>;
  /** Closes what is left: ledger, HTTP surface, embedded broker. */
  close(): Promise<void>;
}

/** What stands around the pipeline, opened before it and closed after it, last opened first closed. */
interface Surroundings {
  readonly brokers: string;
  readonly ledger: Ledger;
  readonly producer: KafkaProducer;
  readonly closers: (() => Promise<void>)[];
}

/**
 * Starts a dispatcher; with nothing half-started when it fails.
 * @throws UserError for what the person who runs it can mend.
 */
export async function startDispatcher(
  config: Config,
  log: Log,
  { allowDuplicates }: RunOptions = { allowDuplicates: false },
): Promise<Dispatcher> {
  const schemaLookups: SchemaLookupCounts = { found: 0, unknown: 0, failed: 0 };
  const schemas = openSchemas(config, schemaLookups);
  const surroundings = await openSurroundings(config, log);
  const blocks = Array.from({ length: config.lanes.count }, () =>
    createLaneCounters(config.destinations.length),
  );
  const lanes = blocks.map((block) => new LaneCounters(block));
  const { promise: failed, resolve: fail } = promiseWithResolver<Error>();
  const notices = logNotices(log, fail);
  const ledgerNotices = logLedgerNotices(log, systemClock);
  let pipeline: Pipeline | null = null;
  let draining = false;
  const stats = (): MainStats => (pipeline === null ? IDLE_STATS : readMainStats(pipeline, schemaLookups));
  const readiness = (): Readiness => readReadiness(pipeline, { notices, ledgerNotices, draining });
  try {
    // Before the pipeline: a port that is taken must show before this process joins the consumer group.
    const surface = await openSurface(config, log, { lanes, stats, readiness });
    surroundings.closers.push(() => {
      surface?.close();
      return Promise.resolve();
    });
    const stopLedgerStart = await startLedger(surroundings.ledger, {
      allowDuplicates,
      notices: ledgerNotices,
      onMigrated: () => {
        log.write('ledger_migrated', { kind: surroundings.ledger.kind });
      },
      onFailure: fail,
    });
    surroundings.closers.push(() => {
      stopLedgerStart();
      return Promise.resolve();
    });
    const topics = await ensureTopics(config, surroundings);
    notices.topicsReady(topics);
    const instance = `${hostname()}-${process.pid}-${randomBytes(3).toString('hex')}`;
    log.write('identified', { instance });
    const overflow = await openOverflow({ config, ...surroundings, instance, ledgerNotices });
    if (overflow !== null) surroundings.closers.push(overflow.stop);
    const rekey = await startRekey({ config, log, schemas, notices, ...surroundings }, topics);
    const opened = await openPipeline({
      config,
      brokers: surroundings.brokers,
      instance,
      ledger: surroundings.ledger,
      producer: surroundings.producer,
      schemas,
      counters: blocks,
      notices,
      ledgerNotices,
      overflow,
      rekey,
      allowDuplicates,
      delayTopics: delayTopicsOf(config.retry),
      delayPartitions: topics.partitions,
    });
    pipeline = opened;
    return {
      brokers: surroundings.brokers,
      ledger: surroundings.ledger,
      httpPort: surface?.port ?? null,
      lanes,
      stats,
      readiness,
      failed,
      drain: (deadlineMs) => {
        draining = true;
        return drainPipeline(opened, deadlineMs, log);
      },
      close: () => closeAll(surroundings.closers),
    };
  } catch (error) {
    await closeAll(surroundings.closers);
    throw error;
  }
}

async function closeAll(closers: (() => Promise<void>)[]): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

function openSchemas(config: Config, counts: SchemaLookupCounts): SchemaStore {
  const { folder, registry } = config.schemas;
  return new SchemaStore({
    folder: folder === null ? null : readSchemaFolder(folder),
    registry: registry && countedRegistry(new RegistryClient(registry), counts),
    clock: systemClock,
  });
}

async function openSurroundings(config: Config, log: Log): Promise<Surroundings> {
  const closers: (() => Promise<void>)[] = [];
  try {
    const ledger = await openLedger(config.clickhouse);
    closers.push(() => ledger.close());
    let embedded: EmbeddedBroker | null = null;
    if (config.kafka.brokers === null) {
      embedded = await startEmbeddedBroker(topicsOf(config));
      closers.push(embedded.close);
      log.write('embedded_broker_started', { brokers: embedded.brokers });
    }
    const brokers = config.kafka.brokers ?? (embedded as EmbeddedBroker).brokers;
    const producer = await openProducer(producerProperties(config.kafka, brokers), (error) => {
      log.write('kafka_error', { error, client: 'producer' });
    });
    closers.push(() => producer.close());
    return { brokers, ledger, producer, closers };
  } catch (error) {
    await closeAll(closers);
    throw error;
  }
}

/** The topics that have a name; a pattern finds what others make. */
function topicsOf({ kafka, retry }: Config): string[] {
  const sources = [...sourceTopicsOf(kafka), ...(kafka.rekey?.topics ?? [])];
  const named = sources.filter((topic) => !topic.startsWith('^'));
  return [...named, kafka.deadLetterTopic, kafka.badEventTopic, ...delayTopicsOf(retry).keys()];
}

async function ensureTopics(
  { kafka, retry, overflow }: Config,
  { brokers, producer }: Surroundings,
): Promise<PipelineTopics> {
  const admin = new KafkaTopicAdmin(producer, adminProperties(kafka, brokers));
  try {
    return await ensurePipelineTopics(
      admin,
      {
        sources: kafka.topics,
        rekey: kafka.rekey,
        delays: delayTopicsOf(retry),
        others: [kafka.deadLetterTopic, kafka.badEventTopic],
        kept: overflow === null ? [] : [overflow.topic],
      },
      PRODUCED_RECORD_MAX_BYTES,
    );
  } finally {
    admin.close();
  }
}

/** Before the pipeline, which is told of it. */
async function startRekey(
  parts: Omit<RekeyParts, 'partitions'> & Pick<Surroundings, 'closers'>,
  { rekeyedPartitions }: PipelineTopics,
): Promise<Rekey | null> {
  const rekey = await openRekey({ ...parts, partitions: rekeyedPartitions ?? 0 });
  parts.closers.push(() => rekey?.stop() ?? Promise.resolve());
  return rekey;
}

interface SurfaceParts {
  readonly lanes: readonly LaneCounters[];
  readonly stats: () => MainStats;
  readonly readiness: () => Readiness;
}

async function openSurface(
  config: Config,
  log: Log,
  { lanes, stats, readiness }: SurfaceParts,
): Promise<HttpSurface | null> {
  if (config.http === null) return null;
  const metrics = createMetrics({
    lanes,
    destinations: config.destinations.map(({ id }) => id),
    main: stats,
    version: programVersion(),
  });
  const surface = await startHttpSurface({
    ...config.http,
    routes: surfaceRoutes({ metrics, readiness }),
    onHandlerError: (error, path) => {
      log.write('http_handler_failed', { path, err: error });
    },
  });
  log.write('http_listening', { host: config.http.host, port: surface.port });
  return surface;
}

interface ReadinessParts {
  readonly notices: Notices;
  readonly ledgerNotices: LedgerNotices;
  /** Asked to stop. */
  readonly draining: boolean;
}

function readReadiness(
  pipeline: Pipeline | null,
  { notices: { lastKafkaError }, ledgerNotices, draining }: ReadinessParts,
): Readiness {
  const intake = pipeline?.intake.stats;
  return evaluateReadiness(
    {
      draining,
      lastPollMs: intake === undefined || intake.polls === 0 ? null : intake.lastPollMs,
      kafka: {
        connected: pipeline !== null && lastKafkaError === null,
        lastError: lastKafkaError,
        assignedPartitions: pipeline?.assignments.size ?? 0,
      },
      ledger: {
        ...(pipeline?.batcher.health() ?? IDLE_LEDGER),
        awaitedBecause: ledgerNotices.awaitedBecause,
      },
      rekey: rekeyHealthOf(pipeline),
      lanes: { alive: pipeline?.lanes.alive ?? 0, expected: pipeline?.lanes.size ?? 1 },
    },
    systemClock.monotonicMs(),
  );
}

function rekeyHealthOf(pipeline: Pipeline | null): RekeyHealth | null {
  return pipeline?.rekey?.rekeyer.health ?? null;
}

const IDLE_LEDGER = {
  state: 'ok',
  isDiverting: false,
  lastError: null,
  pendingRows: 0,
  pendingSinceMs: null,
  lastAckMs: null,
} as const;

function promiseWithResolver<T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}
