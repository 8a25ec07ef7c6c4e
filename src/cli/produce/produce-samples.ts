import type { Clock } from '../../domain/clock.ts';
import type { Sample } from '../../samples/generator.ts';
import { Pacer } from './pacer.ts';

/** How long one turn of sending lasts, and the pause between two. */
const SLICE_MS = 10;
/** Looking at the clock costs more than one event does. */
const EVENTS_PER_LOOK = 64;
const FLUSH_TIMEOUT_MS = 30_000;

/** What sending needs of a Kafka producer; see `kafka/producer.ts`. */
export interface SampleProducer {
  produce(
    topic: string,
    partition: null,
    key: Buffer,
    value: Buffer,
    headers: readonly [],
    onAck: (error: Error | null, partition: number, offset: number) => void,
  ): boolean;
  poll(): void;
}

export interface ProducePlan {
  readonly topic: string;
  /** Null is as fast as the broker takes them. */
  readonly ratePerSecond: number | null;
  /** Stops after so many events, null for no such bound. */
  readonly count: number | null;
  /** Stops after this time, null for no such bound. */
  readonly durationMs: number | null;
}

export interface ProduceTotals {
  sent: number;
  acked: number;
  /** Refused by the broker, for good. */
  failed: number;
  elapsedMs: number;
  /** Of the first event that failed; null when none did. */
  firstError: string | null;
}

export interface ProduceParts {
  readonly producer: SampleProducer;
  nextSample(): Sample;
  readonly clock: Clock;
  sleep(ms: number): Promise<void>;
  /** Ends the sending; what was sent is still waited for. */
  readonly stop: AbortSignal;
  /** Told once per acknowledged event. `producedAtMs` is wall-clock time. */
  onAcked(sample: Sample, partition: number, offset: number, producedAtMs: number): void;
  /** Told about once per slice. */
  onProgress(totals: Readonly<ProduceTotals>): void;
}

/**
 * Sends samples as planned and waits until each is acknowledged or has failed,
 * for 30 s at most: an event that is neither by then counts as sent only.
 *
 * @throws whatever the producer throws for an event that can never be sent.
 */
export async function produceSamples(plan: ProducePlan, parts: ProduceParts): Promise<ProduceTotals> {
  const { clock, producer, stop } = parts;
  const startMs = clock.monotonicMs();
  const totals: ProduceTotals = { sent: 0, acked: 0, failed: 0, elapsedMs: 0, firstError: null };
  const pacer = new Pacer(plan.ratePerSecond, clock);
  const offer = offering(plan.topic, parts, totals);
  const elapsedMs = (): number => clock.monotonicMs() - startMs;
  const isOver = (): boolean =>
    stop.aborted || totals.sent >= (plan.count ?? Infinity) || elapsedMs() >= (plan.durationMs ?? Infinity);

  while (!isOver()) {
    const due = Math.min(pacer.due(), (plan.count ?? Infinity) - totals.sent);
    pacer.took(sendSlice(due, offer, clock));
    totals.elapsedMs = elapsedMs();
    parts.onProgress(totals);
    await parts.sleep(SLICE_MS);
  }
  const giveUpMs = clock.monotonicMs() + FLUSH_TIMEOUT_MS;
  while (totals.acked + totals.failed < totals.sent && clock.monotonicMs() < giveUpMs) {
    producer.poll();
    parts.onProgress(totals);
    await parts.sleep(SLICE_MS);
  }
  totals.elapsedMs = elapsedMs();
  parts.onProgress(totals);
  return totals;
}

/** Sends until `due` are sent, the queue is full or the slice is over. @returns how many were sent. */
function sendSlice(due: number, offer: () => boolean, clock: Clock): number {
  const endMs = clock.monotonicMs() + SLICE_MS;
  let sent = 0;
  while (sent < due && offer()) {
    sent++;
    if (sent % EVENTS_PER_LOOK === 0 && clock.monotonicMs() >= endMs) break;
  }
  return sent;
}

/** Offers one sample per call, the refused one again. The answer is whether the producer took it. */
function offering(topic: string, parts: ProduceParts, totals: ProduceTotals): () => boolean {
  let refused: Sample | null = null;
  return () => {
    const sample = refused ?? parts.nextSample();
    const producedAtMs = parts.clock.wallMs();
    const isTaken = parts.producer.produce(
      topic,
      null,
      sample.key,
      sample.value,
      [],
      (error, partition, offset) => {
        if (error === null) {
          totals.acked++;
          parts.onAcked(sample, partition, offset, producedAtMs);
        } else {
          totals.failed++;
          totals.firstError ??= error.message;
        }
      },
    );
    refused = isTaken ? null : sample;
    if (isTaken) totals.sent++;
    return isTaken;
  };
}
