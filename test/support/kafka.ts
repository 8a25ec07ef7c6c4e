import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';

import { availabilityOf, javaCommand, kafkaJars } from './java-parts.ts';
import type { Availability } from './java-parts.ts';
import { kafkaTools } from './kafka-tools.ts';
import type { KafkaTools } from './kafka-tools.ts';
import { answersApiVersions } from './kafka-wire.ts';
import { freePorts } from './ports.ts';
import { runToEnd, spawnChild } from './process.ts';
import type { Child } from './process.ts';
import { temporaryDirectory } from './temp.ts';
import { waitFor } from './wait.ts';

export interface KafkaOptions {
  /** Partitions of a topic that is made by its first use; 4 by default. */
  readonly autoCreatePartitions?: number;
  /**
   * Port of a TCP proxy in front of the broker. The broker then listens on one more port, `proxyTarget`, whose
   * clients are told to come to this one: all traffic of a client that bootstraps at the proxy passes it.
   */
  readonly proxyPort?: number;
  /** Further broker settings, which win over the ones below. */
  readonly config?: Readonly<Record<string, string>>;
}

/** Apache Kafka 4.1.1, one KRaft node in a process of its own, on 127.0.0.1, its data in a temporary directory. */
export interface RealKafka {
  /** `127.0.0.1:port`, the same after startAgain. */
  readonly brokers: string;
  /** Topics and offsets of this broker. */
  readonly tools: KafkaTools;
  /** Where a proxy connects to; equals `brokers` unless `proxyPort` was given. */
  readonly proxyTarget: string;
  /** Of the process that runs now, or ran last. */
  readonly pid: number;
  /** Stops the process by SIGTERM (SIGKILL after 15 s) and keeps its data and ports. */
  stopProcess(): Promise<void>;
  /** Kills the process with SIGKILL and keeps its data and ports. */
  killProcess(): Promise<void>;
  /** Starts the process on its old data and ports, and waits until it answers. */
  startAgain(): Promise<void>;
  /** SIGSTOP: connections stay up and nothing answers. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** The last lines of the broker's own log. */
  log(): Promise<string>;
  /** Ends the process and deletes the data. */
  stop(): Promise<void>;
}

interface Ports {
  readonly client: number;
  readonly proxied: number;
  readonly controller: number;
}

const START_TIMEOUT_MS = 60_000;
const STOP_DEADLINE_MS = 15_000;
const HOST = '127.0.0.1';

const LOG_CONFIG = `status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = \${sys:broker.log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c{1} %m%n
rootLogger.level = info
rootLogger.appenderRef.file.ref = file
`;

/** Whether a real broker can be started here; downloads its jars where they are not in the cache yet. */
export function realKafkaAvailability(): Promise<Availability> {
  return availabilityOf(kafkaJars);
}

/** Formats storage, starts a broker, and waits until it answers (about 3 s). @throws Error with the broker's log. */
export async function startKafka(options: KafkaOptions = {}): Promise<RealKafka> {
  const jars = await kafkaJars();
  const directory = await temporaryDirectory('kafka');
  try {
    const [client, proxied, controller] = (await freePorts(3)) as [number, number, number];
    const ports: Ports = { client, proxied, controller };
    const propertiesFile = path.join(directory.path, 'server.properties');
    await writeFile(propertiesFile, serverProperties(directory.path, ports, options));
    await writeFile(path.join(directory.path, 'log4j2.properties'), LOG_CONFIG);
    const broker = new Broker(
      path.join(jars, '*'),
      directory.path,
      ports,
      options.proxyPort !== undefined,
      () => directory.remove(),
    );
    await broker.format();
    await broker.startAgain();
    return broker;
  } catch (error) {
    await directory.remove();
    throw error;
  }
}

/** One node does all; small internal topics; groups settle and evict in the shortest times that brokers allow. */
function serverProperties(directory: string, ports: Ports, options: KafkaOptions): string {
  const proxied = options.proxyPort === undefined ? undefined : `PROXIED://${HOST}:`;
  const settings: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@${HOST}:${ports.controller}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: [
      `PLAINTEXT://${HOST}:${ports.client}`,
      `CONTROLLER://${HOST}:${ports.controller}`,
      ...(proxied === undefined ? [] : [proxied + String(ports.proxied)]),
    ].join(','),
    'advertised.listeners': [
      `PLAINTEXT://${HOST}:${ports.client}`,
      ...(proxied === undefined ? [] : [proxied + String(options.proxyPort)]),
    ].join(','),
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': path.join(directory, 'data'),
    'num.partitions': options.autoCreatePartitions ?? 4,
    'auto.create.topics.enable': 'true',
    // Tests write records with times of their own; none may be deleted for its age.
    'log.retention.ms': -1,
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 4,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    'share.coordinator.state.topic.num.partitions': 1,
    // A broker that was killed may register again only when its old session is over (9 s by default).
    'broker.session.timeout.ms': 4000,
    'broker.heartbeat.interval.ms': 1000,
    'group.initial.rebalance.delay.ms': 0,
    'group.consumer.heartbeat.interval.ms': 500,
    'group.consumer.min.heartbeat.interval.ms': 500,
    'group.consumer.session.timeout.ms': 6000,
    'group.consumer.min.session.timeout.ms': 6000,
    'group.min.session.timeout.ms': 1000,
    'num.network.threads': 2,
    'num.io.threads': 4,
    'log.cleaner.dedupe.buffer.size': 8 * 1024 * 1024,
    ...options.config,
  };
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('');
}

/** Kafka's own form of a cluster id: 16 random bytes in URL-safe base64. A leading dash would look like an option. */
function newClusterId(): string {
  return `E${randomBytes(16).toString('base64url').slice(1)}`;
}

class Broker implements RealKafka {
  readonly brokers: string;
  readonly tools: KafkaTools;
  readonly proxyTarget: string;
  readonly #classPath: string;
  readonly #directory: string;
  readonly #removeDirectory: () => Promise<void>;
  #child: Child | undefined;

  constructor(
    classPath: string,
    directory: string,
    ports: Ports,
    hasProxy: boolean,
    removeDirectory: () => Promise<void>,
  ) {
    this.brokers = `${HOST}:${ports.client}`;
    this.tools = kafkaTools(this.brokers);
    this.proxyTarget = hasProxy ? `${HOST}:${ports.proxied}` : this.brokers;
    this.#classPath = classPath;
    this.#directory = directory;
    this.#removeDirectory = removeDirectory;
  }

  get pid(): number {
    return this.#process().pid;
  }

  async format(): Promise<void> {
    const tool = [
      'kafka.tools.StorageTool',
      'format',
      '-t',
      newClusterId(),
      '-c',
      this.#file('server.properties'),
    ];
    await runToEnd({
      name: 'Kafka StorageTool',
      command: javaCommand(),
      args: ['-XX:TieredStopAtLevel=1', ...this.#loggingTo('format.log'), '-cp', this.#classPath, ...tool],
      timeoutMs: START_TIMEOUT_MS,
    });
  }

  async startAgain(): Promise<void> {
    if (this.#child?.isRunning()) throw new Error('the broker is running');
    const child = await spawnChild({
      name: 'Kafka broker',
      command: javaCommand(),
      args: [
        // Its optimizing compiler would take more of the two cores than the code it makes saves in a test's time.
        ...['-Xmx512m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', ...this.#loggingTo('broker.log')],
        ...['-cp', this.#classPath, 'kafka.Kafka', this.#file('server.properties')],
      ],
    });
    this.#child = child;
    try {
      await waitFor(() => this.#answersOrEnded(child), {
        timeoutMs: START_TIMEOUT_MS,
        what: 'Kafka to answer',
      });
      if (!child.isRunning()) throw new Error('the broker ended');
    } catch (error) {
      await child.kill();
      const details = `${child.output()}\n${await this.log()}`;
      throw new Error(`Kafka did not start: ${(error as Error).message}\n${details}`, { cause: error });
    }
  }

  async stopProcess(): Promise<void> {
    await this.#process().stop(STOP_DEADLINE_MS);
  }

  async killProcess(): Promise<void> {
    await this.#process().kill();
  }

  pause(): void {
    this.#process().pause();
  }

  resume(): void {
    this.#process().resume();
  }

  async log(): Promise<string> {
    const text = await readFile(this.#file('broker.log'), 'utf8').catch(() => '');
    return text.slice(-20_000);
  }

  async stop(): Promise<void> {
    // Nobody reads this data again, so the clean shutdown and its seconds are saved.
    await this.killProcess();
    await this.#removeDirectory();
  }

  async #answersOrEnded(child: Child): Promise<boolean> {
    return !child.isRunning() || (await answersApiVersions(this.brokers).catch(() => false));
  }

  #process(): Child {
    if (this.#child === undefined) throw new Error('the broker was never started');
    return this.#child;
  }

  #file(name: string): string {
    return path.join(this.#directory, name);
  }

  #loggingTo(file: string): string[] {
    return [
      `-Dlog4j2.configurationFile=${this.#file('log4j2.properties')}`,
      `-Dbroker.log=${this.#file(file)}`,
    ];
  }
}
