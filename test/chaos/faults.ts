import { setTimeout as sleep } from 'node:timers/promises';

import type { Fault, KillPoint } from '../../src/verify/history.ts';
import type { Scenario } from '../e2e/scenario.ts';
import type { RealKafka } from '../support/kafka.ts';
import type { TcpProxy } from '../support/tcp-proxy.ts';
import { killAt } from './kill-points.ts';
import type { Member, Members } from './members.ts';
import type { Disturbance, Step } from './plan.ts';

/** Longer than the 6 s after which the broker evicts a silent member. */
const ZOMBIE_MS = 8_000;
const LEDGER_DOWN_MS = 1_500;
const BLACK_HOLE_MS = 3_000;
const BROKER_DOWN_MS = 1_000;
/** A ledger that was down is asked again with back-off; a broker that was away, too. */
const AFTERMATH_MS = 4_000;

interface FaultyParts {
  readonly kafka: RealKafka;
  readonly proxy: TcpProxy;
  readonly scenario: Scenario;
  readonly members: Members;
}

/** Does what a plan's steps say, and writes down what it did. */
export class Faults {
  readonly made: Fault[] = [];
  readonly #parts: FaultyParts;
  readonly #background = new Set<Promise<void>>();
  readonly #starting = new Set<Promise<void>>();

  constructor(parts: FaultyParts) {
    this.#parts = parts;
  }

  /** One step; a zombie, and who is started in place of the killed one, may outlast it. */
  async make({ disturbance, point, beforeKillMs, victim }: Step): Promise<void> {
    // What starts while no broker answers gives up, and nobody is here to start it again.
    if (disturbance === 'broker') await Promise.all(this.#starting);
    const { members } = this.#parts;
    const able = members.running.filter(({ isPaused }) => !isPaused);
    const member = able[Math.min(able.length - 1, Math.floor(victim * able.length))];
    if (member === undefined) throw new Error('nobody is left to kill');
    const other = able.find((one) => one !== member);
    const disturbing = this.#disturb(disturbance, other);
    await sleep(beforeKillMs);
    await this.#kill(member, point, disturbance !== 'broker');
    // A zombie is one for as long as it lasts; all else ends before the next step.
    if (disturbance === 'zombie') this.#inBackground(disturbing);
    else await disturbing;
    if (disturbance === 'broker') this.#start();
  }

  /** Waits for what outlasted its step. */
  async over(): Promise<void> {
    await Promise.all([...this.#background, ...this.#starting]);
  }

  /** The same, whatever became of it. */
  async close(): Promise<void> {
    this.#parts.proxy.setFaults({});
    await Promise.allSettled([...this.#background, ...this.#starting]);
  }

  async #kill(victim: Member, point: KillPoint | null, isReplacedNow: boolean): Promise<void> {
    const { members, scenario } = this.#parts;
    const start = (): void => {
      this.#start();
    };
    const { isReplaced, ...kill } = await killAt(point, victim, {
      members,
      receiver: scenario.receiver,
      start,
    });
    this.made.push({ what: 'kill', ...kill });
    if (isReplacedNow && !isReplaced) start();
  }

  async #disturb(disturbance: Disturbance, member: Member | undefined): Promise<void> {
    const { kafka, proxy, scenario, members } = this.#parts;
    const fromMs = Date.now();
    switch (disturbance) {
      case 'none':
        return;
      case 'zombie':
        if (member !== undefined) await this.#makeZombie(member);
        return;
      case 'ledger':
        await scenario.owner.kill();
        await sleep(LEDGER_DOWN_MS);
        await scenario.owner.startAgain();
        this.#note('ledger_down', '', fromMs, AFTERMATH_MS);
        return;
      case 'leave':
        if (member === undefined) return;
        await Promise.all([members.stop(member), members.start()]);
        this.#note('leave', member.name, fromMs);
        return;
      case 'black_hole':
        proxy.setFaults({ isBlackHole: true });
        await sleep(BLACK_HOLE_MS);
        proxy.setFaults({});
        this.#note('black_hole', '', fromMs, AFTERMATH_MS);
        return;
      case 'broker':
        await kafka.killProcess();
        await sleep(BROKER_DOWN_MS);
        await kafka.startAgain();
        this.#note('broker_down', '', fromMs, AFTERMATH_MS);
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
    this.#note('stop', member.name, fromMs);
  }

  #note(what: Fault['what'], process: string, fromMs: number, aftermathMs = 0): void {
    this.made.push({ what, process, fromMs, toMs: Date.now() + aftermathMs });
  }

  #start(): void {
    this.#keep(this.#starting, this.#parts.members.start());
  }

  #inBackground(work: Promise<void>): void {
    this.#keep(this.#background, work);
  }

  #keep(among: Set<Promise<void>>, work: Promise<unknown>): void {
    const kept: Promise<void> = work.then(() => undefined).finally(() => among.delete(kept));
    among.add(kept);
    // Looked at by over(); until then it is no rejection that nobody handles.
    kept.catch(() => undefined);
  }
}
