/**
 * Proves that those who share a token bucket get its tokens in turn, by weight, whoever
 * asks first and however much each has; and that no token is left while somebody has to send.
 */
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { systemClock } from '../../src/domain/clock.ts';
import { Alarm } from '../../src/lanes/alarm.ts';
import { TokenTurns, type TurnTaker } from '../../src/lanes/token-turns.ts';
import { TokenBucket } from '../../src/limit/token-bucket.ts';
import { variantOf } from '../domain/planted-bug.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A queue of which nothing but its length counts. */
class Sender implements TurnTaker {
  readonly destination: { readonly weight: number };
  sent = 0;
  waiting = 0;
  readonly #turns: TokenTurns;
  readonly #log: Sender[];

  constructor(weight: number, turns: TokenTurns, log: Sender[]) {
    this.destination = { weight };
    this.#turns = turns;
    this.#log = log;
  }

  pump(): void {
    const { bucket } = this.#turns;
    while (this.waiting > 0) {
      const nowMs = systemClock.monotonicMs();
      if (!this.#turns.isTurnOf(this) || !bucket.tryReserve(nowMs)) {
        this.#turns.join(this);
        return;
      }
      this.#turns.onTaken();
      bucket.spend(nowMs);
      this.waiting--;
      this.sent++;
      this.#log.push(this);
    }
  }
}

function senders(
  Tested: typeof TokenTurns,
  weights: readonly number[],
  rate: number,
  burst: number,
): { senders: Sender[]; log: Sender[]; bucket: TokenBucket } {
  const bucket = new TokenBucket(rate, burst);
  const log: Sender[] = [];
  const turns = new Tested(bucket, new Alarm(systemClock), ({ destination }) => destination.weight);
  return { senders: weights.map((weight) => new Sender(weight, turns, log)), log, bucket };
}

const someWeights = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 6 });

/** All have plenty to send: between two sends of any, every other had its weight, give or take one turn. */
function fair(Tested: typeof TokenTurns): fc.IProperty<[number[], number]> {
  return fc.property(someWeights, fc.integer({ min: 1, max: 20 }), (weights, burst) => {
    const { senders: all, log } = senders(Tested, weights, 100, burst);
    for (const sender of all) sender.waiting = 1e6;
    for (const sender of all) sender.pump();
    vi.advanceTimersByTime(1_000);
    // The first finds the bucket full and nobody in its way.
    const before = all.map(({ sent }) => sent);
    log.length = 0;
    vi.advanceTimersByTime(3_000);
    expect(log.length).toBeGreaterThan(270);
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    all.forEach(({ sent, destination: { weight } }, index) => {
      const share = ((sent - (before[index] as number)) * total) / (log.length * weight);
      expect(share).toBeGreaterThan(0.8);
      expect(share).toBeLessThan(1.2);
    });
  });
}

/** Some have a few to send, at some times: all is sent, and never later than one alone would have sent it. */
function sendsAll(Tested: typeof TokenTurns): fc.IProperty<[number[], [number, number, number][]]> {
  const additions = fc.array(fc.tuple(fc.nat(500), fc.nat(5), fc.integer({ min: 1, max: 30 })), {
    minLength: 1,
    maxLength: 20,
  });
  return fc.property(someWeights, additions, (weights, added) => {
    const { senders: all } = senders(Tested, weights, 100, 5);
    let count = 0;
    for (const [afterMs, index, more] of added) {
      vi.advanceTimersByTime(afterMs);
      const sender = all[index % all.length] as Sender;
      sender.waiting += more;
      sender.pump();
      count += more;
    }
    vi.advanceTimersByTime(count * 10 + 20);
    expect(all.reduce((sum, { sent }) => sum + sent, 0)).toBe(count);
  });
}

test('everybody gets a share by weight, though all ask at once', () => {
  fc.assert(fair(TokenTurns), { numRuns: 10 });
});

test('nothing is left waiting while there are tokens', () => {
  fc.assert(sendsAll(TokenTurns), { numRuns: 40 });
});

test('one event comes within a round of the others, whatever they have', () => {
  const { senders: all } = senders(TokenTurns, [1, 1, 1], 10, 1);
  const [flood, other, single] = all as [Sender, Sender, Sender];
  flood.waiting = other.waiting = 1e6;
  flood.pump();
  other.pump();
  vi.advanceTimersByTime(5_000);
  single.waiting = 1;
  single.pump();
  vi.advanceTimersByTime(301);
  expect(single.sent).toBe(1);
});

describe('a planted bug is caught', () => {
  test.each<[string, string, string, typeof fair | typeof sendsAll]>([
    ['whoever asks first', 'this.#line.size === 0 && this.#interrupted === null', 'true', fair],
    ['a turn without an end', 'if (this.#serving !== null) this.#left--', '', fair],
    ['weights that do not count', 'this.#weightOf(taker)', '1', fair],
    ['a turn cut short is lost', 'this.#interrupted = taker;', 'this.#line.add(taker);', fair],
    [
      'nobody is woken again',
      'if (this.#line.size > 0 || this.#interrupted !== null) this.#arm();',
      '',
      sendsAll,
    ],
    ['the interrupted is forgotten', 'return interrupted;', 'void interrupted;', sendsAll],
  ])('%s', async (_what, from, to, property) => {
    const buggy = await variantOf<{ TokenTurns: typeof TokenTurns }>('lanes/token-turns.ts', [from, to]);
    expect(
      fc.check<unknown>(property(buggy.TokenTurns) as fc.IProperty<unknown>, {
        seed: 1,
        numRuns: 100,
        endOnFailure: true,
      }).failed,
    ).toBe(true);
  });
});
