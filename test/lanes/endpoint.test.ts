/**
 * Proves that what a lane knows of a destination follows from how its requests went, that
 * the operator hears of each change once, and that a new owner of a destination that
 * was failing probes it before it sends to it.
 */
import { describe, expect, test } from 'vitest';
import type { BreakerPolicy, Destination } from '../../src/domain/destination.ts';
import { Endpoint, type EndpointNotice } from '../../src/lanes/endpoint.ts';
import { BucketChain } from '../../src/limit/bucket-chain.ts';
import { breakerOf, destinationOf } from './lane-parts.ts';
import { ENDS, type End } from './queue-bench.ts';

const HOUR_MS = 3_600_000;

class Bench {
  readonly endpoint: Endpoint;
  nowMs = 1_000;

  constructor(breaker: Partial<BreakerPolicy> | null = {}, change: Partial<Destination> = {}) {
    const destination = destinationOf('d', { breaker: breaker && breakerOf(breaker), ...change });
    this.endpoint = new Endpoint(destination, new BucketChain(null, null, null), () => 0);
  }

  /** One request at a time. @returns what the operator was told; 'refused' when none was let through. */
  request(how: End, retryAfterMs: number | null = null): EndpointNotice | null | 'refused' {
    const ticket = this.endpoint.tryAcquire(this.nowMs);
    return ticket === 0 ? 'refused' : this.end(ticket, how, retryAfterMs);
  }

  end(ticket: number, how: End, retryAfterMs: number | null = null): EndpointNotice | null {
    const seen = { durationMs: 5, inFlight: this.endpoint.maxInFlight, retryAfterMs };
    return this.endpoint.onEnd(ticket, ENDS[how], seen, this.nowMs);
  }

  requests(how: End, count: number): (EndpointNotice | null | 'refused')[] {
    return Array.from({ length: count }, () => this.request(how));
  }
}

describe('the operator is told', () => {
  test('that the breaker opened, once, however many fail after it', () => {
    const bench = new Bench();
    const tickets = Array.from({ length: 6 }, () => bench.endpoint.tryAcquire(bench.nowMs));
    expect(tickets.map((ticket) => bench.end(ticket, 'failed'))).toEqual([
      null,
      null,
      'breaker_opened',
      null,
      null,
      null,
    ]);
    expect(bench.endpoint.isOpen(bench.nowMs)).toBe(true);
  });

  test('nothing of a probe that failed, and once that the breaker closed; then it may open anew', () => {
    const bench = new Bench();
    expect(bench.requests('failed', 4)).toEqual([null, null, 'breaker_opened', 'refused']);
    for (let probes = 0; probes < 3; probes++) {
      bench.nowMs += 10_000;
      expect(bench.requests('failed', 2)).toEqual([null, 'refused']);
    }
    expect(bench.endpoint.openingMs).toBe(4_000);
    bench.nowMs += 10_000;
    expect(bench.requests('delivered', 3)).toEqual(['breaker_closed', null, null]);
    expect(bench.requests('failed', 3)).toEqual([null, null, 'breaker_opened']);
  });

  test('that it is failing at 50, 70 and 90 % of the time, and that it is disabled', () => {
    const bench = new Bench({ consecutiveFailures: 1_000, disableAfterMs: 100 * HOUR_MS });
    const told: [number, unknown][] = [];
    for (let hour = 0; hour <= 101; hour++) {
      const notice = bench.request('failed');
      if (notice !== null) told.push([hour, notice]);
      bench.nowMs += HOUR_MS;
    }
    expect(told).toEqual([
      [50, 'failing_50'],
      [70, 'failing_70'],
      [90, 'failing_90'],
      [100, 'disabled'],
    ]);
    expect(bench.endpoint.isDisabled).toBe(true);
  });

  test('that the breaker is open although the failure that opened it was news of another kind', () => {
    const bench = new Bench({ consecutiveFailures: 2, disableAfterMs: 100 });
    expect(bench.request('failed')).toBeNull();
    bench.nowMs += 50;
    expect(bench.request('failed')).toBe('failing_50');
    bench.nowMs += 1_000;
    expect(bench.request('failed')).toBe('failing_70');
    const quiet = new Bench({ consecutiveFailures: 2, disableAfterMs: HOUR_MS });
    quiet.request('failed');
    quiet.nowMs += HOUR_MS / 2;
    expect(quiet.request('failed')).toBe('failing_50');
    quiet.nowMs += 1_000;
    expect(quiet.request('failed'), 'at the next failure').toBe('breaker_opened');
    quiet.nowMs += 10_000;
    expect(quiet.request('delivered')).toBe('breaker_closed');
  });

  test('that it is gone (410), once; what was under way changes nothing any more', () => {
    const bench = new Bench();
    const ticket = bench.endpoint.tryAcquire(bench.nowMs);
    expect(bench.requests('gone', 2)).toEqual(['disabled', null]);
    expect(bench.end(ticket, 'delivered')).toBeNull();
    expect(bench.endpoint.isDisabled).toBe(true);
  });

  test('nothing of throttling and of our own shortages, which do not open the breaker either', () => {
    const bench = new Bench({ disableAfterMs: 1 });
    for (const how of ['throttled', 'local'] as const)
      expect(new Set(bench.requests(how, 20))).toEqual(new Set([null]));
    expect([bench.endpoint.isOpen(bench.nowMs), bench.endpoint.isDisabled]).toEqual([false, false]);
  });
});

describe('the first thing seen of a destination being a retry', () => {
  test('it is probed: one request at a time until one has gone well', () => {
    const { endpoint, ...bench } = new Bench();
    endpoint.suspectFailing(bench.nowMs);
    expect(endpoint.isOpen(bench.nowMs), 'the probe need not wait').toBe(false);
    const probe = endpoint.tryAcquire(bench.nowMs);
    expect([probe > 0, endpoint.tryAcquire(bench.nowMs)]).toEqual([true, 0]);
  });

  test('the breaker opens at once when the probe fails, and the operator hears of it', () => {
    const bench = new Bench();
    bench.endpoint.suspectFailing(bench.nowMs);
    expect(bench.requests('failed', 2)).toEqual(['breaker_opened', 'refused']);
    expect(bench.endpoint.refusedForMs(bench.nowMs)).toBe(1_000);
  });

  test('a probe that succeeds makes it like any other, without a word to the operator', () => {
    const bench = new Bench();
    bench.endpoint.suspectFailing(bench.nowMs);
    expect(bench.requests('delivered', 3)).toEqual([null, null, null]);
    expect(bench.requests('failed', 2)).toEqual([null, null]);
  });

  test('a later retry suspects nothing of what has been tried here, or is being probed', () => {
    const tried = new Bench();
    tried.request('delivered');
    tried.endpoint.suspectFailing(tried.nowMs);
    const tickets = [1, 2].map(() => tried.endpoint.tryAcquire(tried.nowMs));
    expect(tickets).not.toContain(0);
    const probed = new Bench();
    probed.endpoint.suspectFailing(probed.nowMs);
    probed.endpoint.tryAcquire(probed.nowMs);
    probed.endpoint.suspectFailing(probed.nowMs);
    expect(probed.endpoint.tryAcquire(probed.nowMs), 'the probe is still the only one').toBe(0);
  });

  test('without a breaker nothing is held back', () => {
    const bench = new Bench(null);
    bench.endpoint.suspectFailing(bench.nowMs);
    expect(bench.requests('failed', 20)).toEqual(new Array(20).fill(null));
    expect(bench.endpoint.isPristine(bench.nowMs)).toBe(false);
  });
});

test('a pause and fewer requests at once follow from what the receiver asks for', () => {
  const bench = new Bench({}, { maxInFlight: 10, adaptive: true });
  bench.request('throttled', 30_000);
  expect(bench.endpoint.maxInFlight).toBe(7);
  expect(bench.endpoint.shutForMs(bench.nowMs)).toBe(30_000);
  bench.nowMs += 30_000;
  expect(bench.endpoint.shutForMs(bench.nowMs)).toBe(0);
});

test('a ticket given back leaves the place of the probe to another', () => {
  const bench = new Bench();
  bench.endpoint.suspectFailing(bench.nowMs);
  bench.endpoint.giveBack(bench.endpoint.tryAcquire(bench.nowMs));
  expect(bench.endpoint.tryAcquire(bench.nowMs)).toBeGreaterThan(0);
});
