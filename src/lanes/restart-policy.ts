/** Deaths of its thread after which the record it worked on is not sent again. */
const POISON_DEATHS = 2;
/** So many deaths that no record explains, within this time, are more than a restart can mend. */
const MAX_UNEXPLAINED = 5;
const UNEXPLAINED_WINDOW_MS = 60_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
/** Suspects that are remembered, the newest ones. */
const MAX_SUSPECTS = 64;

/** The record a thread worked on when it died. */
export interface Suspect {
  readonly assignment: number;
  readonly sequence: number;
}

export type RestartVerdict =
  | {
      readonly action: 'restart';
      /** How long the lane rests before, so that one that keeps dying leaves the processor to the others. */
      readonly delayMs: number;
      /** A record that has killed twice: it is not sent again. */
      readonly poison: Suspect | null;
    }
  | { readonly action: 'give_up' };

/**
 * What follows when the thread of one lane has died. Deaths in the middle of a
 * record end with that record as poison after the second one, so they always get
 * somewhere and never make it give up; deaths without one do, when they are many.
 */
export class RestartPolicy {
  #suspects: { readonly assignment: number; readonly sequence: number; deaths: number }[] = [];
  #deathsMs: number[] = [];
  #unexplainedMs: number[] = [];

  /**
   * @param nowMs monotonic.
   * @param suspect the record in work, null when there was none.
   */
  died(nowMs: number, suspect: Suspect | null): RestartVerdict {
    const isRecent = (atMs: number): boolean => nowMs - atMs < UNEXPLAINED_WINDOW_MS;
    this.#deathsMs = this.#deathsMs.filter(isRecent);
    this.#unexplainedMs = this.#unexplainedMs.filter(isRecent);
    const delayMs = delayAfter(this.#deathsMs.length);
    this.#deathsMs.push(nowMs);
    if (suspect !== null) return { action: 'restart', delayMs, poison: this.#accuse(suspect) };
    this.#unexplainedMs.push(nowMs);
    if (this.#unexplainedMs.length >= MAX_UNEXPLAINED) return { action: 'give_up' };
    return { action: 'restart', delayMs, poison: null };
  }

  #accuse({ assignment, sequence }: Suspect): Suspect | null {
    let known = this.#suspects.find((one) => one.assignment === assignment && one.sequence === sequence);
    if (known === undefined) {
      known = { assignment, sequence, deaths: 0 };
      this.#suspects = [...this.#suspects, known].slice(-MAX_SUSPECTS);
    }
    known.deaths++;
    if (known.deaths < POISON_DEATHS) return null;
    this.#suspects = this.#suspects.filter((one) => one !== known);
    return { assignment, sequence };
  }
}

/** The first restart of a minute comes at once; then each rests twice as long as the one before. */
function delayAfter(recentDeaths: number): number {
  return recentDeaths === 0 ? 0 : Math.min(FIRST_DELAY_MS * 2 ** (recentDeaths - 1), MAX_DELAY_MS);
}
