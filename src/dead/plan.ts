import type { DeadLetter } from './dead-letter.ts';
import { PlaceSet } from './place-set.ts';
import { scanDeadLetters } from './scan.ts';
import type { DeadState, ScanParts, Span } from './scan.ts';
import { Tally } from './tally.ts';

/** Most dead letters of one run: their places are held in memory, and a preview must fit its deed. */
export const PLAN_MAX_LETTERS = 500_000;

/** What a run will do, seen before it does it. */
export interface DeadLetterPlan {
  /** The chosen dead letters, all of them `open`. */
  readonly places: PlaceSet;
  readonly tally: Tally;
  /** Distinct deliveries among them: a crash may have written a delivery's dead letter twice. */
  readonly deliveries: number;
  /** Chosen and open, and yet left out: how many by why. */
  readonly unfit: ReadonlyMap<string, number>;
  /** There are more than one run takes. */
  readonly isCut: boolean;
}

export interface PlanChoice {
  isChosen(letter: DeadLetter): boolean;
  /** Why this cannot be done to a letter, null when it can. */
  whyUnfit(letter: DeadLetter): string | null;
}

/** Goes over the spans and notes what is to be done; does nothing. */
export async function planDeadLetters(
  spans: readonly Span[],
  parts: ScanParts,
  choice: PlanChoice,
  maxLetters = PLAN_MAX_LETTERS,
): Promise<DeadLetterPlan> {
  const places = new PlaceSet();
  const tally = new Tally();
  const deliveries = new Set<string>();
  const unfit = new Map<string, number>();
  let isCut = false;
  await scanDeadLetters(spans, parts, (letter: DeadLetter, state: DeadState) => {
    if (state !== 'open' || !choice.isChosen(letter)) return true;
    if (places.size >= maxLetters) {
      isCut = true;
      return false;
    }
    const why = choice.whyUnfit(letter);
    if (why !== null) {
      unfit.set(why, (unfit.get(why) ?? 0) + 1);
      return true;
    }
    places.add(letter.place);
    tally.add(letter);
    deliveries.add(letter.deliveryId);
    return true;
  });
  return { places, tally, deliveries: deliveries.size, unfit, isCut };
}
