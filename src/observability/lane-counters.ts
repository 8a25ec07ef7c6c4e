import { LATENCY_BUCKETS, latencyBucket } from './latency-buckets.ts';
import { destinationSlots, GAUGE_SLOTS, laneSlots } from './lane-slots.ts';
import type { DestinationSlot, LaneSlot } from './lane-slots.ts';

/**
 * Counters of one lane in memory that its thread writes and main reads at scrape:
 *
 * ```
 * Float64Array: | slots | attempt histogram | receipt histogram | destination 0 | … | other |
 *                         buckets…, sum       buckets…, sum       delivered, failed, dead, inFlight
 * ```
 *
 * The lane is the only writer, so a plain read-modify-write loses nothing, and an
 * aligned 64-bit load or store is one instruction on the machines Node runs on,
 * so main never sees half a number. A scrape may see a sum one observation ahead
 * of its bucket, which no reader of rates can tell.
 */
const SLOTS = Object.keys(laneSlots).length;
const HISTOGRAM_LENGTH = LATENCY_BUCKETS + 1;
const ATTEMPT_START = SLOTS;
const RECEIPT_START = ATTEMPT_START + HISTOGRAM_LENGTH;
const DESTINATIONS_START = RECEIPT_START + HISTOGRAM_LENGTH;
const DESTINATION_LENGTH = Object.keys(destinationSlots).length;

/** Destinations that get a metric label of their own, in configuration order; the rest share `other`. */
export const LABELLED_DESTINATIONS = 500;

/** @param destinations how many the configuration has. */
export function createLaneCounters(destinations: number): SharedArrayBuffer {
  const places = Math.min(destinations, LABELLED_DESTINATIONS) + 1;
  const length = DESTINATIONS_START + places * DESTINATION_LENGTH;
  return new SharedArrayBuffer(length * Float64Array.BYTES_PER_ELEMENT);
}

export type HistogramName = 'attempt' | 'receipt';

/** Counts per bucket (not cumulative; bounds in `latency-buckets.ts`), and the sum of all observations in seconds. */
export interface LatencyHistogram {
  readonly buckets: Float64Array;
  sumSeconds: number;
}

export class LaneCounters {
  readonly #values: Float64Array;
  readonly #destinations: readonly DestinationCounters[];

  /** @param buffer from `createLaneCounters`; what it holds already is kept. */
  constructor(buffer: SharedArrayBuffer) {
    const values = new Float64Array(buffer);
    this.#values = values;
    const places = (values.length - DESTINATIONS_START) / DESTINATION_LENGTH;
    this.#destinations = Array.from(
      { length: places },
      (_, place) => new DestinationCounters(values, DESTINATIONS_START + place * DESTINATION_LENGTH),
    );
  }

  add(slot: LaneSlot, n = 1): void {
    this.#values[slot] = (this.#values[slot] as number) + n;
  }

  set(slot: LaneSlot, value: number): void {
    this.#values[slot] = value;
  }

  get(slot: LaneSlot): number {
    return this.#values[slot] as number;
  }

  /** How long one attempt took, in seconds. */
  observeAttempt(seconds: number): void {
    this.#observe(ATTEMPT_START, seconds);
  }

  /** From the record's Kafka timestamp to the receiver's 2xx, in seconds. */
  observeReceipt(seconds: number): void {
    this.#observe(RECEIPT_START, seconds);
  }

  /** @param index place in the configuration's list; those past the labelled ones share one set. */
  destination(index: number): DestinationCounters {
    const last = this.#destinations.length - 1;
    return this.#destinations[Math.min(index, last)] as DestinationCounters;
  }

  /** Adds what was observed to a histogram that sums several lanes. */
  addTo(into: LatencyHistogram, name: HistogramName): void {
    const start = name === 'attempt' ? ATTEMPT_START : RECEIPT_START;
    for (let i = 0; i < LATENCY_BUCKETS; i++) {
      into.buckets[i] = (into.buckets[i] as number) + (this.#values[start + i] as number);
    }
    into.sumSeconds += this.#values[start + LATENCY_BUCKETS] as number;
  }

  /** For the successor of a thread that ended: nothing is open or in flight, while what was counted stays. */
  resetGauges(): void {
    for (const slot of GAUGE_SLOTS) this.#values[slot] = 0;
    for (const destination of this.#destinations) destination.set(destinationSlots.inFlight, 0);
  }

  #observe(start: number, seconds: number): void {
    // The wall clocks of producer and lane may disagree; a receipt is never before its record.
    const observed = seconds > 0 ? seconds : 0;
    const bucket = start + latencyBucket(observed);
    this.#values[bucket] = (this.#values[bucket] as number) + 1;
    const sum = start + LATENCY_BUCKETS;
    this.#values[sum] = (this.#values[sum] as number) + observed;
  }
}

/** One destination's counters in one lane. */
export class DestinationCounters {
  readonly #values: Float64Array;
  readonly #start: number;

  constructor(values: Float64Array, start: number) {
    this.#values = values;
    this.#start = start;
  }

  add(slot: DestinationSlot, n = 1): void {
    const at = this.#start + slot;
    this.#values[at] = (this.#values[at] as number) + n;
  }

  set(slot: DestinationSlot, value: number): void {
    this.#values[this.#start + slot] = value;
  }

  get(slot: DestinationSlot): number {
    return this.#values[this.#start + slot] as number;
  }
}

export function sumOverLanes(lanes: readonly LaneCounters[], slot: LaneSlot): number {
  let sum = 0;
  for (const lane of lanes) sum += lane.get(slot);
  return sum;
}

export function histogramOverLanes(lanes: readonly LaneCounters[], name: HistogramName): LatencyHistogram {
  const sum: LatencyHistogram = { buckets: new Float64Array(LATENCY_BUCKETS), sumSeconds: 0 };
  for (const lane of lanes) lane.addTo(sum, name);
  return sum;
}
