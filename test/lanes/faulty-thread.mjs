/**
 * A lane thread whose decoding is replaced: records are JSON, and one that names a
 * fault makes the thread die of it. Everything else is the lane that ships.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { EventReader } from '../../dist/lanes/event-reader.js';

export { runLane } from '../../dist/lanes/thread.js';

const hoard = [];

const FAULTS = {
  throw: () => {
    throw new Error('planted throw');
  },
  exit: () => {
    process.exit(3);
  },
  heap: () => {
    while (true) hoard.push(Array.from({ length: 1_000 }, (_, i) => ({ i })));
  },
  spin: () => {
    while (true);
  },
  // Dies when the record is out of hand: nobody can be suspected.
  later: () => {
    setImmediate(() => {
      throw new Error('planted throw between records');
    });
  },
};

EventReader.prototype.read = function (record, _schemaId, tenant) {
  const { id, type, fault, once } = JSON.parse(String(record.bytes.value));
  if (fault !== undefined && !(once !== undefined && existsSync(once))) {
    if (once !== undefined) writeFileSync(once, '');
    FAULTS[fault]();
  }
  return {
    id,
    type,
    tenant,
    timeMs: 1_000,
    version: '1',
    source: '/test',
    key: '',
    correlationId: '',
    aggregateType: '',
    aggregateId: '',
    aggregateVersion: '',
    deliveries: 0,
    priority: 'normal',
    expiresAtMs: null,
    data: Buffer.from(JSON.stringify({ id })),
  };
};
