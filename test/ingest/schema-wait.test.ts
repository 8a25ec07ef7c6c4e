/** Proves that each missing schema is asked for once at a time, again with growing pauses, until it is answered. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SchemaWait } from '../../src/ingest/schema-wait.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const down = (): Promise<never> => Promise.reject(new Error('registry down'));

test('many records that need one schema ask for it once', async () => {
  const resolve = vi.fn(() => Promise.resolve());
  const wait = new SchemaWait(resolve, () => undefined);
  for (let i = 0; i < 5; i++) wait.need(7);
  wait.need(8);
  expect(resolve.mock.calls).toEqual([[7], [8]]);
  expect(wait.waiting).toBe(2);
  await vi.advanceTimersByTimeAsync(0);
  expect(wait.waiting).toBe(0);
});

test('while nobody can answer it asks again after 0.25, 0.5, 1 … at most 15 s, and tells each failure', async () => {
  const askedAtMs: number[] = [];
  const unavailable = vi.fn();
  const wait = new SchemaWait(() => {
    askedAtMs.push(performance.now());
    return down();
  }, unavailable);
  const startMs = performance.now();
  wait.need(7);
  for (let i = 0; i < 90; i++) {
    await vi.advanceTimersByTimeAsync(1_000);
    wait.need(7);
  }
  const pauses = askedAtMs.slice(1).map((at, i) => at - askedAtMs[i]!);
  expect(askedAtMs[0]).toBe(startMs);
  expect(pauses.slice(0, 8)).toEqual([250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  expect(unavailable).toHaveBeenCalledTimes(askedAtMs.length);
  expect(unavailable).toHaveBeenCalledWith(7, expect.objectContaining({ message: 'registry down' }));
  wait.stop();
});

test('after an answer the next need starts with the shortest pause again', async () => {
  const resolve = vi.fn((_id: number): Promise<void> => Promise.resolve());
  resolve.mockImplementationOnce(down).mockImplementationOnce(down);
  const wait = new SchemaWait(resolve, () => undefined);
  wait.need(7);
  await vi.advanceTimersByTimeAsync(750);
  expect(resolve).toHaveBeenCalledTimes(3);
  expect(wait.waiting).toBe(0);
  resolve.mockImplementationOnce(down);
  wait.need(7);
  await vi.advanceTimersByTimeAsync(250);
  expect(resolve).toHaveBeenCalledTimes(5);
});

test('stopped, it asks no more: neither from a pause nor from a request under way', async () => {
  const resolve = vi.fn(down);
  const unavailable = vi.fn();
  const wait = new SchemaWait(resolve, unavailable);
  wait.need(7);
  await vi.advanceTimersByTimeAsync(0);
  wait.need(8);
  wait.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(resolve).toHaveBeenCalledTimes(2);
  expect(unavailable).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});
