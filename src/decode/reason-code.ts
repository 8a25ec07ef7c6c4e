import { INVALID_REASONS, type InvalidReason } from '../domain/outcome.ts';

/** The reason's code in a lane batch: its index in `INVALID_REASONS`. */
export function reasonCode(reason: InvalidReason): number {
  return INVALID_REASONS.indexOf(reason);
}
