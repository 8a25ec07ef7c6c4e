/**
 * Proves which fault explains what to the checker: what comes twice, comes late or comes beside another is held to be
 * right where a fault that it was told of allows it, and nowhere else.
 */
import { describe, expect, test } from 'vitest';
import type { InvariantId } from '../../src/verify/finding.ts';
import type { Fault, History, ReceivedRequest } from '../../src/verify/history.ts';
import { verify } from '../../src/verify/verify.ts';
import { simulatedHistory } from './simulator.ts';
import { disturbedIds, idOf, undisturbed } from './undisturbed.ts';

const RUNS = 25;

/** A process that stood still goes on with an attempt, after another process has delivered. */
function withLateRequest(history: History, begunBeforeStopMs: number): History {
  const stop = history.faults.find(({ what }) => what === 'stop') as Fault;
  const disturbed = disturbedIds({ ...history, faults: history.faults.filter((fault) => fault !== stop) });
  const delivered = history.requests.find(
    ({ destination, status, process, atMs, deliveryId }) =>
      destination === 'picky' &&
      status === 200 &&
      process !== stop.process &&
      atMs > stop.fromMs &&
      atMs < stop.toMs &&
      !disturbed.has(deliveryId),
  );
  const row = history.ledger.find(({ deliveryId }) => deliveryId === delivered?.deliveryId);
  if (delivered === undefined || row === undefined) throw new Error('nothing fits');
  const { process, fromMs, toMs } = stop;
  const attemptedAtMs = fromMs - begunBeforeStopMs;
  const late = { ...row, process, attemptedAtMs, durationMs: toMs + 30 - attemptedAtMs };
  return {
    ...history,
    requests: [...history.requests, { ...delivered, process, atMs: toMs + 20 }],
    ledger: [...history.ledger, late],
  };
}

test('an attempt in whose midst its process stood still may arrive when it goes on', () => {
  const { findings, state } = verify(withLateRequest(simulatedHistory(1), 5));
  expect(findings.filter((finding) => finding.state !== 'held').map(({ id }) => id)).toEqual([]);
  expect(state).toBe('held');
});

test('an attempt that begins when a process goes on again is no such', () => {
  const { findings } = verify(withLateRequest(simulatedHistory(1), -6_900));
  expect(findings.find(({ id }) => id === 'I7')?.state).toBe('violated');
});

test('an attempt that ended without an answer takes no request from the one after it', () => {
  const history = simulatedHistory(1);
  const calm = new Set(undisturbed(history).flat().map(idOf));
  const row = history.ledger.find(
    ({ deliveryId, destination, outcome }) =>
      destination === 'picky' && outcome === 'delivered' && calm.has(deliveryId),
  );
  if (row === undefined) throw new Error('nothing fits');
  // Its request never arrived; it ended so shortly before that the clocks can't tell.
  const attemptedAtMs = row.attemptedAtMs - 30;
  const unanswered = { ...row, attemptedAtMs, durationMs: 5, status: 0, outcome: 'retrying', isFinal: false };
  const { findings } = verify({ ...history, ledger: [...history.ledger, unanswered] });
  expect(findings.find(({ id }) => id === 'I10')?.state).toBe('held');
});

test('a copy of a waiting retry is explained by a fault of the process that had its partition, and of no other', () => {
  const KILL_MS = 20_000;
  // From the stop on all is with p1: see the simulator.
  const around = Array.from({ length: RUNS }, (_, seed) => simulatedHistory(seed + 1)).flatMap((history) =>
    undisturbed(history)
      .filter(([first, ...rest]) => (first?.atMs ?? Infinity) < KILL_MS - 600 && rest.at(-1)?.status === 200)
      .filter((requests) => (requests.at(-1)?.atMs ?? 0) > KILL_MS + 600)
      .map((requests) => ({ history, last: requests.at(-1) as ReceivedRequest })),
  );
  const found = around.find(({ last }) => last.destination === 'flaky');
  if (found === undefined) throw new Error('nothing fits');
  const { history, last } = found;
  const requests = [...history.requests, { ...last, atMs: last.atMs + 400 }];
  const stateAfterKillOf = (process: string): string | undefined => {
    const kill: Fault = { what: 'kill', process, fromMs: KILL_MS, toMs: KILL_MS };
    const { findings } = verify({ ...history, requests, faults: [...history.faults, kill] });
    return findings.find(({ id }) => id === 'I7')?.state;
  };
  expect(stateAfterKillOf('p1')).toBe('held');
  expect(stateAfterKillOf('p2')).toBe('violated');
});

test('what was sent twice is explained by the fault that had begun by then, though a later one hit the process, too', () => {
  const history = simulatedHistory(1);
  const last = undisturbed(history)
    .flatMap((requests) => requests.slice(-1))
    .find(({ destination, status }) => destination === 'ordered' && status === 200);
  if (last === undefined) throw new Error('nothing fits');
  const { atMs, process } = last;
  const requests = [...history.requests, { ...last, process: 'p9', atMs: atMs + 30 }];
  const kill: Fault = { what: 'kill', process, fromMs: atMs + 200, toMs: atMs + 200 };
  const evicted: Fault = { what: 'evicted', process, fromMs: atMs - 9_000, toMs: atMs + 100 };
  const stateAfter = (...faults: Fault[]): string | undefined =>
    verify({ ...history, requests, faults: [...faults, ...history.faults] }).findings.find(
      ({ id }) => id === 'I7',
    )?.state;
  expect(stateAfter(kill, evicted)).toBe('held');
  expect(stateAfter(kill)).toBe('violated');
});

describe('a process that was evicted and has not heard of it', () => {
  const history = simulatedHistory(1);
  const evicted: Fault = { what: 'evicted', process: 'p9', fromMs: 0, toMs: Infinity };
  const stateOf = (
    id: InvariantId,
    more: readonly ReceivedRequest[],
    ...faults: Fault[]
  ): string | undefined => {
    const requests = [...history.requests, ...more];
    const { findings } = verify({ ...history, requests, faults: [...history.faults, ...faults] });
    return findings.find((finding) => finding.id === id)?.state;
  };

  test('may send what the new owner sends', () => {
    const last = undisturbed(history)
      .flatMap((requests) => requests.slice(-1))
      .find(({ destination, status }) => destination === 'ordered' && status === 200);
    if (last === undefined) throw new Error('nothing fits');
    const again = [{ ...last, process: 'p9', atMs: last.atMs + 30 }];
    expect([stateOf('I7', again, evicted), stateOf('I7', again)]).toEqual(['held', 'violated']);
  });

  test('may send beside it, but no faster than it may alone', () => {
    const limited = history.run.destinations.find(({ rate }) => rate !== null);
    const last = history.requests.filter(({ destination }) => destination === limited?.id).at(-1);
    if (last === undefined || !limited?.rate) throw new Error('nothing fits');
    const { perSecond, burst } = limited.rate;
    const most = Math.floor(burst + (perSecond * history.run.bounds.clockMs) / 1_000);
    const burstOf = (process: string, count: number): ReceivedRequest[] =>
      Array.from({ length: count }, () => ({ ...last, process, atMs: last.atMs + 60_000 }));
    const both = [...burstOf(last.process, most), ...burstOf('p9', most)];
    expect([stateOf('I8', both, evicted), stateOf('I8', both)]).toEqual(['held', 'violated']);
    expect(stateOf('I8', burstOf('p9', most + 1), evicted)).toBe('violated');
  });
});
