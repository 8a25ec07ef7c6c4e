/** Invariants about the run as a whole: I3, I8 to I11, and I14 to I16. */
import { evictionAround, faultOver, groupBy, isSuccess, sorted } from './evidence.ts';
import type { Evidence } from './evidence.ts';
import { Finding } from './finding.ts';
import { COVERAGE } from './history.ts';
import type {
  BreakerEntry,
  CoverageName,
  DestinationFacts,
  LedgerRow,
  OwnershipEntry,
  Snapshot,
} from './history.ts';

/** Of one partition in the order of time; and below what was committed, the ledger had every record. */
export function offsetsAdvance({ history }: Evidence): Finding {
  const finding = new Finding('I3');
  const commits = history.ownership.filter(({ what }) => what === 'committed');
  // A dispatcher hears of its commit a moment after the broker has it, so the two are not mixed.
  const recorders = groupBy(commits, (entry) => `${partitionText(entry)} ${entry.process === ''}`);
  for (const ofPartition of recorders.values()) {
    let highest = -1;
    for (const entry of sorted(ofPartition, ({ atMs }) => atMs)) {
      finding.judge(
        entry.offset >= highest,
        () =>
          `${partitionText(entry)} was committed at ${highest}, then at ${entry.offset} by ${entry.process || 'the broker'}`,
      );
      highest = Math.max(highest, entry.offset);
    }
  }
  const produced = groupBy(history.produced, partitionText);
  for (const snapshot of history.snapshots) judgeSnapshot(snapshot, produced, finding);
  return finding;
}

function judgeSnapshot(
  { committed, rows }: Snapshot,
  produced: ReadonlyMap<string, readonly { readonly offset: number }[]>,
  finding: Finding,
): void {
  const known = new Set(rows.map((row) => `${partitionText(row)}:${row.offset}`));
  for (const place of committed) {
    const partition = partitionText(place);
    for (const { offset } of produced.get(partition) ?? []) {
      if (offset >= place.offset) continue;
      finding.judge(
        known.has(`${partition}:${offset}`),
        () => `${partition} was committed at ${place.offset}, and the ledger had no row of ${offset}`,
      );
    }
  }
}

/**
 * A bucket that is full at first: in no window of length t more than rate · t + burst. A process that was evicted and has
 * not heard of it is judged apart from the new owner: they know nothing of each other.
 */
export function ratesHold({ history, deliveries }: Evidence): Finding {
  const finding = new Finding('I8');
  const limited = deliveries.filter(({ destination }) => destination.rate !== null);
  const buckets = groupBy(
    limited.flatMap(({ destination, requests }) => requests.map((request) => ({ destination, request }))),
    ({ destination, request }) =>
      JSON.stringify([destination.id, request.tenant, evictionAround(request, history)?.process]),
  );
  for (const [name, ofBucket] of buckets) {
    const rate = ofBucket[0]?.destination.rate;
    if (rate === undefined || rate === null) continue;
    // What a receiver writes down may be squeezed together by as much as it is late.
    const slack = (rate.perSecond * history.run.bounds.clockMs) / 1_000;
    let tokens = rate.burst + slack;
    let lastMs = -Infinity;
    for (const { request } of sorted(ofBucket, (entry) => entry.request.atMs)) {
      if (lastMs > -Infinity)
        tokens = Math.min(rate.burst + slack, tokens + ((request.atMs - lastMs) * rate.perSecond) / 1_000);
      lastMs = request.atMs;
      tokens -= 1;
      finding.judge(tokens >= -1e-6, () => `${name} got more than ${rate.perSecond}/s at ${request.atMs}`);
      tokens = Math.max(0, tokens);
    }
  }
  return finding;
}

/** While a breaker is open, one probe at a time comes, and each only after an opening has lasted. */
export function onlyProbes({ history, deliveries }: Evidence): Finding {
  const finding = new Finding('I9');
  const { clockMs } = history.run.bounds;
  const requests = groupBy(
    deliveries.flatMap((delivery) => delivery.requests),
    (request) => breakerText(request),
  );
  for (const [name, entries] of groupBy(history.breakers, breakerText)) {
    const destination = history.run.destinations.find(({ id }) => id === entries[0]?.destination);
    for (const [fromMs, toMs] of openSpans(entries, history.run.healedAtMs)) {
      const count = (requests.get(name) ?? []).filter(
        ({ atMs }) => atMs > fromMs + clockMs && atMs < toMs - clockMs,
      ).length;
      const most = mostProbes(destination, toMs - fromMs);
      finding.judge(
        count <= most,
        () => `${name} got ${count} requests while its breaker was open, not ${most}`,
      );
    }
  }
  return finding;
}

function mostProbes(destination: DestinationFacts | undefined, openMs: number): number {
  const shortestMs = destination?.breakerOpenMs ?? null;
  return shortestMs === null ? Infinity : Math.floor(openMs / shortestMs) + 1;
}

/** One that is not seen to close is judged up to the healing of the faults. */
function openSpans(entries: readonly BreakerEntry[], endMs: number): [fromMs: number, toMs: number][] {
  const spans: [number, number][] = [];
  let openedMs: number | null = null;
  for (const { atMs, isOpen } of sorted(entries, (entry) => entry.atMs)) {
    if (isOpen) openedMs ??= atMs;
    else if (openedMs !== null) {
      spans.push([openedMs, atMs]);
      openedMs = null;
    }
  }
  if (openedMs !== null && openedMs < endMs) spans.push([openedMs, endMs]);
  return spans;
}

/** Each row of an answered attempt has its request; a request without a row was swallowed by a fault. */
export function ledgerIsWhatWasSeen({ history, deliveries }: Evidence): Finding {
  const finding = new Finding('I10');
  for (const { id, requests, swallowed, unseen } of deliveries) {
    for (const row of unseen)
      finding.judge(false, () => `${id}: a row of attempt ${row.attempt} (${row.status}) without a request`);
    for (const request of requests) {
      finding.judge(
        !swallowed.has(request) || faultOver(request, history) !== null,
        () => `${id}: a request that was answered with ${request.status} is not in the ledger`,
      );
    }
  }
  return finding;
}

export function rowsNeverChange({ history }: Evidence): Finding {
  const finding = new Finding('I11');
  const atTheEnd = counted(history.ledger);
  for (const { rows } of history.snapshots) {
    for (const [row, count] of counted(rows))
      finding.judge((atTheEnd.get(row) ?? 0) >= count, () => `this row changed or went: ${row}`);
  }
  return finding;
}

/** By their text: one recorder writes the columns of all rows in one order. */
function counted(rows: readonly LedgerRow[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const row of rows) {
    const text = JSON.stringify(row);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return counts;
}

export function usageBounded({ history }: Evidence): Finding {
  const finding = new Finding('I14');
  const { bounds } = history.run;
  for (const sample of history.usage) {
    for (const name of ['rssBytes', 'descriptors', 'openRecords'] as const)
      finding.judge(
        sample[name] <= bounds[name],
        () => `${sample.process} had ${name} ${sample[name]}, more than ${bounds[name]}`,
      );
  }
  return finding;
}

export function freshArrives({ history, deliveries }: Evidence): Finding {
  const finding = new Finding('I15');
  const { freshMs } = history.run.bounds;
  for (const { id, destination, events, requests } of deliveries) {
    const event = events.find(({ isFresh }) => isFresh);
    if (event === undefined || !destination.isHealthy) continue;
    const afterMs = (requests.find(isSuccess)?.atMs ?? Infinity) - event.atMs;
    finding.judge(
      afterMs <= freshMs,
      () => `${id} of ${destination.id} arrived after ${Math.round(afterMs)} ms`,
    );
  }
  return finding;
}

/** A crash is in flight when it swallowed a request, or made one come again. */
export function coverageOf({ history, deliveries, duplicates }: Evidence): Record<CoverageName, number> {
  const crashes = new Set(duplicates.flatMap(({ fault }) => (fault?.what === 'kill' ? [fault] : [])));
  for (const { swallowed } of deliveries) {
    for (const request of swallowed) {
      const fault = faultOver(request, history);
      if (fault?.what === 'kill') crashes.add(fault);
    }
  }
  return {
    crashesInFlight: crashes.size,
    rebalances: history.ownership.filter(({ what }) => what === 'revoked').length,
    duplicates: duplicates.length,
    deadLetters: history.ledger.filter(({ handOver }) => handOver === 'dead_letter').length,
    openBreakers: history.breakers.filter(({ isOpen }) => isOpen).length,
    killPoints: new Set(history.faults.flatMap(({ point }) => point ?? [])).size,
  };
}

export function sawEnough(evidence: Evidence): Finding {
  const finding = new Finding('I16');
  const coverage = coverageOf(evidence);
  for (const name of COVERAGE) {
    const least = evidence.history.run.required[name];
    finding.judge(
      coverage[name] >= least,
      () => `${name}: ${coverage[name]}, and at least ${least} are wanted`,
    );
  }
  return finding;
}

function partitionText({ topic, partition }: Pick<OwnershipEntry, 'topic' | 'partition'>): string {
  return `${topic}/${partition}`;
}

function breakerText({
  process,
  tenant,
  destination,
}: Pick<BreakerEntry, 'process' | 'tenant' | 'destination'>): string {
  return JSON.stringify([process, tenant, destination]);
}
