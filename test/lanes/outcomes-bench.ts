import { CLASS_RULES, isAmbiguous, type AttemptClass } from '../../src/deliver/classify.ts';
import { systemClock } from '../../src/domain/clock.ts';
import type { Destination } from '../../src/domain/destination.ts';
import type { Delivery } from '../../src/lanes/delivery.ts';
import type { DeliveryQueue } from '../../src/lanes/delivery-queue.ts';
import { LedgerEntries } from '../../src/lanes/ledger-entries.ts';
import { Outbox } from '../../src/lanes/outbox.ts';
import { Outcomes, type AttemptResult } from '../../src/lanes/outcomes.ts';
import type { Handover, Settled } from '../../src/lanes/protocol.ts';
import { cellsOf, rowsIn, type AttemptCells } from './lane-bench.ts';
import { retryOf } from './lane-parts.ts';
import { QueueBench, type Added } from './queue-bench.ts';

export const START = new Date('2026-03-01T12:00:00.000Z');

export const wallMs = (): number => systemClock.wallMs();

/** Outcomes of deliveries whose attempts the test ends. */
export class OutcomesBench {
  readonly queues = new QueueBench();
  readonly queue: DeliveryQueue;
  readonly ended: Delivery[] = [];
  readonly outcomes: Outcomes;
  random = 0;
  readonly #messages: Settled[] = [];
  readonly #outbox = new Outbox((message) => this.#messages.push(message));
  readonly #entries = new LedgerEntries(this.#outbox, systemClock, { instance: 'bench', lane: 0 });

  constructor(change: Partial<Destination> = {}) {
    this.queue = this.queues.queue({ retry: retryOf(3, 10_000, 100_000), ...change });
    this.outcomes = new Outcomes({
      clock: systemClock,
      random: () => this.random,
      entries: this.#entries,
      outbox: this.#outbox,
      counters: this.queues.counters,
      delaysMs: [1_000],
      onEnded: (delivery) => this.ended.push(delivery),
    });
  }

  add(added: Added = {}): Delivery {
    const delivery = this.queues.add(this.queue, 'dlv', added);
    this.#entries.again(delivery.event, delivery.record);
    return delivery;
  }

  /** A delivery in flight for the `attempts + 1`th time. */
  delivery(attempts = 0, added: Added = {}): Delivery {
    const delivery = this.add(added);
    delivery.attempts = attempts;
    delivery.attemptedAtMs = wallMs();
    if (delivery.firstSeenMs === 0) delivery.firstSeenMs = wallMs();
    return delivery;
  }

  end(delivery: Delivery, attemptClass: AttemptClass, change: Partial<AttemptResult> = {}): void {
    this.queue.onEnd(delivery);
    this.outcomes.ended(delivery, {
      verdict: { class: attemptClass, reason: `for_${attemptClass}` },
      isCharged: CLASS_RULES[attemptClass].charged,
      ambiguous: isAmbiguous(attemptClass, true),
      status: 299,
      durationMs: 12.5,
      retryAfterMs: null,
      response: 'answer',
      ...change,
    });
  }

  /** What was reported since the last time. */
  reported(): { own: AttemptCells[]; handovers: readonly Handover[]; handed: AttemptCells[] } {
    this.#outbox.post();
    const messages = this.#messages.splice(0);
    const handovers = messages.flatMap((message) => message.handovers);
    return {
      own: messages.flatMap(rowsIn),
      handovers,
      handed: handovers.flatMap(({ row }) => cellsOf(row!)),
    };
  }
}

export function timeCell(ms: number): string {
  return (ms / 1_000).toFixed(3);
}
