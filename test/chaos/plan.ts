import { KILL_POINTS, type KillPoint } from '../../src/verify/history.ts';

/** What is done to the system in one step, besides the kill that ends it. */
export const DISTURBANCES = ['none', 'zombie', 'ledger', 'leave', 'black_hole', 'broker'] as const;
export type Disturbance = (typeof DISTURBANCES)[number];

export interface Step {
  readonly disturbance: Disturbance;
  /** Where the kill comes; null: whatever goes on. */
  readonly point: KillPoint | null;
  /** Time before the disturbance, and between it and the kill. */
  readonly calmMs: number;
  readonly beforeKillMs: number;
  /** Which of the members is killed, as a share of them: 0…1. */
  readonly victim: number;
}

const CALM_MS = [1_500, 4_000] as const;
const BEFORE_KILL_MS = [100, 1_200] as const;
/** One kill in three comes at random. */
const POINTS: readonly (KillPoint | null)[] = [null, null, null, null, ...KILL_POINTS];
/** What these wait for does not come while no broker answers. */
const NEEDS_BROKER: ReadonlySet<KillPoint | null> = new Set(['revoking', 'recovering']);

/**
 * A step per kill. Every disturbance comes, as often as the others, at an order that the seed gives, and so does
 * every point; the first steps of a short run have one each.
 */
export function stepsOf(kills: number, seed: number): readonly Step[] {
  const random = seededRandom(seed);
  const disturbances = inRounds(DISTURBANCES, random);
  const points = inRounds(POINTS, random);
  return Array.from({ length: kills }, () => {
    const disturbance = disturbances.next().value;
    const point = points.next().value;
    return {
      disturbance,
      point: disturbance === 'broker' && NEEDS_BROKER.has(point) ? null : point,
      calmMs: between(CALM_MS, random),
      beforeKillMs: between(BEFORE_KILL_MS, random),
      victim: random(),
    };
  });
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

/** All of them at an order of chance, then all of them again. */
function* inRounds<Item>(items: readonly Item[], random: () => number): Generator<Item, never> {
  for (;;) {
    const rest = [...items];
    while (rest.length > 0) yield* rest.splice(Math.floor(random() * rest.length), 1);
  }
}
