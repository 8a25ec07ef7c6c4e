import type { LimitsConfig } from '../config/config.ts';
import type { Channel } from '../domain/destination.ts';
import { TokenBucket, shareOf } from '../limit/token-bucket.ts';
import type { Alarm } from './alarm.ts';
import { TokenTurns } from './token-turns.ts';

/**
 * The buckets of the channels in one lane. No one owner sees all that a channel
 * sends, so its limit is split: each process has the part of its share of the
 * partitions, and each of its lanes an equal part of that. What one part leaves
 * unused no other gets, and a part too small for one token of burst has one.
 */
export class ChannelLimits {
  readonly #limits: LimitsConfig['channels'];
  readonly #lanes: number;
  readonly #alarm: Alarm;
  readonly #turns = new Map<Channel, TokenTurns<TokenBucket>>();
  /** Of this lane, of everything; before any partition is here it is as if all were. */
  #share: number;

  constructor(limits: LimitsConfig['channels'], lanes: number, alarm: Alarm) {
    this.#limits = limits;
    this.#lanes = lanes;
    this.#alarm = alarm;
    this.#share = 1 / lanes;
  }

  /** Null when the channel has no limit. */
  turnsOf(channel: Channel): TokenTurns<TokenBucket> | null {
    const limit = this.#limits[channel];
    if (limit === undefined) return null;
    const known = this.#turns.get(channel);
    if (known !== undefined) return known;
    const { ratePerSecond, burst } = shareOf(limit, this.#share);
    const bucket = new TokenBucket(ratePerSecond, burst);
    // Another process may have sent this part of the limit just before.
    bucket.startEmpty(this.#alarm.nowMs());
    const turns = new TokenTurns(bucket, this.#alarm, () => 1);
    this.#turns.set(channel, turns);
    return turns;
  }

  /** @param share of all partitions that the process has, 0…1; without any it sends nothing new. */
  setShare(share: number): void {
    if (share <= 0) return;
    this.#share = share / this.#lanes;
    const nowMs = this.#alarm.nowMs();
    for (const [channel, { bucket }] of this.#turns) {
      const limit = this.#limits[channel];
      if (limit === undefined) continue;
      const { ratePerSecond, burst } = shareOf(limit, this.#share);
      bucket.setRate(ratePerSecond, burst, nowMs);
    }
  }
}
