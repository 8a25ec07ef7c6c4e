/**
 * Proves the checker: the history of dispatchers that do all right holds, whatever happens to them, with every
 * invariant judged; and one thing made wrong in it is told under the invariant that it breaks.
 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { History, LedgerRow, ReceivedRequest } from '../../src/verify/history.ts';
import { INVARIANTS } from '../../src/verify/finding.ts';
import type { InvariantId } from '../../src/verify/finding.ts';
import { verify } from '../../src/verify/verify.ts';
import { simulatedHistory } from './simulator.ts';
import { disturbedIds, idOf, undisturbed } from './undisturbed.ts';

const RUNS = 25;
/** Of each mutation, each on another history. */
const MUTATED_RUNS = 8;
const histories = new Map<number, History>();
const anySeed = fc.integer({ min: 0, max: 2 ** 31 });

test('the history of a run in which all was right holds, and every invariant was judged', () => {
  fc.assert(
    fc.property(anySeed, (seed) => {
      const { findings, state } = verify(simulatedHistory(seed));
      expect(findings.flatMap(({ id, examples }) => examples.map((example) => `${id}: ${example}`))).toEqual(
        [],
      );
      expect(findings.filter((finding) => finding.state !== 'held').map(({ id }) => id)).toEqual([]);
      expect(state).toBe('held');
    }),
    { seed: 4, numRuns: RUNS },
  );
});

test('the findings are those of I1 to I16, in order', () => {
  expect(verify(simulatedHistory(1)).findings.map(({ id }) => id)).toEqual(Object.keys(INVARIANTS));
});

/** Makes one thing wrong. @returns null where the history has nothing of the kind. */
type Mutation = (
  history: History,
  pick: <Item>(items: readonly Item[]) => Item | undefined,
) => History | null;

const MUTATIONS: Readonly<Record<InvariantId, Readonly<Record<string, Mutation>>>> = {
  I1: {
    'a delivery that never came': (history, pick) => {
      const id = pick(history.requests)?.deliveryId;
      return {
        ...history,
        requests: history.requests.filter(({ deliveryId }) => deliveryId !== id),
        ledger: history.ledger.filter(({ deliveryId }) => deliveryId !== id),
      };
    },
    'a success that only the ledger knows': (history, pick) => {
      const id = pick(history.ledger.filter(({ outcome }) => outcome === 'delivered'))?.deliveryId;
      return { ...history, requests: history.requests.filter(({ deliveryId }) => deliveryId !== id) };
    },
  },
  I2: {
    'another payload': (history, pick) =>
      changeRequest(history, pick(history.requests), { payload: 'other' }),
    'a wrong signature': (history, pick) =>
      changeRequest(history, pick(history.requests), { isSigned: false }),
    'a delivery of nothing': (history, pick) => {
      const request = pick(history.requests);
      return request === undefined
        ? null
        : { ...history, requests: [...history.requests, { ...request, deliveryId: 'dlv_none' }] };
    },
  },
  I3: {
    'an offset that goes back': (history, pick) => {
      const commits = history.ownership.filter(({ what, offset }) => what === 'committed' && offset > 0);
      const last = pick(commits);
      if (last === undefined) return null;
      const back = { ...last, atMs: last.atMs + 0.5, offset: last.offset - 1 };
      return { ...history, ownership: [...history.ownership, back] };
    },
    'a commit ahead of its rows': (history, pick) => {
      const open = history.snapshots.filter(({ committed, rows }) =>
        committed.some(
          ({ partition, offset }) =>
            !rows.some((row) => row.partition === partition && row.offset === offset),
        ),
      );
      const snapshot = pick(open.filter(({ atMs }) => atMs < history.run.healedAtMs - 20_000));
      if (snapshot === undefined) return null;
      const committed = snapshot.committed.map((place) => ({ ...place, offset: place.offset + 60 }));
      return replaced(history, 'snapshots', snapshot, { ...snapshot, committed });
    },
  },
  I4: {
    'two of a key the wrong way round': (history, pick) => {
      const ofKey = history.requests
        .filter(({ destination, tenant }) => destination === 'ordered' && tenant === 't1')
        .sort((a, b) => a.atMs - b.atMs);
      const firsts = ofKey.filter((r, i) => ofKey.findIndex((o) => o.deliveryId === r.deliveryId) === i);
      const index = firsts.indexOf(pick(firsts.slice(1))!);
      const [a, b] = [firsts[index - 1], firsts[index]];
      if (a === undefined || b === undefined) return null;
      const swapped = changeRequest(history, a, { atMs: b.atMs });
      return swapped && changeRequest(swapped, b, { atMs: a.atMs });
    },
  },
  I5: {
    'a retry that comes too early': (history, pick) => {
      const late = undisturbed(history).flatMap((ofDelivery) => {
        const [before, after] = ofDelivery;
        return before !== undefined && after !== undefined ? [{ before, after }] : [];
      });
      const pair = pick(late);
      return pair === undefined ? null : changeRequest(history, pair.after, { atMs: pair.before.atMs + 20 });
    },
    'more attempts than allowed': (history, pick) => {
      const requests = pick(undisturbed(history));
      const last = requests?.at(-1);
      if (requests === undefined || last === undefined) return null;
      const more = Array.from({ length: 9 }, (_, i) => ({ ...last, atMs: last.atMs + 100_000 * (i + 1) }));
      return { ...history, requests: [...history.requests, ...more] };
    },
    'an attempt beyond the last one in the ledger': (history, pick) => {
      const row = pick(history.ledger.filter(({ class: name }) => name !== ''));
      return row === undefined ? null : replaced(history, 'ledger', row, { ...row, attempt: 10 });
    },
  },
  I6: {
    'a delivery sent again long after the ledger had it': (history, pick) => {
      const row = pick(history.snapshots[0]?.rows.filter(({ outcome }) => outcome === 'delivered') ?? []);
      const request = history.requests.find(({ deliveryId }) => deliveryId === row?.deliveryId);
      if (request === undefined) return null;
      return { ...history, requests: [...history.requests, { ...request, atMs: request.atMs + 5_000 }] };
    },
  },
  I7: {
    'a delivery that came twice without a fault': (history, pick) => {
      const request = pick(undisturbed(history).flatMap((ofDelivery) => ofDelivery.slice(-1)));
      if (request?.status !== 200) return null;
      return { ...history, requests: [...history.requests, { ...request, atMs: request.atMs + 30 }] };
    },
    'more repeated than one fault can': (history) => ({
      ...history,
      run: { ...history.run, bounds: { ...history.run.bounds, duplicatesPerFault: 0 } },
    }),
  },
  I8: {
    'a burst beyond the limit': (history, pick) => {
      const limited = history.requests.filter(
        ({ destination, tenant }) => destination === 'limited' && tenant === 't2',
      );
      const first = pick(limited.slice(0, -10));
      if (first === undefined) return null;
      const burst = new Set(limited.slice(limited.indexOf(first), limited.indexOf(first) + 10));
      return {
        ...history,
        requests: history.requests.map((request) =>
          burst.has(request) ? { ...request, atMs: first.atMs } : request,
        ),
      };
    },
  },
  I9: {
    'a crowd while the breaker was open': (history, pick) => {
      const [opened] = history.breakers;
      const request = pick(
        history.requests.filter(({ destination, tenant }) => destination === 'broken' && tenant === 't2'),
      );
      if (opened === undefined || request === undefined) return null;
      const crowd = Array.from({ length: 5 }, (_, i) => ({
        ...request,
        process: opened.process,
        atMs: opened.atMs + 500 + i,
      }));
      return { ...history, requests: [...history.requests, ...crowd] };
    },
  },
  I10: {
    'a row less': (history, pick) => {
      const calm = new Set(
        undisturbed(history)
          .flat()
          .map(({ deliveryId }) => deliveryId),
      );
      const row = pick(history.ledger.filter((one) => calm.has(one.deliveryId) && one.class !== ''));
      return row === undefined ? null : { ...history, ledger: history.ledger.filter((one) => one !== row) };
    },
    'a row of another answer': (history, pick) => {
      const row = pick(history.ledger.filter(({ class: name }) => name !== ''));
      return row === undefined ? null : replaced(history, 'ledger', row, { ...row, status: 418 });
    },
    'a row of a process that asked nothing': (history, pick) => {
      const row = pick(history.ledger.filter(({ status }) => status > 0));
      return row === undefined ? null : replaced(history, 'ledger', row, { ...row, process: 'p9' });
    },
  },
  I11: {
    'a row that changed': (history, pick) => {
      const row = atTheEnd(history, pick(history.snapshots.at(-1)?.rows ?? []));
      return row === undefined ? null : replaced(history, 'ledger', row, { ...row, reason: 'another' });
    },
    'a row that went': (history, pick) => {
      const row = atTheEnd(history, pick(history.snapshots[1]?.rows ?? []));
      return row === undefined ? null : { ...history, ledger: history.ledger.filter((one) => one !== row) };
    },
  },
  I12: {
    'a request under another name': (history, pick) =>
      changeRequest(history, pick(history.requests), { tenant: 'somebody' }),
    'a row under another name': (history, pick) => {
      const row = pick(history.ledger);
      return row === undefined ? null : replaced(history, 'ledger', row, { ...row, tenant: 'somebody' });
    },
  },
  I13: {
    'a redriven one that came twice': (history, pick) => {
      const redriven = new Set(history.ledger.filter(({ outcome }) => outcome === 'redriven').map(idOf));
      const disturbed = disturbedIds(history);
      const request = pick(
        history.requests.filter(
          (one) => redriven.has(idOf(one)) && one.status === 200 && !disturbed.has(idOf(one)),
        ),
      );
      return request === undefined
        ? null
        : { ...history, requests: [...history.requests, { ...request, atMs: request.atMs + 100 }] };
    },
  },
  I14: {
    'too much memory': (history, pick) => {
      const sample = pick(history.usage);
      return sample === undefined ? null : replaced(history, 'usage', sample, { ...sample, rssBytes: 501 });
    },
  },
  I15: {
    'a fresh event that is late': (history, pick) => {
      const fresh = new Set(history.produced.filter(({ isFresh }) => isFresh).map(({ eventId }) => eventId));
      const healthy = ['limited', 'flaky', 'ordered'];
      const request = pick(
        history.requests.filter(
          ({ eventId, destination }) => fresh.has(eventId) && healthy.includes(destination),
        ),
      );
      return changeRequest(history, request, { atMs: (request?.atMs ?? 0) + history.run.bounds.freshMs });
    },
  },
  I16: {
    'no breaker that opened': (history) => ({ ...history, breakers: [] }),
    'no kill at a named point': (history) => ({
      ...history,
      faults: history.faults.map(({ point: _, ...fault }) => fault),
    }),
    'no crash in flight': (history) => ({
      ...history,
      faults: history.faults.map((fault) => ({
        ...fault,
        what: fault.what === 'kill' ? 'stop' : fault.what,
      })),
    }),
  },
};

describe.each(Object.entries(MUTATIONS))('%s', (id, mutations) => {
  test.each(Object.entries(mutations))('%s is told', (_what, mutate) => {
    let seen = 0;
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MUTATED_RUNS }), fc.nat(), (seed, choice) => {
        const changed = mutate(historyOf(seed), (items) => items[choice % Math.max(1, items.length)]);
        if (changed === null) return;
        seen++;
        const { findings, state } = verify(changed);
        expect(findings.find((finding) => finding.id === id)?.state).toBe('violated');
        expect(state).not.toBe('held');
      }),
      { seed: 5, numRuns: MUTATED_RUNS },
    );
    expect(seen).toBeGreaterThan(MUTATED_RUNS / 2);
  });
});

test('a run that saw too little is invalid, not held', () => {
  const { state } = verify({ ...simulatedHistory(3), breakers: [] });
  expect(state).toBe('invalid');
});

test('tells what each fault repeated', () => {
  const { tolls, coverage } = verify(simulatedHistory(7));
  expect(tolls.map(({ fault }) => fault.what)).toEqual(['kill', 'stop']);
  expect(tolls.reduce((sum, { duplicates }) => sum + duplicates, 0)).toBe(coverage.duplicates);
});

/** Histories are only read, so that one of each seed is enough. */
function historyOf(seed: number): History {
  const known = histories.get(seed) ?? simulatedHistory(seed);
  histories.set(seed, known);
  return known;
}

function changeRequest(
  history: History,
  request: ReceivedRequest | undefined,
  change: Partial<ReceivedRequest>,
): History | null {
  return request === undefined ? null : replaced(history, 'requests', request, { ...request, ...change });
}

function replaced<Name extends 'requests' | 'ledger' | 'snapshots' | 'usage'>(
  history: History,
  name: Name,
  old: History[Name][number],
  item: History[Name][number],
): History {
  const items: readonly History[Name][number][] = history[name];
  return { ...history, [name]: items.map((one) => (one === old ? item : one)) };
}

/** The row of the final ledger that a snapshot has, too. */
function atTheEnd({ ledger }: History, row: LedgerRow | undefined): LedgerRow | undefined {
  return ledger.find((one) => JSON.stringify(one) === JSON.stringify(row));
}
