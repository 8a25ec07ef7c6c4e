import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { HISTORY_FILES } from '../../src/verify/history.ts';
import type { Fault, History, OwnershipEntry, ReceivedRequest, Snapshot } from '../../src/verify/history.ts';
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
import { CHAOS_DESTINATIONS, RETRY } from './destinations.ts';
import { ledgerRows } from './ledger-rows.ts';
import { EVENTS_PER_SECOND, Load, TENANTS } from './load.ts';
import { Members, WHO, type Member } from './members.ts';
import { payloadOf } from './payload.ts';
import { seededRandom, stepsOf, type Step } from './plan.ts';

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
/** Longer than the 6 s after which the broker evicts a silent member. */
const ZOMBIE_MS = 8_000;
const LEDGER_DOWN_MS = 1_500;
const BLACK_HOLE_MS = 3_000;
/** A ledger that was down is asked again with back-off; a broker that was away, too. */
const AFTERMATH_MS = 4_000;
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

const BOUNDS = {
  unflushedMs: 3_000,
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
  readonly #faults: Fault[] = [];
  readonly #snapshots: Snapshot[] = [];
  /** What the broker says to be committed, asked again and again. */
  readonly #committed: OwnershipEntry[] = [];
  readonly #background = new Set<Promise<void>>();
  #load: Load | null = null;
  #probe: LatenessProbe | null = null;
  #isWatching = true;

  private constructor(options: ChaosOptions, kafka: RealKafka, proxy: TcpProxy, scenario: Scenario) {
    this.#options = options;
    this.#kafka = kafka;
    this.#proxy = proxy;
    this.#scenario = scenario;
    this.#members = new Members(options.folder, (name) => this.#configOf(name));
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
    ];
    await this.#progress();
    for (const [index, step] of stepsOf(kills, seed).entries()) {
      tell(`kill ${index + 1} of ${kills}${step.disturbance === 'none' ? '' : `, with ${step.disturbance}`}`);
      await this.#step(step);
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

  async close(): Promise<void> {
    this.#isWatching = false;
    this.#proxy.setFaults({});
    for (const member of this.#members.running) await this.#members.kill(member);
    await Promise.allSettled(this.#background);
    await this.#probe?.stop();
    await this.#load?.close();
    await this.#scenario.close();
    await this.#kafka.stop();
    await this.#proxy.stop();
  }

  async #step({ disturbance, calmMs, beforeKillMs, victim }: Step): Promise<void> {
    await sleep(calmMs);
    await this.#progress();
    const able = this.#members.running.filter(({ isPaused }) => !isPaused);
    const member = able[Math.min(able.length - 1, Math.floor(victim * able.length))];
    if (member === undefined) throw new Error('nobody is left to kill');
    const other = able.find((one) => one !== member);
    const disturbing = this.#disturb(disturbance, other);
    await sleep(beforeKillMs);
    const fromMs = Date.now();
    await this.#members.kill(member);
    this.#faults.push({ what: 'kill', process: member.name, fromMs, toMs: Date.now() });
    this.#inBackground(this.#members.start().then(() => undefined));
    // A zombie is one for as long as it lasts; all else ends before the next step.
    if (disturbance === 'zombie') this.#inBackground(disturbing);
    else await disturbing;
  }

  async #disturb(disturbance: Step['disturbance'], member: Member | undefined): Promise<void> {
    const fromMs = Date.now();
    switch (disturbance) {
      case 'none':
        return;
      case 'zombie':
        if (member !== undefined) await this.#makeZombie(member);
        return;
      case 'ledger':
        await this.#scenario.owner.kill();
        await sleep(LEDGER_DOWN_MS);
        await this.#scenario.owner.startAgain();
        this.#faults.push({ what: 'ledger_down', process: '', fromMs, toMs: Date.now() + AFTERMATH_MS });
        return;
      case 'leave':
        if (member === undefined) return;
        await Promise.all([this.#members.stop(member), this.#members.start()]);
        this.#faults.push({ what: 'leave', process: member.name, fromMs, toMs: Date.now() });
        return;
      case 'black_hole':
        this.#proxy.setFaults({ isBlackHole: true });
        await sleep(BLACK_HOLE_MS);
        this.#proxy.setFaults({});
        this.#faults.push({ what: 'black_hole', process: '', fromMs, toMs: Date.now() + AFTERMATH_MS });
        return;
    }
  }

  async #makeZombie(member: Member): Promise<void> {
    const fromMs = Date.now();
    member.isPaused = true;
    member.dispatcher.child.pause();
    await sleep(ZOMBIE_MS);
    member.dispatcher.child.resume();
    member.isPaused = false;
    member.continuedMs = Date.now();
    this.#faults.push({ what: 'stop', process: member.name, fromMs, toMs: Date.now() });
  }

  #inBackground(work: Promise<void>): void {
    const kept = work.finally(() => this.#background.delete(kept));
    this.#background.add(kept);
    // Looked at by #heal; until then it is no rejection that nobody handles.
    kept.catch(() => undefined);
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
    await Promise.all(this.#background);
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
      const offsets = await this.#kafka.tools.committedOffsets(group, name);
      const atMs = Date.now();
      for (const [partition, offset] of offsets.entries())
        this.#committed.push({ atMs, process: '', what: 'committed', topic: name, partition, offset });
    }
  }

  /** What is committed, and then what the ledger has; left out while rows are in the overflow topic, durable as well. */
  async #snapshot(): Promise<void> {
    const { topic, group, ledger } = this.#scenario;
    try {
      const offsets = await this.#kafka.tools.committedOffsets(group, topic);
      const committed = offsets.map((offset, partition) => ({ topic, partition, offset }));
      if (!(await this.#isDrained())) return;
      const rows = await ledgerRows(ledger, topic);
      this.#snapshots.push({ atMs: Date.now(), committed, rows });
    } catch {
      // The ledger is down by intent.
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
    return {
      run: {
        seed: this.#options.seed,
        destinations: Object.entries(CHAOS_DESTINATIONS).map(([id, { facts }]) => ({ id, ...facts })),
        healedAtMs,
        bounds: {
          ...BOUNDS,
          clockMs: ON_THE_WAY_MS + Math.ceil(worstLatenessMs(await this.#scenario.receiver.requests(PROBED))),
          // Each event makes some four requests; a third of them come again for being refused.
          duplicatesPerFault: Math.ceil((EVENTS_PER_SECOND * 6 * BOUNDS.unflushedMs) / 1_000) + 32 * TENANTS,
        },
        required: {
          crashesInFlight: isShort ? 0 : Math.ceil(this.#options.kills / 5),
          rebalances: MEMBERS,
          duplicates: isShort ? 0 : 1,
          deadLetters: 1,
          openBreakers: 1,
        },
      },
      produced: this.#load?.produced ?? [],
      requests,
      ownership: [...ownership, ...this.#committed],
      ledger: await ledgerRows(this.#scenario.ledger, this.#scenario.topic),
      snapshots: this.#snapshots,
      faults: this.#faults,
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
          ...{ atMs: wallUs / 1_000, destination, deliveryId: webhookId, status, retryAfterMs: null },
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
