import type { Dispatcher } from '../app/dispatcher.ts';
import type { Clock } from '../domain/clock.ts';
import { histogramOverLanes, type LaneCounters } from '../observability/lane-counters.ts';
import { destinationSlots, laneSlots, type DestinationSlot } from '../observability/lane-slots.ts';
import type { PartitionStats } from '../observability/main-stats.ts';
import { DEMO_TOPIC } from './demo-config.ts';
import type { DemoSample, DestinationSample } from './view-model.ts';

/** Reads what the dispatcher counts anyway. */
export function takeSample(
  dispatcher: Pick<Dispatcher, 'lanes' | 'stats'>,
  destinationIds: readonly string[],
  clock: Clock,
): DemoSample {
  const { lanes } = dispatcher;
  const stats = dispatcher.stats();
  return {
    atMs: clock.monotonicMs(),
    recordsPolled: stats.recordsPolled,
    lagRecords: lagOf(stats.partitions.filter(({ topic }) => topic === DEMO_TOPIC)),
    waitingRetries: lagOf(stats.partitions.filter(({ topic }) => topic !== DEMO_TOPIC)),
    breakersOpened: lanes.reduce((sum, lane) => sum + lane.get(laneSlots.breakersOpened), 0),
    ledgerRows: stats.ledger.rows,
    rssBytes: process.memoryUsage.rss(),
    receiptBuckets: histogramOverLanes(lanes, 'receipt').buckets,
    destinations: destinationIds.map((id, index) => destinationSample(lanes, id, index)),
  };
}

function lagOf(partitions: readonly PartitionStats[]): number {
  return partitions.reduce((lag, { lagRecords }) => lag + (lagRecords ?? 0), 0);
}

function destinationSample(lanes: readonly LaneCounters[], id: string, index: number): DestinationSample {
  const total = (slot: DestinationSlot): number =>
    lanes.reduce((sum, lane) => sum + lane.destination(index).get(slot), 0);
  const dead = total(destinationSlots.dead);
  return {
    id,
    delivered: total(destinationSlots.delivered),
    // Of the failed attempts, all but the last one of a dead delivery were followed by another.
    retried: total(destinationSlots.failed) - dead,
    dead,
    inFlight: total(destinationSlots.inFlight),
  };
}
