import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { HISTORY_FILES } from '../../src/verify/history.ts';
import type {
  History,
  LedgerRow,
  OwnershipEntry,
  ReceivedRequest,
  Snapshot,
} from '../../src/verify/history.ts';
import { verify } from '../../src/verify/verify.ts';
import type { Verdict } from '../../src/verify/verify.ts';
import { isProbe, LatenessProbe, worstLatenessMs } from '../e2e/lateness-probe.ts';
import { Scenario } from '../e2e/scenario.ts';
import { startKafka, type RealKafka } from '../support/kafka.ts';
import { runToEnd } from '../support/process.ts';
import { repositoryRoot } from '../support/repository.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { temporaryDirectory } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { CHAOS_DESTINATIONS, RETRY, retryAfterMsOf } from './destinations.ts';
import { Faults } from './faults.ts';
import { ledgerRows } from './ledger-rows.ts';
import { EVENTS_PER_SECOND, Load, TENANTS } from './load.ts';
import { Members, WHO } from './members.ts';
import { payloadOf } from './payload.ts';
import { seededRandom, stepsOf } from './plan.ts';

export interface ChaosOptions {
  readonly kills: number;
  readonly seed: number;
  /** Where the histories go. */
  readonly folder: string;
  readonly tell: (line: string) => void;
}

export interface ChaosResult {
  readonly verdict: Verdict;
  readonly history: History;
  readonly seconds: number;
}

const MEMBERS = 3;
const PARTITIONS = 6;
const SAMPLE_MS = 1_000;
const SNAPSHOT_MS = 10_000;
const COMMITTED_MS = 300;
const PROGRESS_REQUESTS = 150;
/** Whose receiver is probed for how late it writes down what comes; all receivers are one process. */
const PROBED = 'limited';
const PROBE_MS = 10;
/** Requests are on their way for so long, and ledger rows have whole milliseconds. */
const ON_THE_WAY_MS = 100;
const TIMEOUT_MS = 60_000;
const SETTLE_TIMEOUT_MS = 120_000;

/** Flushing and inserting on an idle machine; what the ledger is late by is added to it. */
const UNFLUSHED_MS = 3_000;
/** What is produced while the broker keeps the partitions of a dead member, and its heir asks, is sent in one go then. */
const BACKLOG_MS = 10_000;
const BOUNDS = {
  freshMs: 10_000,
  rssBytes: 900 * 1024 * 1024,
  // Six origins, two lanes, and at most so many connections of an origin in each.
  descriptors: 2_000,
  openRecords: 16_384,
};

/** A system of real parts, and what is done to it. */
class Chaos {
  readonly #options: ChaosOptions;
  readonly #kafka: RealKafka;
  readonly #proxy: TcpProxy;
  readonly #scenario: Scenario;
  readonly #members: Members;
  readonly #faults: Faults;
  readonly #snapshots: Snapshot[] = [];
  /** What the broker says to be committed, asked again and again. */
  readonly #committed: OwnershipEntry[] = [];
  #load: Load | null = null;
  #probe: LatenessProbe | null = null;
  #isWatching = true;
  /** The longest that the ledger took to answer a question while nothing was done to it. */
  #ledgerLateMs = 0;

  private constructor(options: ChaosOptions, kafka: RealKafka, proxy: TcpProxy, scenario: Scenario) {
    this.#options = options;
    this.#kafka = kafka;
    this.#proxy = proxy;
    this.#scenario = scenario;
    this.#members = new Members(options.folder, (name) => this.#configOf(name));
    this.#faults = new Faults({ kafka, proxy, scenario, members: this.#members });
  }

  static async open(options: ChaosOptions): Promise<Chaos> {
    await mkdir(options.folder, { recursive: true });
    const proxy = await startTcpProxy();
    const kafka = await startKafka({ proxyPort: proxy.port });
    proxy.setTarget(kafka.proxyTarget);
    const scenario = await Scenario.open({
      kafka: kafka.tools,
      partitions: PARTITIONS,
      destinations: Object.fromEntries(
        Object.entries(CHAOS_DESTINATIONS).map(([id, { options: of }]) => [
          id,
          { recording: { body: 'text', headers: [WHO] }, ...of },
        ]),
      ),
      config: {
        kafka: { brokers: `127.0.0.1:${proxy.port}` },
        ledger: { batchMaxAge: '200ms' },
        defaults: { retry: RETRY },
        log: { level: 'debug' },
      },
    });
    return new Chaos(options, kafka, proxy, scenario);
  }

  async run(): Promise<History> {
    const { kills, seed, tell } = this.#options;
    await Promise.all(Array.from({ length: MEMBERS }, () => this.#members.start()));
    this.#probe = await LatenessProbe.start(this.#scenario.receiver.url(PROBED), PROBE_MS);
    const load = await Load.start(this.#kafka.brokers, this.#scenario.topic, seed);
    this.#load = load;
    const watching = [
      this.#watch(SAMPLE_MS, () => this.#members.sample()),
      this.#watch(SNAPSHOT_MS, () => this.#snapshot()),
      this.#watch(COMMITTED_MS, () => this.#askCommitted()),
      this.#watch(SAMPLE_MS, () => this.#probeLedger()),
    ];
    await this.#progress();
    for (const [index, step] of stepsOf(kills, seed).entries()) {
      tell(`kill ${index + 1} of ${kills}: ${step.point ?? 'at random'}, ${step.disturbance}`);
      await sleep(step.calmMs);
      await this.#progress();
      await this.#faults.make(step);
    }
    tell('healing');
    const healedAtMs = await this.#heal();
    await load.stop();
    await this.#settled();
    tell('settled; a fresh event per tenant, and the dead letters again');
    await this.#snapshot();
    await load.sendFresh();
    await this.#settled();
    await this.#redrive();
    await this.#settled();
    this.#isWatching = false;
    await Promise.all([...watching, this.#probe.stop()]);
    const history = await this.#history(healedAtMs);
    await this.#members.stopAll();
    return history;
  }

  /** For one who asks why a run did not come to its end: what the broker logged, and what each member shows of itself. */
  async explain(): Promise<void> {
    const { folder } = this.#options;
    await writeFile(path.join(folder, 'broker.log'), await this.#kafka.log());
    for (const { name, dispatcher } of this.#members.running) {
      const shown = ['/health/ready', '/metrics'].map(async (page) =>
        (await fetch(`http://127.0.0.1:${dispatcher.httpPort}${page}`)).text(),
      );
      const texts = await Promise.all(shown).catch(() => ['no answer\n']);
      await writeFile(path.join(folder, `${name}.state.txt`), texts.join('\n'));
    }
  }

  async close(): Promise<void> {
    this.#isWatching = false;
    for (const member of this.#members.running) await this.#members.kill(member);
    await this.#faults.close();
    await this.#probe?.stop();
    await this.#load?.close();
    await this.#scenario.close();
    await this.#kafka.stop();
    await this.#proxy.stop();
  }

  /** Waits until the receivers hear something again, so that no kill comes while nothing goes on. */
  async #progress(): Promise<void> {
    const before = await this.#requestCount();
    await waitFor(async () => (await this.#requestCount()) >= before + PROGRESS_REQUESTS, {
      timeoutMs: TIMEOUT_MS,
      intervalMs: 50,
      what: () => `${PROGRESS_REQUESTS} more requests\n${this.#outputs()}`,
    });
  }

  async #requestCount(): Promise<number> {
    const { [PROBED]: _, ...counts } = await this.#scenario.receiver.counts();
    return Object.values(counts).reduce((sum, count) => sum + count, 0);
  }

  /** @returns when nothing was broken any more. */
  async #heal(): Promise<number> {
    await this.#faults.over();
    for (const id of Object.keys(CHAOS_DESTINATIONS)) await this.#scenario.receiver.setBehaviour(id, {});
    return Date.now();
  }

  async #settled(): Promise<void> {
    await this.#scenario.settled(SETTLE_TIMEOUT_MS);
    // Rows that the overflow topic kept come to the ledger after the commit.
    let rows = -1;
    await waitFor(
      async () => {
        const before = rows;
        rows =
          (await this.#scenario.ledger.query<{ n: number }>('SELECT count() AS n FROM attempts'))[0]?.n ?? 0;
        return rows === before;
      },
      { timeoutMs: TIMEOUT_MS, intervalMs: 1_000, what: 'the ledger to come to rest' },
    );
  }

  /** Every dead letter of `picky`, whose receiver has healed. */
  async #redrive(): Promise<void> {
    const folder = await temporaryDirectory('chaos');
    const config = path.join(folder.path, 'eventdispatch.yaml');
    await writeFile(config, JSON.stringify(this.#scenario.configuration()));
    const cli = path.join(repositoryRoot, 'bin', 'eventdispatch.cjs');
    const redrive = ['dead', 'redrive', '--destination', 'picky', '--rate', '500/s', '--yes'];
    await runToEnd({
      name: 'dead redrive',
      command: process.execPath,
      args: [cli, ...redrive, '--config', config],
      timeoutMs: TIMEOUT_MS,
    });
    await folder.remove();
  }

  async #askCommitted(): Promise<void> {
    const { topic, group, delayTopics } = this.#scenario;
    for (const name of [topic, ...delayTopics]) {
      // The broker is away by intent now and then.
      const offsets = await this.#kafka.tools.committedOffsets(group, name).catch(() => []);
      const atMs = Date.now();
      for (const [partition, offset] of offsets.entries())
        this.#committed.push({ atMs, process: '', what: 'committed', topic: name, partition, offset });
    }
  }

  /** What is committed, and then what the ledger has; left out while rows are in the overflow topic, durable as well. */
  async #snapshot(): Promise<void> {
    const { topic, group } = this.#scenario;
    try {
      const offsets = await this.#kafka.tools.committedOffsets(group, topic);
      const committed = offsets.map((offset, partition) => ({ topic, partition, offset }));
      if (!(await this.#isDrained())) return;
      const rows = await this.#rows();
      this.#snapshots.push({ atMs: Date.now(), committed, rows });
    } catch {
      // The ledger or the broker is down by intent.
    }
  }

  #rows(): Promise<LedgerRow[]> {
    const { ledger, topic } = this.#scenario;
    return ledgerRows(ledger, topic, (instance) => this.#members.nameOf(instance));
  }

  /** Statements are run one after the other, so rows wait as long as this. */
  async #probeLedger(): Promise<void> {
    const startedMs = performance.now();
    try {
      await this.#scenario.ledger.query('SELECT 1');
      this.#ledgerLateMs = Math.max(this.#ledgerLateMs, performance.now() - startedMs);
    } catch {
      // It is down by intent, and the fault log has it.
    }
  }

  async #isDrained(): Promise<boolean> {
    const overflow = `${this.#scenario.group}.ledger-overflow`;
    const ends = await this.#kafka.tools.endOffsets(overflow);
    const drained = await this.#kafka.tools.committedOffsets(`${this.#scenario.group}.overflow`, overflow);
    return ends.every((end, partition) => end === 0 || drained[partition] === end);
  }

  async #watch(everyMs: number, look: () => Promise<void>): Promise<void> {
    for (let nextMs = performance.now() + everyMs; this.#isWatching;) {
      await sleep(100);
      if (performance.now() < nextMs) continue;
      nextMs = performance.now() + everyMs;
      await look();
    }
  }

  async #history(healedAtMs: number): Promise<History> {
    const requests: ReceivedRequest[] = [];
    for (const id of Object.keys(CHAOS_DESTINATIONS)) requests.push(...(await this.#requestsOf(id)));
    const { ownership, breakers, usage } = this.#members;
    const isShort = this.#options.kills < 5;
    const unflushedMs = UNFLUSHED_MS + Math.ceil(this.#ledgerLateMs);
    return {
      run: {
        seed: this.#options.seed,
        destinations: Object.entries(CHAOS_DESTINATIONS).map(([id, { facts }]) => ({ id, ...facts })),
        healedAtMs,
        bounds: {
          ...BOUNDS,
          unflushedMs,
          clockMs: ON_THE_WAY_MS + Math.ceil(worstLatenessMs(await this.#scenario.receiver.requests(PROBED))),
          // Each event makes some four requests; a third of them come again for being refused.
          duplicatesPerFault:
            Math.ceil((EVENTS_PER_SECOND * 6 * (unflushedMs + BACKLOG_MS)) / 1_000) + 32 * TENANTS,
        },
        required: {
          crashesInFlight: isShort ? 0 : Math.ceil(this.#options.kills / 5),
          rebalances: MEMBERS,
          duplicates: isShort ? 0 : 1,
          deadLetters: 1,
          openBreakers: 1,
          killPoints: Math.min(6, Math.floor(this.#options.kills / 3)),
        },
      },
      produced: this.#load?.produced ?? [],
      requests,
      ownership: [...ownership, ...this.#committed],
      ledger: await this.#rows(),
      snapshots: this.#snapshots,
      faults: [...this.#faults.made, ...this.#members.unmade],
      breakers,
      usage,
    };
  }

  async #requestsOf(destination: string): Promise<ReceivedRequest[]> {
    const requests = await this.#scenario.receiver.requests(destination);
    return requests
      .filter((request) => !isProbe(request))
      .map(({ wallUs, webhookId, status, body, headers }) => {
        const event = JSON.parse(body ?? '{}') as { id?: string; tenantid?: string; data?: unknown };
        return {
          ...{ atMs: wallUs / 1_000, destination, deliveryId: webhookId, status },
          retryAfterMs: retryAfterMsOf(destination, status),
          process: headers?.[WHO] ?? '',
          tenant: event.tenantid ?? '',
          eventId: event.id ?? '',
          payload: payloadOf(event.data),
          isSigned: null,
        };
      });
  }

  #configOf(name: string): Record<string, unknown> {
    const config = this.#scenario.configuration();
    const destinations = config['destinations'] as readonly Readonly<Record<string, unknown>>[];
    return { ...config, destinations: destinations.map((of) => ({ ...of, headers: { [WHO]: name } })) };
  }

  #outputs(): string {
    return this.#members.running
      .map(
        ({ name, dispatcher }) => `${name}\n${dispatcher.child.output().split('\n').slice(-15).join('\n')}`,
      )
      .join('\n---\n');
  }
}

/** Runs the system under faults, heals it, and judges what its recorders wrote down. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const startedMs = performance.now();
  const chaos = await Chaos.open(options);
  try {
    const history = await chaos.run();
    await writeHistory(history, options.folder);
    options.tell('judging');
    const verdict = verify(history);
    return { verdict, history, seconds: (performance.now() - startedMs) / 1_000 };
  } catch (error) {
    await chaos.explain();
    throw error;
  } finally {
    await chaos.close();
  }
}

/** Any seed; tells one run from another where none is given. */
export function anySeed(): number {
  return Math.floor(seededRandom(Date.now())() * 1_000_000);
}

/** As `eventdispatch verify --histories` reads it. */
async function writeHistory(history: History, folder: string): Promise<void> {
  await writeFile(path.join(folder, 'run.json'), JSON.stringify(history.run, null, 2));
  for (const [name, file] of Object.entries(HISTORY_FILES)) {
    const items: readonly unknown[] = history[name as keyof typeof HISTORY_FILES];
    await writeFile(path.join(folder, file), items.map((item) => `${JSON.stringify(item)}\n`).join(''));
  }
}
