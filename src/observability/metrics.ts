import { collectDefaultMetrics, Registry } from 'prom-client';
import type { Metric } from 'prom-client';
import { histogramOverLanes, LABELLED_DESTINATIONS, sumOverLanes } from './lane-counters.ts';
import type { HistogramName, LaneCounters } from './lane-counters.ts';
import { attemptSlots, destinationSlots, laneSlots } from './lane-slots.ts';
import type { DestinationSlot, LaneSlot } from './lane-slots.ts';
import { LATENCY_BOUNDS } from './latency-buckets.ts';
import type { HandoverStats, MainStats, PartitionStats } from './main-stats.ts';
import { METRICS } from './metric-table.ts';
import type { MetricDefinition, MetricName } from './metric-table.ts';

/** Where the numbers of a scrape come from. */
export interface MetricSources {
  /** The counters of all lanes, by lane number. */
  readonly lanes: readonly LaneCounters[];
  /** Destination ids in configuration order, the order of the lanes' destination counters. */
  readonly destinations: readonly string[];
  readonly main: () => MainStats;
  readonly version: string;
}

export interface Metrics {
  readonly contentType: string;
  /** The Prometheus text format. */
  renderMetrics(): Promise<string>;
}

/** Partitions with series of their own; the others are summed, so that totals stay right. */
const LABELLED_PARTITIONS = 1000;
/** What is past a cap. Neither a topic nor a destination id may contain parentheses. */
const OTHER = '(other)';

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** The series' name where it is not the metric's, as a histogram's are. */
  readonly metricName?: string;
}

/** One scrape's view: the main thread's numbers are read once for all metrics. */
interface Scrape extends Omit<MetricSources, 'main'> {
  readonly main: MainStats;
}

type Reader = (scrape: Scrape, name: MetricName) => Sample[];

export function createMetrics(sources: MetricSources): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const names = Object.keys(METRICS) as MetricName[];
  let scrape: Scrape | null = null;
  // prom-client asks all metrics in one synchronous pass, at whose first read the view is made.
  const view = (): Scrape => (scrape ??= { ...sources, main: sources.main() });
  for (const name of names) registry.registerMetric(foldedMetric(name, view));
  return {
    contentType: registry.contentType,
    renderMetrics: () => {
      scrape = null;
      return registry.metrics();
    },
  };
}

/**
 * A metric whose values are made at scrape. prom-client's own classes keep a hash
 * map of label sets to be written to; its registry asks no more than `get`, so
 * this hands over the samples as they are.
 */
function foldedMetric(name: MetricName, view: () => Scrape): Metric {
  const { type, help }: MetricDefinition = METRICS[name];
  const get = (): Promise<object> =>
    Promise.resolve({ name, help, type, aggregator: 'sum', values: READERS[name](view(), name) });
  return { name, help, type, aggregator: 'sum', get } as unknown as Metric;
}

const READERS: Readonly<Record<MetricName, Reader>> = {
  eventdispatch_build_info: ({ version }) => [{ labels: { version, node: process.version }, value: 1 }],
  eventdispatch_records_polled_total: ({ main }) => single(main.recordsPolled),
  eventdispatch_polls_total: ({ main }) => single(main.polls),
  eventdispatch_poll_seconds_total: ({ main }) => single(main.pollSeconds),
  eventdispatch_consumer_lag_records: ({ main }) => perPartition(main.partitions, (p) => p.lagRecords),
  eventdispatch_frontier_gap_records: ({ main }) =>
    perPartition(main.partitions, (p) => p.frontierGapRecords),
  eventdispatch_partitions_assigned: ({ main }) => single(main.partitions.length),
  eventdispatch_partitions_paused: ({ main }) => single(main.partitions.filter((p) => p.paused).length),
  eventdispatch_open_records: ({ main }) => single(main.openRecords),
  eventdispatch_open_bytes: ({ main }) => single(main.openBytes),
  eventdispatch_commits_total: ({ main }) => byResult(main.commits, main.commitFailures),
  eventdispatch_rebalances_total: ({ main }) => single(main.rebalances),
  eventdispatch_tenants_on_several_partitions_total: ({ main }) => single(main.tenantsOnSeveralPartitions),
  eventdispatch_lanes_alive: ({ main }) => single(main.lanesAlive),
  eventdispatch_lane_restarts_total: ({ main }) => single(main.laneRestarts),
  eventdispatch_lane_busy_seconds_total: perLane(laneSlots.busySeconds),
  eventdispatch_lane_open_records: perLane(laneSlots.openRecords),
  eventdispatch_lane_open_bytes: perLane(laneSlots.openBytes),
  eventdispatch_main_busy_seconds_total: () => single(performance.eventLoopUtilization().active / 1000),
  eventdispatch_records_received_total: laneSum(laneSlots.recordsReceived),
  eventdispatch_records_done_total: laneSum(laneSlots.recordsDone),
  eventdispatch_records_undelivered_total: laneSums('outcome', {
    invalid: laneSlots.recordsInvalid,
    no_route: laneSlots.recordsUnrouted,
    filtered: laneSlots.recordsFiltered,
    duplicate: laneSlots.recordsDuplicate,
  }),
  eventdispatch_attempts_total: laneSums('class', attemptSlots),
  eventdispatch_attempt_duration_seconds: laneHistogram('attempt'),
  eventdispatch_receipt_latency_seconds: laneHistogram('receipt'),
  eventdispatch_deliveries_total: laneSums('outcome', {
    delivered: laneSlots.deliveriesDelivered,
    dead: laneSlots.deliveriesDead,
    rejected: laneSlots.deliveriesRejected,
    expired: laneSlots.deliveriesExpired,
    skipped_disabled: laneSlots.deliveriesSkipped,
  }),
  eventdispatch_deliveries_refused_total: laneSum(laneSlots.deliveriesRefused),
  eventdispatch_breakers_opened_total: laneSum(laneSlots.breakersOpened),
  eventdispatch_destinations_disabled_total: laneSum(laneSlots.destinationsDisabled),
  eventdispatch_retries_scheduled_total: laneSum(laneSlots.retriesScheduled),
  eventdispatch_requests_in_flight: laneSum(laneSlots.inFlight),
  eventdispatch_deliveries_queued: laneSum(laneSlots.queuedDeliveries),
  eventdispatch_deliveries_behind_keys: laneSum(laneSlots.deliveriesBehindKeys),
  eventdispatch_token_waits_total: laneSum(laneSlots.tokenWaits),
  eventdispatch_origin_waits_total: laneSum(laneSlots.originWaits),
  eventdispatch_request_body_bytes_total: laneSum(laneSlots.requestBytes),
  eventdispatch_response_body_bytes_total: laneSum(laneSlots.responseBytes),
  eventdispatch_connections_in_use: laneSum(laneSlots.connections),
  eventdispatch_destination_deliveries_total: (scrape) => [
    ...perDestination(scrape, destinationSlots.delivered, { outcome: 'delivered' }),
    ...perDestination(scrape, destinationSlots.dead, { outcome: 'dead' }),
  ],
  eventdispatch_destination_failed_attempts_total: (scrape) =>
    perDestination(scrape, destinationSlots.failed),
  eventdispatch_destination_requests_in_flight: (scrape) => perDestination(scrape, destinationSlots.inFlight),
  eventdispatch_ledger_rows_total: ({ main }) => single(main.ledger.rows),
  eventdispatch_ledger_bytes_total: ({ main }) => single(main.ledger.bytes),
  eventdispatch_ledger_inserts_total: ({ main }) => byResult(main.ledger.inserts, main.ledger.insertFailures),
  eventdispatch_ledger_insert_seconds_total: ({ main }) => single(main.ledger.insertSeconds),
  eventdispatch_ledger_pending_rows: ({ main }) => single(main.ledger.pendingRows),
  eventdispatch_ledger_pending_bytes: ({ main }) => single(main.ledger.pendingBytes),
  eventdispatch_overflow_batches_total: ({ main: { overflow } }) => [
    ...byResult(overflow.batches, overflow.failures, { direction: 'written' }),
    ...byResult(overflow.drainedBatches, overflow.drainFailures, { direction: 'drained' }),
  ],
  eventdispatch_overflow_rows_total: ({ main: { overflow } }) => [
    { labels: { direction: 'written' }, value: overflow.rows },
    { labels: { direction: 'drained' }, value: overflow.drainedRows },
  ],
  eventdispatch_overflow_waiting_batches: ({ main }) => single(main.overflow.waitingBatches),
  eventdispatch_retry_copies_total: ({ main }) => single(main.retryCopies),
  eventdispatch_handovers_total: ({ main }) =>
    perHandover(main, (stats, to) => byResult(stats.produced, stats.failed, to)),
  eventdispatch_handovers_pending: ({ main }) =>
    perHandover(main, (stats, labels) => [{ labels, value: stats.pending }]),
  eventdispatch_rekeyed_records_total: ({ main }) => byResult(main.rekey.moved, main.rekey.failed),
  eventdispatch_rekey_pending_records: ({ main }) => single(main.rekey.pending),
  eventdispatch_schema_lookups_total: ({ main }) =>
    Object.entries(main.schemaLookups).map(([result, value]) => ({
      labels: { result },
      value: value as number,
    })),
};

function single(value: number): Sample[] {
  return [{ labels: {}, value }];
}

function byResult(ok: number, failed: number, labels: Sample['labels'] = {}): Sample[] {
  return [
    { labels: { ...labels, result: 'ok' }, value: ok },
    { labels: { ...labels, result: 'failed' }, value: failed },
  ];
}

function perHandover(
  main: MainStats,
  samples: (s: HandoverStats, to: Sample['labels']) => Sample[],
): Sample[] {
  return [
    ...samples(main.deadLetters, { to: 'dead_letter' }),
    ...samples(main.badEvents, { to: 'bad_event' }),
    ...samples(main.retries, { to: 'retry' }),
  ];
}

function perPartition(
  all: readonly PartitionStats[],
  valueOf: (p: PartitionStats) => number | null,
): Sample[] {
  const samples: Sample[] = [];
  for (const p of all.slice(0, LABELLED_PARTITIONS)) {
    const value = valueOf(p);
    if (value !== null) samples.push({ labels: { topic: p.topic, partition: p.partition }, value });
  }
  const rest = all.slice(LABELLED_PARTITIONS);
  if (rest.length > 0) {
    const value = rest.reduce((sum, p) => sum + (valueOf(p) ?? 0), 0);
    samples.push({ labels: { topic: OTHER, partition: OTHER }, value });
  }
  return samples;
}

function perLane(slot: LaneSlot): Reader {
  return ({ lanes }) => lanes.map((lane, number) => ({ labels: { lane: number }, value: lane.get(slot) }));
}

function laneSum(slot: LaneSlot): Reader {
  return ({ lanes }) => single(sumOverLanes(lanes, slot));
}

function laneSums(label: string, slots: Readonly<Record<string, LaneSlot>>): Reader {
  const entries = Object.entries(slots);
  return ({ lanes }) =>
    entries.map(([value, slot]) => ({ labels: { [label]: value }, value: sumOverLanes(lanes, slot) }));
}

function perDestination(
  { lanes, destinations }: Scrape,
  slot: DestinationSlot,
  labels: Sample['labels'] = {},
): Sample[] {
  const sum = (index: number): number =>
    lanes.reduce((total, lane) => total + lane.destination(index).get(slot), 0);
  const samples = destinations
    .slice(0, LABELLED_DESTINATIONS)
    .map((destination, index): Sample => ({ labels: { destination, ...labels }, value: sum(index) }));
  if (destinations.length > LABELLED_DESTINATIONS) {
    samples.push({ labels: { destination: OTHER, ...labels }, value: sum(LABELLED_DESTINATIONS) });
  }
  return samples;
}

function laneHistogram(which: HistogramName): Reader {
  return ({ lanes }, name) => {
    const { buckets, sumSeconds } = histogramOverLanes(lanes, which);
    let count = 0;
    const samples = Array.from(buckets, (inBucket, i): Sample => {
      count += inBucket;
      return { metricName: `${name}_bucket`, labels: { le: LATENCY_BOUNDS[i] ?? '+Inf' }, value: count };
    });
    samples.push({ metricName: `${name}_sum`, labels: {}, value: sumSeconds });
    samples.push({ metricName: `${name}_count`, labels: {}, value: count });
    return samples;
  };
}
