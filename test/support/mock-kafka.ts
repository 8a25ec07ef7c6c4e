import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

import { kafkaTools, type KafkaTools } from './kafka-tools.ts';
import { runToEnd } from './process.ts';
import { cacheDirectory, supportFile } from './repository.ts';

/** Kafka's number of an API, and of errors it may answer. */
export const OFFSET_COMMIT = 8;
export const KAFKA_ERRORS = {
  coordinatorLoading: 14,
  notCoordinator: 16,
  unknownMember: 25,
  rebalanceInProgress: 27,
  staleMemberEpoch: 113,
} as const;

/**
 * librdkafka's mock cluster of three brokers, in a process that does as it is told: what a healthy Kafka can't be
 * made to do. Broker 1 leads everything until told otherwise, and is the one the tools ask.
 */
export interface MockKafka {
  /** All three, as bootstrap servers. */
  readonly brokers: string;
  /** They ask broker 1, which knows the ends and commits only of what it leads and coordinates. */
  readonly tools: KafkaTools;
  /** @param broker 1 to 3. */
  setLeader(topic: string, partition: number, broker: number): Promise<void>;
  /** Takes a broker down, with its connections, and what it leads has no leader to talk to until it is up again. */
  setUp(broker: number, isUp: boolean): Promise<void>;
  setCoordinator(group: string, broker: number): Promise<void>;
  /** The next requests of this API key fail with these errors, in this order. */
  failNext(api: number, errors: readonly number[]): Promise<void>;
  stop(): Promise<void>;
}

const COMPILE_TIMEOUT_MS = 60_000;

/** Compiles the mock's host on first use, against the librdkafka that node-rdkafka brought. @throws Error with gcc's output. */
export async function startMockKafka(): Promise<MockKafka> {
  const child = spawn(await compiledHost(), { stdio: ['pipe', 'pipe', 'inherit'] });
  const mock = new MockProcess(child);
  await mock.ready();
  return mock;
}

async function compiledHost(): Promise<string> {
  const source = supportFile('mock-kafka.c');
  const parts = path.join(
    path.dirname(createRequire(import.meta.url).resolve('node-rdkafka/package.json')),
    'build/deps',
  );
  const version = createHash('sha256')
    .update(await readFile(source))
    .update(parts)
    .digest('hex')
    .slice(0, 16);
  const file = path.join(cacheDirectory(), `mock-kafka-${version}`);
  if (await exists(file)) return file;
  await mkdir(cacheDirectory(), { recursive: true });
  const draft = `${file}.${randomUUID()}`;
  await runToEnd({
    name: 'gcc',
    command: 'gcc',
    args: [
      ...['-O1', '-Wall', '-o', draft, source, '-I', path.join(parts, 'include')],
      ...['-L', parts, `-Wl,-rpath,${parts}`, '-l:librdkafka.so.1'],
    ],
    timeoutMs: COMPILE_TIMEOUT_MS,
  });
  await rename(draft, file);
  return file;
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

class MockProcess implements MockKafka {
  brokers = '';
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #answers: AsyncIterator<string>;
  /** How. */
  readonly #ended: Promise<string>;
  /** Commands one after the other, each with its answer. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(child: ChildProcessByStdio<Writable, Readable, null>) {
    this.#child = child;
    child.stdin.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        resolve(signal ?? `code ${String(code)}`);
      });
    });
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  }

  async ready(): Promise<void> {
    const line = await this.#answer();
    if (!line.startsWith('ready ')) throw new Error(`the mock Kafka said: ${line}`);
    this.brokers = line.slice('ready '.length);
  }

  get tools(): KafkaTools {
    return {
      ...kafkaTools(this.brokers.split(',')[0] as string),
      brokers: this.brokers,
      createTopics: async (topics) => {
        for (const { name, partitions } of topics) await this.#tell(`topic ${name} ${partitions}`);
      },
    };
  }

  setLeader(topic: string, partition: number, broker: number): Promise<void> {
    return this.#tell(`leader ${topic} ${partition} ${broker}`);
  }

  setUp(broker: number, isUp: boolean): Promise<void> {
    return this.#tell(`${isUp ? 'up' : 'down'} ${broker}`);
  }

  setCoordinator(group: string, broker: number): Promise<void> {
    return this.#tell(`coordinator ${group} ${broker}`);
  }

  async failNext(api: number, errors: readonly number[]): Promise<void> {
    for (const error of errors) await this.#tell(`errors ${api} 1 ${error}`);
  }

  async stop(): Promise<void> {
    this.#child.stdin.end();
    await this.#ended;
  }

  #tell(command: string): Promise<void> {
    const told = this.#last.then(async () => {
      this.#child.stdin.write(`${command}\n`);
      const line = await this.#answer();
      if (!line.startsWith('ok ')) throw new Error(`the mock Kafka said: ${line}`);
    });
    this.#last = told.catch(() => undefined);
    return told;
  }

  async #answer(): Promise<string> {
    const { value, done } = await this.#answers.next();
    if (done === true) throw new Error(`the mock Kafka ended: ${await this.#ended}`);
    return value;
  }
}
