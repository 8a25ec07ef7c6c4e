/** Proves that the parts of a channel's limit, over lanes and processes, never come to more than the limit while shares move. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Alarm } from '../../src/lanes/alarm.ts';
import { ChannelLimits } from '../../src/lanes/channel-limits.ts';

const LIMIT = { ratePerSecond: 100, burst: 40 };

class SetClock {
  nowMs = 0;
  monotonicMs = (): number => this.nowMs;
  wallMs = (): number => this.nowMs;
  readonly alarm = new Alarm(this);
}

describe('the limit of a channel', () => {
  test('is split over lanes and processes, whatever partitions move', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ afterMs: fc.nat(400), toSecond: fc.nat(10) }), { maxLength: 20 }),
        (moves) => {
          const clock = new SetClock();
          const lanes = 2;
          const processes = [0, 1].map(() =>
            Array.from({ length: lanes }, () => new ChannelLimits({ email: LIMIT }, lanes, clock.alarm)),
          );
          const shares = [0.5, 0.5];
          const setShare = (index: number, share: number): void => {
            shares[index] = share;
            for (const lane of processes[index] ?? []) lane.setShare(share);
          };
          setShare(0, 0.5);
          setShare(1, 0.5);
          const sentAtMs: number[] = [];
          const sendAll = (): void => {
            processes.forEach((process, index) => {
              for (const lane of process) {
                const bucket = lane.turnsOf('email')?.bucket;
                while ((shares[index] ?? 0) > 0 && bucket?.tryReserve(clock.nowMs) === true) {
                  bucket.spend(clock.nowMs);
                  sentAtMs.push(clock.nowMs);
                }
              }
            });
          };
          for (const { afterMs, toSecond } of moves) {
            for (let i = 0; i < afterMs; i += 10) {
              sendAll();
              clock.nowMs += 10;
            }
            // Who gives partitions up hears of it before who takes them; a tenth at least stays with each.
            const second = Math.min(0.9, Math.max(0.1, toSecond / 10));
            const order = second > (shares[1] ?? 0) ? [0, 1] : [1, 0];
            for (const index of order) setShare(index, index === 1 ? second : 1 - second);
          }
          for (let from = 0; from < sentAtMs.length; from++) {
            for (let to = from; to < sentAtMs.length; to++) {
              const windowMs = (sentAtMs[to] as number) - (sentAtMs[from] as number);
              expect(to - from + 1).toBeLessThanOrEqual(
                (LIMIT.ratePerSecond * windowMs) / 1000 + LIMIT.burst + 1e-6,
              );
            }
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  test('is none for a channel that has no limit', () => {
    expect(new ChannelLimits({ email: LIMIT }, 1, new SetClock().alarm).turnsOf('sms')).toBeNull();
  });
});
