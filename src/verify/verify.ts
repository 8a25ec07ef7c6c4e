import * as bounds from './bounds.ts';
import * as deliveries from './deliveries.ts';
import { evidenceOf } from './evidence.ts';
import type { Fault, History } from './history.ts';
import type { CoverageName } from './history.ts';
import type { Finding } from './finding.ts';

/** What became of one fault. */
export interface FaultToll {
  readonly fault: Fault;
  /** Requests that came again because of it. */
  readonly duplicates: number;
}

export interface Verdict {
  /** I1 to I16, in this order. */
  readonly findings: readonly Finding[];
  /** `invalid` when nothing is violated, but the run did not see what it was to survive. */
  readonly state: 'held' | 'violated' | 'invalid';
  readonly coverage: Readonly<Record<CoverageName, number>>;
  /** Of those that may repeat something, in the order of time. */
  readonly tolls: readonly FaultToll[];
}

/** Judges a history. Pure: the same history gives the same verdict. */
export function verify(history: History): Verdict {
  const evidence = evidenceOf(history);
  const findings = [
    deliveries.nothingLost(evidence),
    deliveries.nothingInvented(evidence),
    bounds.offsetsAdvance(evidence),
    deliveries.orderKept(evidence),
    deliveries.attemptsBounded(evidence),
    deliveries.nothingSentAgain(evidence),
    deliveries.duplicatesExplained(evidence),
    bounds.ratesHold(evidence),
    bounds.onlyProbes(evidence),
    bounds.ledgerIsWhatWasSeen(evidence),
    bounds.rowsNeverChange(evidence),
    deliveries.tenantsApart(evidence),
    deliveries.redrivenOnce(evidence),
    bounds.usageBounded(evidence),
    bounds.freshArrives(evidence),
    bounds.sawEnough(evidence),
  ];
  const isInvalid = findings.some(({ id, violations }) => id === 'I16' && violations > 0);
  const isViolated = findings.some(({ id, violations }) => id !== 'I16' && violations > 0);
  const faults = history.faults.filter(({ what }) =>
    ['kill', 'stop', 'evicted', 'commits_refused', 'broker_down', 'black_hole'].includes(what),
  );
  return {
    findings,
    state: isViolated ? 'violated' : isInvalid ? 'invalid' : 'held',
    coverage: bounds.coverageOf(evidence),
    tolls: faults
      .sort((a, b) => a.fromMs - b.fromMs)
      .map((fault) => ({
        fault,
        duplicates: evidence.duplicates.filter((duplicate) => duplicate.fault === fault).length,
      })),
  };
}
