/** The invariants of a run, by their numbers. */
export const INVARIANTS = {
  I1: 'nothing is lost',
  I2: 'nothing is invented; payload and signature are right',
  I3: 'offsets never go back, and none is committed before its rows are durable',
  I4: 'order per key, where it is asked for',
  I5: 'attempts ≤ maximum, waits ≥ back-off and ≥ capped Retry-After',
  I6: 'nothing is sent again once the ledger has its success',
  I7: 'every duplicate falls in a named window, and their number is bounded',
  I8: 'rate limits hold at the receiver, all processes together',
  I9: 'an open breaker lets only probes through',
  I10: 'the ledger is what the receivers saw, attempt by attempt',
  I11: 'rows of the ledger never change',
  I12: 'tenants are apart',
  I13: 'a redriven dead letter is delivered once',
  I14: 'memory, descriptors and open records are bounded',
  I15: 'a fresh event gets through soon after healing',
  I16: 'the run saw what it was to survive',
} as const;
export type InvariantId = keyof typeof INVARIANTS;

const MAX_EXAMPLES = 5;

/** What was found of one invariant: in how many cases it was judged, and which of them break it. */
export class Finding {
  readonly id: InvariantId;
  /** Cases that could have broken it. */
  seen = 0;
  violations = 0;
  /** The first of them. */
  readonly examples: string[] = [];

  constructor(id: InvariantId) {
    this.id = id;
  }

  /** Of two runs together. Both are of one invariant. */
  static sum(one: Finding, other: Finding): Finding {
    const sum = new Finding(one.id);
    for (const { seen, violations, examples } of [one, other]) {
      sum.seen += seen;
      sum.violations += violations;
      sum.examples.push(...examples.slice(0, MAX_EXAMPLES - sum.examples.length));
    }
    return sum;
  }

  /** One case. @param example is asked for only when the case breaks the invariant. */
  judge(holds: boolean, example: () => string): void {
    this.seen++;
    if (holds) return;
    this.violations++;
    if (this.examples.length < MAX_EXAMPLES) this.examples.push(example());
  }

  get state(): 'held' | 'violated' | 'not seen' {
    if (this.violations > 0) return 'violated';
    return this.seen > 0 ? 'held' : 'not seen';
  }
}
