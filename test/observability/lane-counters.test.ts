/** Proves that what a lane's thread counts is what main reads, and that the destinations' part stays bounded. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from 'vitest';
import {
  createLaneCounters,
  histogramOverLanes,
  LABELLED_DESTINATIONS,
  LaneCounters,
  sumOverLanes,
} from '../../src/observability/lane-counters.ts';
import { attemptSlots, destinationSlots, laneSlots } from '../../src/observability/lane-slots.ts';
import { latencyBucket } from '../../src/observability/latency-buckets.ts';

describe('slots', () => {
  test('they are numbered without gap or repetition', () => {
    const numbers = Object.values(laneSlots);
    expect(numbers).toEqual(numbers.map((_, i) => i));
    expect(Object.values(destinationSlots)).toEqual([0, 1, 2, 3]);
    expect(new Set(Object.values(attemptSlots)).size).toBe(Object.keys(attemptSlots).length);
  });

  test('each slot, histogram and destination has a place of its own', () => {
    const counters = new LaneCounters(createLaneCounters(2));
    const slots = Object.values(laneSlots);
    slots.forEach((slot, i) => {
      counters.set(slot, i + 1);
    });
    counters.observeAttempt(1);
    counters.observeReceipt(2);
    [0, 1].forEach((index) => {
      Object.values(destinationSlots).forEach((slot) => {
        counters.destination(index).set(slot, 1000 * (index + 1) + slot);
      });
    });

    expect(slots.map((slot) => counters.get(slot))).toEqual(slots.map((_, i) => i + 1));
    expect(histogramOverLanes([counters], 'attempt').sumSeconds).toBe(1);
    expect(histogramOverLanes([counters], 'receipt').sumSeconds).toBe(2);
    expect([0, 1].map((i) => counters.destination(i).get(destinationSlots.inFlight))).toEqual([1003, 2003]);
  });
});

test('main reads what another thread wrote', async () => {
  const buffer = createLaneCounters(1);
  const code = `
    const { workerData } = require('node:worker_threads');
    new Float64Array(workerData.buffer)[workerData.slot] = 42;`;
  const worker = new Worker(code, { eval: true, workerData: { buffer, slot: laneSlots.recordsDone } });
  await once(worker, 'exit');
  expect(new LaneCounters(buffer).get(laneSlots.recordsDone)).toBe(42);
});

test('lanes are summed', () => {
  const lanes = [1, 2, 3].map((n) => {
    const lane = new LaneCounters(createLaneCounters(0));
    lane.add(laneSlots.recordsReceived, n);
    lane.add(laneSlots.recordsReceived);
    lane.observeReceipt(n / 10);
    return lane;
  });
  expect(sumOverLanes(lanes, laneSlots.recordsReceived)).toBe(9);
  const { buckets, sumSeconds } = histogramOverLanes(lanes, 'receipt');
  expect(sumSeconds).toBeCloseTo(0.6);
  expect([0.1, 0.2, 0.3].map((s) => buckets[latencyBucket(s)])).toEqual([1, 1, 1]);
  expect(buckets.reduce((a, b) => a + b)).toBe(3);
});

test('a duration below zero, as two clocks that disagree give, counts as zero', () => {
  const lane = new LaneCounters(createLaneCounters(0));
  lane.observeReceipt(-3);
  lane.observeReceipt(Number.NaN);
  const { buckets, sumSeconds } = histogramOverLanes([lane], 'receipt');
  expect(buckets[0]).toBe(2);
  expect(sumSeconds).toBe(0);
});

test('destinations past the labelled ones share one place, and the buffer stops growing', () => {
  const counters = new LaneCounters(createLaneCounters(LABELLED_DESTINATIONS + 200));
  counters.destination(LABELLED_DESTINATIONS - 1).add(destinationSlots.delivered);
  counters.destination(LABELLED_DESTINATIONS).add(destinationSlots.delivered, 2);
  counters.destination(LABELLED_DESTINATIONS + 150).add(destinationSlots.delivered, 3);
  expect(counters.destination(LABELLED_DESTINATIONS - 1).get(destinationSlots.delivered)).toBe(1);
  expect(counters.destination(LABELLED_DESTINATIONS + 1).get(destinationSlots.delivered)).toBe(5);
  expect(createLaneCounters(1_000_000).byteLength).toBe(createLaneCounters(LABELLED_DESTINATIONS).byteLength);
});

test('the successor of a lane starts with nothing open and keeps what was counted', () => {
  const buffer = createLaneCounters(1);
  const first = new LaneCounters(buffer);
  first.add(laneSlots.recordsDone, 7);
  first.set(laneSlots.inFlight, 3);
  first.set(laneSlots.openBytes, 900);
  first.destination(0).set(destinationSlots.inFlight, 3);
  first.destination(0).add(destinationSlots.delivered, 5);

  const second = new LaneCounters(buffer);
  second.resetGauges();
  expect(second.get(laneSlots.recordsDone)).toBe(7);
  expect(second.get(laneSlots.inFlight)).toBe(0);
  expect(second.get(laneSlots.openBytes)).toBe(0);
  expect(second.destination(0).get(destinationSlots.inFlight)).toBe(0);
  expect(second.destination(0).get(destinationSlots.delivered)).toBe(5);
});
