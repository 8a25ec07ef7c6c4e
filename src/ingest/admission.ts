import type { Assignment } from './assignment.ts';
import type { Assignments } from './assignments.ts';
import type { FlowGate } from './flow-gate.ts';
import type { LaneShares, Refusal } from './lane-shares.ts';

/**
 * The door to the lanes. The gate counts what a lane holds by the lane's own word,
 * records of ended assignments included; the shares count whose it is, by the pairs
 * (assignment, sequence) of what is reported as done. Neither hears of a thread that
 * is replaced: what it had is given to the next one, and reported by that.
 */
export class Admission {
  readonly #assignments: Assignments;
  readonly #gate: FlowGate;
  readonly #shares: LaneShares;

  constructor(assignments: Assignments, gate: FlowGate, shares: LaneShares) {
    this.#assignments = assignments;
    this.#gate = gate;
    this.#shares = shares;
  }

  /** Who stands for the tenant of this hash in a lane; null for a record without one. */
  holderOf(lane: number, hash: number | null): number {
    return this.#shares.holderOf(lane, hash);
  }

  /** What refuses a record of this partition for now; null when nothing does. */
  refusal(lane: number, holder: number, { delayMs }: Assignment): Refusal | null {
    const refusal = this.#shares.refusal(lane, holder, delayMs !== null);
    if (refusal !== null) return refusal;
    return this.#gate.isOpen(lane) ? null : 'bound';
  }

  /** Counts a record in: the newest of its partition's frontier. */
  admit(assignment: Assignment, sequence: number, lane: number, holder: number, bytes: number): void {
    this.#gate.admit(lane, bytes);
    this.#shares.admit(holder, assignment.delayMs !== null, bytes);
    assignment.held.add(sequence, holder, bytes);
  }

  /** A lane has let go of this much. */
  release(lane: number, records: number, bytes: number): void {
    this.#gate.release(lane, records, bytes);
  }

  /** These records are done: pairs (assignment, sequence). What is of an ended assignment is let go of already. */
  settle(pairs: Uint32Array): void {
    let assignment: Assignment | undefined;
    for (let i = 0; i < pairs.length; i += 2) {
      const id = pairs[i] as number;
      if (assignment?.id !== id) assignment = this.#assignments.get(id);
      if (assignment === undefined) continue;
      const sequence = pairs[i + 1] as number;
      const holder = assignment.held.holderOf(sequence);
      if (holder < 0) continue;
      this.#shares.release(holder, assignment.delayMs !== null, assignment.held.take(sequence));
    }
  }

  /** What lanes still hold of an assignment that has ended is nobody's share any more. */
  end({ held, delayMs }: Assignment): void {
    held.takeAll((holder, bytes) => {
      this.#shares.release(holder, delayMs !== null, bytes);
    });
  }
}
