/** Proves that a topic's class of work decides how many turns its records get beside others of their tenant. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { TopicClass } from '../../src/domain/work-class.ts';
import { NOTHING_RECOVERED } from '../../src/domain/record.ts';
import { LaneBench, type LaneRecord } from './lane-bench.ts';
import { destinationOf } from './lane-parts.ts';

const RECORDS = 200;
/** What the lane has decoded of a tenant before it takes no more: its only destination takes one at a time. */
const DECODED_AHEAD = 33;
const TAKEN = 90;

let lane: LaneBench;

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  lane.stop();
  vi.useRealTimers();
});

/** @returns of the first records taken once both topics have some, how many are of `events`. */
async function eventsBeside(topic: string, classes: Readonly<Record<string, TopicClass>>): Promise<number> {
  const destination = destinationOf('crm', { maxInFlight: 1 });
  lane = new LaneBench(
    [destination],
    10,
    () => ({ kind: 'answer', status: 200, afterMs: 1 }),
    null,
    {},
    classes,
  );
  lane.begin(1, NOTHING_RECOVERED, topic);
  lane.begin(2, NOTHING_RECOVERED, 'events');
  const records: LaneRecord[] = Array.from({ length: RECORDS }, () => ({
    tenant: 'acme',
    type: 'contact.created',
  }));
  for (const assignment of [1, 2]) lane.send(assignment, records);
  await lane.pass(2 * RECORDS);
  const delivered = lane.rows.map((row) => row.topic);
  expect(delivered.length).toBeGreaterThanOrEqual(DECODED_AHEAD + TAKEN);
  return delivered.slice(DECODED_AHEAD, DECODED_AHEAD + TAKEN).filter((one) => one === 'events').length;
}

test.each([
  ['imports', { imports: 'bulk' }, (TAKEN * 8) / 9],
  ['again', { again: 'replay' }, (TAKEN * 8) / 10],
  // Every object has something of this name.
  ['constructor', {}, 0],
  ['others', {}, 0],
] as const)(
  'beside topic %s, classes being %o, events get %d of the next records',
  async (topic, classes, share) => {
    expect(Math.abs((await eventsBeside(topic, classes)) - share)).toBeLessThanOrEqual(1);
  },
);
