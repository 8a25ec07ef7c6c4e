import type { DeadKind, DeadLetter } from './dead-letter.ts';

/** Which dead letters are meant; null leaves a property open. */
export interface DeadLetterFilter {
  readonly tenant: string | null;
  readonly destinationId: string | null;
  readonly reason: string | null;
  readonly kind: DeadKind | null;
  readonly isWantedType: ((eventType: string) => boolean) | null;
  /** HTTP statuses, both ends included; 0 is "no answer". */
  readonly status: { readonly from: number; readonly to: number } | null;
  /** When it became a dead letter, Unix epoch milliseconds: not before … */
  readonly sinceMs: number | null;
  /** … and before this. */
  readonly untilMs: number | null;
}

export const EVERY_DEAD_LETTER: DeadLetterFilter = {
  tenant: null,
  destinationId: null,
  reason: null,
  kind: null,
  isWantedType: null,
  status: null,
  sinceMs: null,
  untilMs: null,
};

/** Whether a dead letter has every property that the filter names. */
export function isMeant(letter: DeadLetter, filter: DeadLetterFilter): boolean {
  const { status, isWantedType } = filter;
  return (
    isOpenOr(filter.tenant, letter.tenant) &&
    isOpenOr(filter.destinationId, letter.destinationId) &&
    isOpenOr(filter.reason, letter.reason) &&
    isOpenOr(filter.kind, letter.kind) &&
    (isWantedType === null || isWantedType(letter.eventType)) &&
    (status === null || (letter.status >= status.from && letter.status <= status.to)) &&
    (filter.sinceMs === null || letter.diedAtMs >= filter.sinceMs) &&
    (filter.untilMs === null || letter.diedAtMs < filter.untilMs)
  );
}

function isOpenOr<T>(wanted: T | null, actual: T): boolean {
  return wanted === null || wanted === actual;
}
