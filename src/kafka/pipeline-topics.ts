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
  /** Must have as many partitions as the sources; each with its delay in milliseconds. */
  readonly delays: ReadonlyMap<string, number>;
  /** May have any number of partitions. */
  readonly others: readonly string[];
}

export interface PipelineTopics {
  /** Of each delay topic: the most that a source topic has. */
  readonly partitions: number;
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
/** How long a record is kept beyond its delay: an outage of everything that long loses no retry. */
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
  const { found, sources } = await waitForSources(admin, wanted.sources);
  const counts = sources.map(([, partitions]) => partitions);
  const partitions = Math.max(...counts);
  const missing = wanted.sources.filter((name) => !isPattern(name) && !found.has(name));
  const created = [...wanted.delays.keys(), ...wanted.others].filter((topic) => !found.has(topic));
  let answers = true;
  for (const topic of created) {
    const delayMs = wanted.delays.get(topic);
    const settings = delayMs === undefined ? {} : delayTopicSettings(delayMs, maxRecordBytes);
    answers &&= await create(admin, topic, partitions, settings);
    if (!answers) await admin.ask(topic);
  }
  const now = created.length === 0 ? found : await waitForTopics(admin, created, partitions);
  requireEqualCounts(now, [...wanted.delays.keys()], partitions);
  const isUnequal = counts.some((count) => count !== partitions);
  return { partitions, created, unequal: isUnequal ? sources : [], missing };
}

/** Retries are nowhere else, so neither time nor size may end them, and a record with our headers must fit. */
function delayTopicSettings(delayMs: number, maxRecordBytes: number): Record<string, string> {
  return {
    'cleanup.policy': 'delete',
    'retention.ms': String(delayMs + KEPT_BEYOND_DELAY_MS),
    'retention.bytes': '-1',
    'max.message.bytes': String(maxRecordBytes),
  };
}

async function waitForSources(
  admin: TopicAdmin,
  wanted: readonly string[],
): Promise<{ found: ReadonlyMap<string, number>; sources: (readonly [string, number])[] }> {
  const matchers = wanted.map((name) => (isPattern(name) ? new RegExp(name) : name));
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const found = await listed(admin);
    const sources = [...found].filter(([topic, partitions]) => {
      const matches = matchers.some((name) => (typeof name === 'string' ? name === topic : name.test(topic)));
      return matches && partitions > 0;
    });
    if (sources.length > 0) return { found, sources };
    if (waitedMs >= SOURCES_TIMEOUT_MS) {
      throw new UserError([
        `kafka.topics: none of ${wanted.join(', ')} is there; create it first, since the delay topics get as many partitions`,
      ]);
    }
    await admin.pause(POLL_MS);
  }
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
  topics: readonly string[],
  partitions: number,
): Promise<ReadonlyMap<string, number>> {
  for (let waitedMs = 0; ; waitedMs += POLL_MS) {
    const found = await listed(admin);
    const absent = topics.filter((topic) => (found.get(topic) ?? 0) === 0);
    if (absent.length === 0) return found;
    if (waitedMs >= VISIBLE_TIMEOUT_MS) {
      throw new UserError(
        absent.map((topic) => `topic ${topic} could not be made; create it with ${partitions} partitions`),
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

function isPattern(topic: string): boolean {
  return topic.startsWith('^');
}
