import { recoverDeliveries } from '../../src/app/recovery.ts';
import { recoverSeenEvents } from '../../src/app/seen-events.ts';
import { SeenEvents } from '../../src/duplicates/seen-events.ts';
import { Assignments } from '../../src/ingest/assignments.ts';
import { Committer } from '../../src/ingest/committer.ts';
import { Intake } from '../../src/ingest/intake.ts';
import { Lease } from '../../src/ingest/lease.ts';
import { Ownership } from '../../src/ingest/ownership.ts';
import { LedgerBatcher } from '../../src/ledger/batcher.ts';
import { HandoverProducer } from '../../src/retry/handover-producer.ts';
import { Settler } from '../../src/settle/settler.ts';
import { FakeBroker } from './fake-broker.ts';
import { FakeLedger } from './fake-ledger.ts';
import { Faults } from './faults.ts';
import { Judge } from './judge.ts';
import { DELAYS, PARTITIONS, SOURCE, TENANTS, valueOf, type SimulatedEvent } from './scenario.ts';
import { SimulatedProcess, type Parts, type World } from './simulated-process.ts';
import { restoreTimers, VirtualTime } from './virtual-time.ts';

export const REAL_PARTS: Parts = {
  Assignments,
  Committer,
  HandoverProducer,
  Intake,
  Lease,
  LedgerBatcher,
  Ownership,
  SeenEvents,
  Settler,
  recoverDeliveries,
  recoverSeenEvents,
};

/** Faults happen until then; what they left behind must be over well before the horizon. */
const HEALED_AT_MS = 16_000;
const HORIZON_MS = HEALED_AT_MS + 240_000;
const CHECK_MS = 250;
const TYPES: readonly SimulatedEvent['type'][] = [
  'both.made',
  'both.made',
  'plain.made',
  'plain.made',
  'unwanted.made',
  'broken',
];

export interface SimulationResult {
  readonly violations: readonly string[];
  /** What has happened, by name: faults, duplicates by their window, and the like. */
  readonly counts: Readonly<Record<string, number>>;
  readonly endedAtMs: number;
}

/** Runs one seed: two processes over a broker and a ledger whose faults, and everything else, follow from it. */
export async function simulate(seed: number, parts: Parts = REAL_PARTS): Promise<SimulationResult> {
  const simulation = new Simulation(seed, parts);
  simulation.time.installTimers();
  try {
    await simulation.run();
  } finally {
    restoreTimers();
  }
  return simulation.result();
}

class Simulation implements World {
  readonly time: VirtualTime;
  readonly faults: Faults;
  readonly judge: Judge;
  readonly broker: FakeBroker;
  readonly ledger: FakeLedger;
  readonly parts: Parts;
  /** The two processes, each in its present life. */
  readonly #processes: (SimulatedProcess | null)[] = [null, null];
  readonly #counts = { crashes: 0, stops: 0, leaves: 0, outages: 0 };
  #lives = 0;
  #isDone = false;

  constructor(seed: number, parts: Parts) {
    this.parts = parts;
    this.faults = new Faults(seed);
    this.time = new VirtualTime((error) => {
      this.judge.accuse(`thrown: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
    });
    this.judge = new Judge(this.time);
    this.broker = new FakeBroker(this.time, this.faults, this.judge, [SOURCE, ...DELAYS.keys()], PARTITIONS);
    this.ledger = new FakeLedger(this.time, this.faults, this.judge);
    this.judge.broker = this.broker;
  }

  async run(): Promise<void> {
    this.ledger.drain();
    this.#planEvents();
    this.#planFaults();
    this.#start(0);
    this.time.at(this.faults.random.between(0, 5_000), null, () => {
      this.#start(1);
    });
    this.time.at(HEALED_AT_MS, null, () => {
      this.#heal();
    });
    await this.time.run(HORIZON_MS, () => this.#isDone || this.judge.violations.length > 0);
    if (this.judge.violations.length === 0) this.judge.judgeTheEnd();
  }

  result(): SimulationResult {
    const { judge, faults, broker } = this;
    const { rebalances, evictions } = broker;
    return {
      violations: judge.violations,
      counts: { ...faults.seen, ...judge.windows, ...judge.seen, ...this.#counts, rebalances, evictions },
      endedAtMs: this.time.nowMs,
    };
  }

  /** Dies in the midst of whatever it did; another life begins a while later. */
  crash(process: SimulatedProcess): void {
    if (process.state === 'dead') return;
    process.state = 'dead';
    this.#counts.crashes++;
    this.broker.onSilent(process.member);
    const place = this.#processes.indexOf(process);
    this.#processes[place] = null;
    this.#startLater(place);
  }

  #startLater(place: number): void {
    this.time.at(this.faults.random.between(50, 6_000), null, () => {
      this.#start(place);
    });
  }

  #start(place: number): void {
    this.#processes[place] = new SimulatedProcess(this, `life-${++this.#lives}`);
  }

  #planEvents(): void {
    const { random } = this.faults;
    const tenants = Object.keys(TENANTS);
    const count = random.between(4, 24);
    for (let i = 0; i < count; i++) {
      const tenant = random.pick(tenants);
      const type = tenant === 'gamma' && random.chance(0.7) ? 'ordered.made' : random.pick(TYPES);
      const event: SimulatedEvent = { id: `e${i}`, tenant, type };
      this.time.at(random.between(0, 9_000), null, () => {
        this.#produce(event);
        // A producer that hears nothing of a record writes it again.
        if (random.chance(0.15)) this.time.at(random.between(1, 4_000), null, () => this.#produce(event));
      });
    }
  }

  #produce(event: SimulatedEvent): void {
    const content = { key: Buffer.from(event.tenant), value: valueOf(event), headers: [] };
    this.broker.append(SOURCE, TENANTS[event.tenant]!, content);
  }

  #planFaults(): void {
    const { random } = this.faults;
    const sometimes = (most: number, happen: (process: SimulatedProcess) => void): void => {
      for (let left = random.between(0, most); left > 0; left--) {
        this.time.at(random.between(100, HEALED_AT_MS - 1), null, () => {
          const process = this.#processes[random.between(0, 1)];
          if (process?.state === 'running') happen(process);
        });
      }
    };
    sometimes(2, (process) => {
      this.crash(process);
    });
    sometimes(2, (process) => {
      this.#stop(process);
    });
    sometimes(1, (process) => {
      this.#leave(process);
    });
    sometimes(2, () => {
      this.#counts.outages++;
      this.ledger.isDown = true;
      this.time.at(random.between(200, 6_000), null, () => {
        this.ledger.isDown = false;
      });
    });
  }

  /** SIGSTOP, and SIGCONT some seconds later; now and then a SIGTERM waits by then. */
  #stop(process: SimulatedProcess): void {
    process.state = 'stopped';
    this.#counts.stops++;
    this.broker.onSilent(process.member);
    this.time.at(this.faults.random.between(500, 12_000), null, () => {
      this.time.resume(process);
      if (this.faults.random.chance(0.5)) this.#leave(process);
    });
  }

  #leave(process: SimulatedProcess): void {
    this.#counts.leaves++;
    this.time.asOwner(process, () => {
      void process.leave().then(() => {
        const place = this.#processes.indexOf(process);
        if (place >= 0) this.#startLater(place);
      });
    });
  }

  #heal(): void {
    this.faults.heal();
    this.ledger.isDown = false;
    this.#checkWhetherDone();
  }

  #checkWhetherDone(): void {
    const { judge, ledger } = this;
    this.#isDone =
      judge.unfinished().length === 0 && judge.uncommitted().length === 0 && ledger.waiting === 0;
    if (this.#isDone) return;
    this.time.at(CHECK_MS, null, () => {
      this.#checkWhetherDone();
    });
  }
}
