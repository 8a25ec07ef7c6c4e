/** Proves that progress is a part of the plan, and that plain lines come every 2 s. */
import { describe, expect, test, vi } from 'vitest';
import { openProgress, progressLine, shareDone } from '../../../src/cli/produce/progress.ts';
import { HandClock } from './hand-clock.ts';

const PLAN = { topic: 'events', ratePerSecond: 100, count: null, durationMs: null };
const TOTALS = { sent: 0, acked: 0, failed: 0, elapsedMs: 0, firstError: null };

test('the share that is done is by count or by time, whichever is nearer the end', () => {
  expect(shareDone({ ...PLAN, count: 200 }, { ...TOTALS, sent: 50 })).toBe(0.25);
  expect(shareDone({ ...PLAN, durationMs: 1_000 }, { ...TOTALS, elapsedMs: 500 })).toBe(0.5);
  expect(
    shareDone({ ...PLAN, count: 200, durationMs: 1_000 }, { ...TOTALS, sent: 150, elapsedMs: 500 }),
  ).toBe(0.75);
  expect(shareDone({ ...PLAN, durationMs: 1_000 }, { ...TOTALS, elapsedMs: 1_500 })).toBe(1);
  expect(shareDone(PLAN, { ...TOTALS, sent: 50 })).toBe(0);
});

test('a line tells all four numbers', () => {
  expect(progressLine({ ...TOTALS, sent: 12_000, acked: 11_980, failed: 3, elapsedMs: 6_000 })).toBe(
    '12,000 sent, 11,980 acked, 3 failed, 2,000/s',
  );
  expect(progressLine(TOTALS)).toBe('0 sent, 0 acked, 0 failed, 0/s');
});

describe('without a terminal', () => {
  test('a line every 2 s', () => {
    const said = vi.spyOn(console, 'error').mockImplementation(() => undefined);
    const clock = new HandClock();
    const progress = openProgress({ ...PLAN, count: 10 }, false, clock);
    for (let turn = 0; turn < 500; turn++) {
      clock.advance(10);
      progress.update({ ...TOTALS, sent: turn, elapsedMs: clock.monotonicMs() });
    }
    progress.end();
    expect(said.mock.calls.map(([line]) => String(line))).toEqual([
      expect.stringMatching(/^199 sent/),
      expect.stringMatching(/^399 sent/),
    ]);
    said.mockRestore();
  });
});
