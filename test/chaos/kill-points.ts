import { setTimeout as sleep } from 'node:timers/promises';

import type { KillPoint } from '../../src/verify/history.ts';
import type { Receiver } from '../support/receiver.ts';
import { WHO, type LogLine, type Member, type Members } from './members.ts';

/** A point that does not come is given up, and the kill comes all the same. */
const PATIENCE_MS = 8_000;
/** A receiver that answers 2xx to everything. */
const WATCHED = 'quick';

/** Lines of the victim's own log that say that it is there. */
const LINES: Readonly<Partial<Record<KillPoint, (line: LogLine) => boolean>>> = {
  handed_over: ({ event, isHop }) => event === 'handed_over' && isHop === false,
  hopped: ({ event, isHop }) => event === 'handed_over' && isHop === true,
  rows_durable: ({ event }) => event === 'rows_durable',
  committed: ({ event }) => event === 'offsets_committed',
  draining: ({ event }) => event === 'draining',
};
/** Lines of anybody's, while a member joins. */
const JOIN_LINES: Readonly<Partial<Record<KillPoint, (line: LogLine) => boolean>>> = {
  revoking: ({ event }) => event === 'partitions_revoked',
  recovering: ({ event }) => event === 'partitions_assigned',
};

interface Kill {
  readonly process: string;
  readonly fromMs: number;
  readonly toMs: number;
  /** Left out where it was not reached. */
  readonly point?: KillPoint;
  /** Somebody was started already. */
  readonly isReplaced: boolean;
}

interface Watched {
  readonly members: Members;
  readonly receiver: Receiver;
  /** Starts one more member; returns at once. */
  readonly start: () => void;
}

/**
 * Kills a member as soon as it is seen from outside to be at a point: by its log, which it writes synchronously, or by
 * a receiver. Where whoever gets there first is as good, that one is killed.
 */
export async function killAt(point: KillPoint | null, victim: Member, watched: Watched): Promise<Kill> {
  const isReplaced = point !== null && JOIN_LINES[point] !== undefined;
  const killed = point === null ? null : await reached(point, victim, watched);
  if (killed !== null && point !== null) return { ...killed, point, isReplaced };
  return { ...(await watched.members.kill(victim)), isReplaced };
}

async function reached(
  point: KillPoint,
  victim: Member,
  { members, receiver, start }: Watched,
): Promise<Omit<Kill, 'isReplaced'> | null> {
  if (point === 'answered') return killAnswered(members, receiver);
  const ofAnybody = JOIN_LINES[point];
  const ofVictim = LINES[point];
  const killing = members.killAt(
    (line, process) => ofAnybody?.(line) ?? (process === victim.name && ofVictim?.(line) === true),
    PATIENCE_MS,
  );
  if (ofAnybody !== undefined) start();
  if (point === 'draining') victim.dispatcher.child.signal('SIGTERM');
  return killing;
}

/** Whoever sent the request that was answered next. */
async function killAnswered(members: Members, receiver: Receiver): Promise<Omit<Kill, 'isReplaced'> | null> {
  const answered = await Promise.race([receiver.nextAnswered(WATCHED), sleep(PATIENCE_MS, null)]);
  const name = answered?.[WHO];
  const member = members.running.find((one) => one.name === name && !one.isPaused);
  return member === undefined ? null : members.kill(member);
}
