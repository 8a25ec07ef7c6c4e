import type { LedgerErrorKind } from './errors.ts';

const FIRST_MS = 200;
/** What was refused waits this long each time; what passes gets there by doubling. */
const LONGEST_MS = 15_000;
/** Several processes that lost the same server must not come back in step. */
const JITTER_SHARE = 0.5;

/**
 * The wait before an insert is sent again.
 * @param failures of this insert so far, ≥ 1.
 * @param random in [0, 1); jitter only shortens, so `LONGEST_MS` holds.
 */
export function retryDelayMs(kind: LedgerErrorKind, failures: number, random: number): number {
  const full = kind === 'fatal' ? LONGEST_MS : Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
  return full * (1 - JITTER_SHARE * random);
}
