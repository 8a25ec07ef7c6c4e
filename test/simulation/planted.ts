import type { recoverDeliveries } from '../../src/app/recovery.ts';
import type { recoverSeenEvents } from '../../src/app/seen-events.ts';
import type { SeenEvents } from '../../src/duplicates/seen-events.ts';
import type { Assignments } from '../../src/ingest/assignments.ts';
import type { Committer } from '../../src/ingest/committer.ts';
import type { Intake } from '../../src/ingest/intake.ts';
import type { Lease } from '../../src/ingest/lease.ts';
import type { Ownership } from '../../src/ingest/ownership.ts';
import type { LedgerBatcher } from '../../src/ledger/batcher.ts';
import type { HandoverProducer } from '../../src/retry/handover-producer.ts';
import type { Settler } from '../../src/settle/settler.ts';
import { variantOf, type Change } from '../domain/planted-bug.ts';
import type { Parts } from './simulated-process.ts';

const FRONTIER = 'ingest/frontier.ts';
const SENDER = 'ledger/batch-sender.ts';

const assignmentsWith = (...changes: Change[]): Promise<Partial<Parts>> =>
  variantOf<{ Assignments: typeof Assignments }>('ingest/assignments.ts', ...changes);
const batcherWith = (...changes: Change[]): Promise<Partial<Parts>> =>
  variantOf<{ LedgerBatcher: typeof LedgerBatcher }>('ledger/batcher.ts', ...changes);
const handoversWith = (...changes: Change[]): Promise<Partial<Parts>> =>
  variantOf<{ HandoverProducer: typeof HandoverProducer }>('retry/handover-producer.ts', ...changes);

/** Bugs that the simulation must find, each with the parts that have it. */
export const PLANTED: readonly (readonly [what: string, parts: () => Promise<Partial<Parts>>])[] = [
  [
    'commits the highest acknowledged offset',
    () =>
      assignmentsWith(
        ['#lastOffset = -1;', '#lastOffset = -1; #acked = -1;', FRONTIER],
        [
          'this.#open--;',
          'this.#open--; this.#acked = Math.max(this.#acked, this.#offsets[slot] as number);',
          FRONTIER,
        ],
        [
          'return this.#offsets[this.#head & this.#mask] as number;',
          'return Math.max(this.#offsets[this.#head & this.#mask] as number, this.#acked + 1);',
          FRONTIER,
        ],
      ),
  ],
  [
    'goes on committing for epochs that have ended',
    () => assignmentsWith(['this.#byId.delete(assignment.id);', '']),
  ],
  [
    'commits what has ended while it leaves',
    async () => ({
      ...(await variantOf<{ Committer: typeof Committer }>(
        'ingest/committer.ts',
        ["assignment.state === 'ended' || offset", 'offset'],
        ["a.state === 'ended' || ", ''],
      )),
      ...(await variantOf<{ Ownership: typeof Ownership }>('ingest/ownership.ts', [
        "state === 'ended' || ",
        '',
      ])),
    }),
  ],
  [
    'sends without asking for its lease',
    () => variantOf<{ Lease: typeof Lease }>('ingest/lease.ts', ['this.#polledMs + LEASE_MS', 'Infinity']),
  ],
  [
    'takes itself for the owner when it had admitted nothing',
    () =>
      variantOf<{ Committer: typeof Committer }>('ingest/committer.ts', [
        'this.#tell(false);',
        'this.#tell(true);',
      ]),
  ],
  [
    'skips nothing of what the ledger holds',
    () =>
      Promise.resolve({
        recoverDeliveries: (_parts, partitions) =>
          Promise.resolve(partitions.map(() => ({ deliveryIds: new Map() }))),
      }),
  ],
  [
    'does not look for what it skips in the overflow',
    () =>
      variantOf<{ recoverDeliveries: typeof recoverDeliveries }>('app/recovery.ts', [
        '(await undrained?.(places)) ?? null',
        'null',
      ]),
  ],
  [
    'inserts every batch under one token',
    () => batcherWith(["return randomBytes(TOKEN_BYTES).toString('hex');", "return 'token';"]),
  ],
  [
    'draws a new token at each try',
    () => batcherWith(['part.pieces, part.token)', 'part.pieces, part.token + Math.random())', SENDER]),
  ],
  [
    'takes what a lane reports for durable',
    () =>
      variantOf<{ Settler: typeof Settler }>('settle/settler.ts', [
        'ledger.add(work);',
        'this.onLedgerAck(work.records); ledger.add({ ...work, records: new Uint32Array(0) });',
      ]),
  ],
  [
    'writes the row about a hand-over before the broker has it',
    () =>
      handoversWith(
        [
          'this.#produce(handover, handover);\n  }',
          'this.#options.onDurable(handover); this.#produce(handover, handover);\n  }',
        ],
        ['this.#options.onDurable(handover);\n  }', '}'],
      ),
  ],
  [
    'delivers a retry when its topic releases it, however long it has to wait',
    () =>
      variantOf<{ Intake: typeof Intake }>('ingest/intake.ts', [
        'retries.isHopNeeded(note.dueMs, nowMs)',
        'Number.isNaN(nowMs)',
      ]),
  ],
  [
    'takes a record for a duplicate of one that it gave up with its partition',
    () =>
      variantOf<{ SeenEvents: typeof SeenEvents }>('duplicates/seen-events.ts', [
        'isFresh && this.#live.has(generation.assignment)',
        'isFresh',
      ]),
  ],
  [
    'takes a record for a duplicate of its own duplicate',
    () =>
      variantOf<{ recoverSeenEvents: typeof recoverSeenEvents }>('app/seen-events.ts', [
        " AND outcome != 'duplicate'",
        '',
      ]),
  ],
  ['forgets a hand-over that was refused', () => handoversWith(['this.#backlog.push(handover);', ''])],
];
