import type { Destination } from '../domain/destination.ts';
import type { Tokens } from '../limit/token-bucket.ts';
import type { Alarm, Due } from './alarm.ts';

/** Somebody who takes tokens of a bucket that others take, too. */
export interface TurnTaker {
  readonly destination: Pick<Destination, 'weight'>;
  /** Sends what may be sent: takes tokens, joins the line again, or neither when nothing waits. */
  pump(): void;
}

/**
 * The turns of those that share one token bucket: the destinations of a tenant with
 * a limit, or the queues of a channel. A bucket alone gives its next token to whoever asks
 * first, which is always the one with the most to send.
 *
 * This is deficit round-robin where everything costs one token: a turn is `weightOf`
 * tokens; when the bucket runs dry in the midst of one, the rest of it comes first as
 * soon as there are tokens again. Who is at the front and has nothing to send loses its turn.
 */
export class TokenTurns<Bucket extends Tokens = Tokens> implements Due {
  readonly bucket: Bucket;
  readonly #alarm: Alarm;
  readonly #weightOf: (taker: TurnTaker) => number;
  /** In the order of their turns. */
  readonly #line = new Set<TurnTaker>();
  /** Whose turn it is while it pumps. */
  #serving: TurnTaker | null = null;
  /** Whose turn ended for want of tokens. */
  #interrupted: TurnTaker | null = null;
  /** Tokens left of the turn. */
  #left = 0;
  #isSet = false;

  constructor(bucket: Bucket, alarm: Alarm, weightOf: (taker: TurnTaker) => number) {
    this.bucket = bucket;
    this.#alarm = alarm;
    this.#weightOf = weightOf;
  }

  isTurnOf(taker: TurnTaker): boolean {
    if (this.#serving !== null) return this.#serving === taker && this.#left > 0;
    return this.#line.size === 0 && this.#interrupted === null;
  }

  /** To be called when somebody whose turn it is has taken a token. */
  onTaken(): void {
    if (this.#serving !== null) this.#left--;
  }

  /** Waits for its turn, and is pumped then. */
  join(taker: TurnTaker): void {
    if (taker === this.#interrupted) return;
    if (taker === this.#serving && this.#left > 0) this.#interrupted = taker;
    else this.#line.add(taker);
    this.#arm();
  }

  onDue(): void {
    this.#isSet = false;
    while (this.bucket.waitMs(this.#alarm.nowMs()) === 0) {
      const taker = this.#takeNext();
      if (taker === null) return;
      this.#serving = taker;
      taker.pump();
      this.#serving = null;
    }
    if (this.#line.size > 0 || this.#interrupted !== null) this.#arm();
  }

  #takeNext(): TurnTaker | null {
    const interrupted = this.#interrupted;
    if (interrupted !== null) {
      this.#interrupted = null;
      return interrupted;
    }
    for (const taker of this.#line) {
      this.#line.delete(taker);
      this.#left = this.#weightOf(taker);
      return taker;
    }
    return null;
  }

  #arm(): void {
    if (this.#isSet || this.#serving !== null) return;
    this.#isSet = true;
    const nowMs = this.#alarm.nowMs();
    this.#alarm.set(this, nowMs + this.bucket.waitMs(nowMs));
  }
}
