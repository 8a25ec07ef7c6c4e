import { UserError, messageOf } from '../domain/errors.ts';

/** What making topics needs of a cluster. */
export interface TopicAdmin {
  /** Every topic that may be seen, with its number of partitions. @throws Error when no broker answers. */
  list(): Promise<ReadonlyMap<string, number>>;
  /**
   * Makes a topic with the cluster's replication factor, or leaves it as it is where it is there already.
   * @throws Error when the cluster refuses. @returns false when it does not answer, as one that knows no such request.
   */
  create(topic: string, partitions: number, settings: Readonly<Record<string, string>>): Promise<boolean>;
  /** Asks for the topic by name, on which a cluster may make it by itself. */
  ask(topic: string): Promise<void>;
  pause(delayMs: number): Promise<void>;
}

export interface WantedTopics {
  /** Names, and patterns that start with `^`. */
  readonly sources: readonly string[];
  readonly rekey?: WantedRekey | null;
  /** Must have as many partitions as the sources; each with its delay in milliseconds. */
  readonly delays: ReadonlyMap<string, number>;
  /** May have any number of partitions. */
  readonly others: readonly string[];
  /** The same, of records that are nowhere else and may be as large as those of delay topics. */
  readonly kept?: readonly string[];
}

/** Topics whose records go through one that is keyed by tenant, which is then a source like the others. */
export interface WantedRekey {
  /** What is moved from; names. */
  readonly topics: readonly string[];
  readonly topic: string;
  /** Null for as many as the other sources have; where there is none, as it has itself, or as the topics that are moved from. */
  readonly partitions: number | null;
}

export interface PipelineTopics {
  /** Of each delay topic: the most that a source topic has. */
  readonly partitions: number;
  /** Of the rekeyed topic; null when there is none. */
  readonly rekeyedPartitions: number | null;
  readonly created: readonly string[];
  /** The source topics by name with their partitions, when these differ; else empty. */
  readonly unequal: readonly (readonly [topic: string, partitions: number])[];
  /** Source topics that are named and not there. */
  readonly missing: readonly string[];
}

const POLL_MS = 250;
const SOURCES_TIMEOUT_MS = 30_000;
const VISIBLE_TIMEOUT_MS = 15_000;
const DAY_MS = 86_400_000;
/** How long a record is kept beyond its delay: an outage of everything that long loses none. */
const KEPT_BEYOND_DELAY_MS = 14 * DAY_MS;

/**
 * Sees to it that the topics beside the sources are there before anything is
 * subscribed to. Delay topics need as many partitions as the sources have, since
 * partition i of all of them belongs to one process.
 *
 * @param maxRecordBytes the largest record that a delay topic must take.
 * @throws UserError for what the person who runs it can mend; nothing waits longer than a minute.
 */
export async function ensurePipelineTopics(
  admin: TopicAdmin,
  wanted: WantedTopics,
  maxRecordBytes: number,
): Promise<PipelineTopics> {
  const { found, sources } = await waitForSources(admin, wanted);
  const rekeyed = rekeyedTopicOf(wanted, found, sources);
  const all = rekeyed === null ? sources : [...sources.filter(isNamed(wanted.sources)), rekeyed];
  const counts = all.map(([, partitions]) => partitions);
  const partitions = Math.max(...counts);
  const created = wantedTopics(wanted, partitions, rekeyed, maxRecordBytes).filter(
    ({ topic }) => !found.has(topic),
  );
  let answers = true;
  for (const { topic, partitions: count, settings } of created) {
    answers &&= await create(admin, topic, count, settings);
    if (!answers) await admin.ask(topic);
  }
  const now = created.length === 0 ? found : await waitForTopics(admin, created);
  requireEqualCounts(now, [...wanted.delays.keys()], partitions);
  if (rekeyed !== null) requireRekeyedCount(now, rekeyed);
  const named = [...wanted.sources.filter((name) => !isPattern(name)), ...(wanted.rekey?.topics ?? [])];
  return {
    partitions,
    rekeyedPartitions: rekeyed?.[1] ?? null,
    created: created.map(({ topic }) => topic),
    unequal: counts.some((count) => count !== partitions) ? all : [],
    missing: named.filter((name) => !found.has(name)),
  };
}

/** A topic, and how many partitions it has or must have. */
type TopicCount = readonly [topic: string, partitions: number];

function rekeyedTopicOf(
  { rekey, sources }: WantedTopics,
  found: ReadonlyMap<string, number>,
  counted: readonly TopicCount[],
): TopicCount | null {
  if (!rekey) return null;
  const own = sources.length === 0 ? found.get(rekey.topic) : undefined;
  const most = Math.max(...counted.map(([, partitions]) => partitions));
  return [rekey.topic, rekey.partitions ?? own ?? most];
}

interface TopicToMake {
  readonly topic: string;
  readonly partitions: number;
  readonly settings: Readonly<Record<string, string>>;
}

function wantedTopics(
  { delays, others, kept = [] }: WantedTopics,
  partitions: number,
  rekeyed: TopicCount | null,
  maxRecordBytes: number,
): TopicToMake[] {
  const settings = (delayMs: number): Record<string, string> => keptTopicSettings(delayMs, maxRecordBytes);
  return [
    ...[...delays].map(([topic, delayMs]) => ({ topic, partitions, settings: settings(delayMs) })),
    ...(rekeyed === null ? [] : [{ topic: rekeyed[0], partitions: rekeyed[1], settings: settings(0) }]),
    ...others.map((topic) => ({ topic, partitions, settings: {} })),
    ...kept.map((topic) => ({ topic, partitions, settings: settings(0) })),
  ];
}

/** What is in them is nowhere else, so neither time nor size may end it, and a record with our headers must fit. */
function keptTopicSettings(delayMs: number, maxRecordBytes: number): Record<string, string> {
  return {
    'cleanup.policy': 'delete',
    'retention.ms': String(delayMs + KEPT_BEYOND_DELAY_MS),
    'retention.bytes': '-1',
    'max.message.bytes': String(maxRecordBytes),
  };
}

/** @returns of the sources what is there; where none is wanted, of the topics that are rekeyed. */
async function waitForSources(
  admin: TopicAdmin,
  { sources: wanted, rekey }: WantedTopics,
): Promise<{ found: ReadonlyMap<string, number>; sources: TopicCount[] }> {
  const names = wanted.length > 0 ? wanted : (rekey?.topics ?? []);
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const found = await listed(admin);
    const sources = [...found].filter(([, partitions]) => partitions > 0).filter(isNamed(names));
    if (sources.length > 0) return { found, sources };
    if (waitedMs >= SOURCES_TIMEOUT_MS) {
      const key = wanted.length > 0 ? 'kafka.topics' : 'kafka.rekey.topics';
      throw new UserError([
        `${key}: none of ${names.join(', ')} is there; create it first, since the delay topics get as many partitions`,
      ]);
    }
    await admin.pause(POLL_MS);
  }
}

function isNamed(names: readonly string[]): (topic: TopicCount) => boolean {
  const matchers = names.map((name) => (isPattern(name) ? new RegExp(name) : name));
  return ([topic]) => matchers.some((name) => (typeof name === 'string' ? name === topic : name.test(topic)));
}

async function create(
  admin: TopicAdmin,
  topic: string,
  partitions: number,
  settings: Readonly<Record<string, string>>,
): Promise<boolean> {
  try {
    return await admin.create(topic, partitions, settings);
  } catch (error) {
    throw new UserError([
      `topic ${topic} is not there and could not be made: ${messageOf(error)}; create it with ${partitions} partitions`,
    ]);
  }
}

/** Metadata travels: a topic that was made is not at once seen by who asks another broker. */
async function waitForTopics(
  admin: TopicAdmin,
  topics: readonly TopicToMake[],
): Promise<ReadonlyMap<string, number>> {
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const found = await listed(admin);
    const absent = topics.filter(({ topic }) => (found.get(topic) ?? 0) === 0);
    if (absent.length === 0) return found;
    if (waitedMs >= VISIBLE_TIMEOUT_MS) {
      throw new UserError(
        absent.map(
          ({ topic, partitions }) =>
            `topic ${topic} could not be made; create it with ${partitions} partitions`,
        ),
      );
    }
    await admin.pause(POLL_MS);
  }
}

async function listed(admin: TopicAdmin): Promise<ReadonlyMap<string, number>> {
  try {
    return await admin.list();
  } catch (error) {
    throw new UserError([`kafka.brokers: the topics could not be listed: ${messageOf(error)}`]);
  }
}

function requireEqualCounts(
  found: ReadonlyMap<string, number>,
  topics: readonly string[],
  partitions: number,
): void {
  const wrong = topics.filter((topic) => found.get(topic) !== partitions);
  if (wrong.length === 0) return;
  throw new UserError(
    wrong.map(
      (topic) =>
        `delay topic ${topic} has ${found.get(topic)} partitions and needs ${partitions}, as kafka.topics has; make them equal, or set another retry.topicPrefix`,
    ),
  );
}

function requireRekeyedCount(found: ReadonlyMap<string, number>, [topic, partitions]: TopicCount): void {
  const count = found.get(topic);
  if (count === partitions) return;
  throw new UserError([
    `kafka.rekey: topic ${topic} has ${count} partitions and needs ${partitions}; make them equal, or set kafka.rekey.partitions or another kafka.rekey.topic`,
  ]);
}

function isPattern(topic: string): boolean {
  return topic.startsWith('^');
}
