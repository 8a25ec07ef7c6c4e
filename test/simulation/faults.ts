import { Random } from '../../src/samples/random.ts';

/** How often each step goes wrong, 0…1; drawn anew for every seed, so that some seeds are calm and some are wild. */
const RATES = {
  commitThrows: 0.02,
  commitRefused: 0.1,
  commitAnswerLost: 0.1,
  committedFails: 0.2,
  queryFails: 0.2,
  seekFails: 0.1,
  produceQueueFull: 0.05,
  produceThrows: 0.02,
  produceRefused: 0.1,
  produceAnswerLost: 0.03,
  insertRefused: 0.1,
  insertAlarms: 0.02,
  insertAnswerLost: 0.1,
  insertComesLate: 0.05,
  putRefused: 0.1,
  putAnswerLost: 0.1,
  requestFails: 0.5,
  crash: 0.004,
} as const;

export type Fault = keyof typeof RATES;

/** Which faults happen when, from one seed. After `heal` there are none any more. */
export class Faults {
  readonly random: Random;
  /** How often each has happened. */
  readonly seen: Partial<Record<Fault, number>> = {};
  readonly #rates: Readonly<Record<Fault, number>>;
  #isHealed = false;

  constructor(seed: number) {
    this.random = new Random(seed);
    const names = Object.keys(RATES) as Fault[];
    this.#rates = Object.fromEntries(
      names.map((name) => [name, this.random.chance(0.4) ? 0 : RATES[name] * 2 * this.random.fraction()]),
    ) as Record<Fault, number>;
  }

  get isHealed(): boolean {
    return this.#isHealed;
  }

  heal(): void {
    this.#isHealed = true;
  }

  happens(fault: Fault): boolean {
    if (this.#isHealed || !this.random.chance(this.#rates[fault])) return false;
    this.seen[fault] = (this.seen[fault] ?? 0) + 1;
    return true;
  }

  /** Mostly short, now and then long. */
  latencyMs(typicalMs: number): number {
    const isSlow = !this.#isHealed && this.random.chance(0.03);
    return 1 + Math.floor(typicalMs * (isSlow ? 5 + 15 * this.random.fraction() : this.random.fraction()));
  }
}
