/** What is done to the system in one step, besides the kill that ends it. */
export const DISTURBANCES = ['none', 'zombie', 'ledger', 'leave', 'black_hole'] as const;
export type Disturbance = (typeof DISTURBANCES)[number];

export interface Step {
  readonly disturbance: Disturbance;
  /** Time before the disturbance, and between it and the kill. */
  readonly calmMs: number;
  readonly beforeKillMs: number;
  /** Which of the members is killed, as a share of them: 0…1. */
  readonly victim: number;
}

const CALM_MS = [1_500, 4_000] as const;
const BEFORE_KILL_MS = [100, 1_200] as const;

/**
 * A step per kill. Every disturbance comes, as often as the others, at an order that the seed gives; the
 * first steps of a short run have one each.
 */
export function stepsOf(kills: number, seed: number): readonly Step[] {
  const random = seededRandom(seed);
  const steps: Step[] = [];
  let round: Disturbance[] = [];
  for (let kill = 0; kill < kills; kill++) {
    if (round.length === 0) round = shuffled(DISTURBANCES, random);
    steps.push({
      disturbance: round.pop() ?? 'none',
      calmMs: between(CALM_MS, random),
      beforeKillMs: between(BEFORE_KILL_MS, random),
      victim: random(),
    });
  }
  return steps;
}

/** The same numbers in [0, 1) for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function between([least, most]: readonly [number, number], random: () => number): number {
  return Math.round(least + random() * (most - least));
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const rest = [...items];
  const mixed: Item[] = [];
  while (rest.length > 0) mixed.push(...rest.splice(Math.floor(random() * rest.length), 1));
  return mixed;
}
