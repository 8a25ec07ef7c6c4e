/**
 * Bounds that no configuration lifts, in one place, with the relations between
 * them asserted when the program loads. What an operator may tune is in
 * `config/`; its ranges refer to these.
 */
export const limits = {
  /** Records per partition from the first open one (admitted, not durable) on. A power of two. */
  partitionWindowRecords: 16_384,
  /** Records per partition from the committed offset on, durable or not: what a crash leaves to be looked up. */
  uncommittedRecords: 65_536,
  /** Bytes of records packed into one transferred buffer; a single larger record goes alone. */
  batchMaxBytes: 256 * 1024,
  /** Most records asked from librdkafka at once, of source topics and of delay topics each. */
  pollMaxRecords: 1_024,
  /** Pause before a poll whose predecessor took all there was. It gathers what comes meanwhile, and holds no thread. */
  pollPauseMs: 10,
  /** How long one read of a topic by offsets may wait; librdkafka applies it per message, and it holds a libuv thread. */
  pollTimeoutMs: 20,
  /** librdkafka's prefetch queue of source topics. */
  prefetchBytes: 16 * 1024 * 1024,
  /** The same of delay topics. */
  delayPrefetchBytes: 4 * 1024 * 1024,
  /** Records of delay topics that are kept until they are due, rather than read again: of all, and of one partition. */
  keptRetryRecords: 8_192,
  keptRetryBytes: 8 * 1024 * 1024,
  keptRetryRecordsPerPartition: 256,
  keptRetryBytesPerPartition: 256 * 1024,
  /** Ceiling for `kafka.maxRecordBytes`. */
  recordMaxBytes: 16 * 1024 * 1024,
  /** Confluent wire format: magic byte and schema id. */
  wireHeaderBytes: 5,
  /** Writer schemas kept compiled, per thread. */
  schemaCacheEntries: 1_000,
  /** Bytes of one schema's text. */
  schemaMaxBytes: 1024 * 1024,
  /** Items of one array or map block whose items take no bytes: the decode bomb. */
  zeroWidthItems: 10_000,
  /** One record as JSON: many small fields with long names make more of it than there is Avro. */
  jsonMaxBytes: 32 * 1024 * 1024,
  /** Nesting depth of one Avro value. */
  avroDepth: 64,
  /** Bytes of ids and names taken from an event (tenant, id, type, key …). */
  identifierMaxBytes: 512,
  /** Response headers of a receiver. */
  responseHeaderMaxBytes: 16 * 1024,
  /** Ledger bytes that may wait for an insert before admission stops. */
  ledgerPendingMaxBytes: 64 * 1024 * 1024,
  /** Hand-overs (dead letters, bad events) that may wait for the broker's ack before admission stops. */
  handoverPendingRecords: 20_000,
  handoverPendingBytes: 32 * 1024 * 1024,
  /** Records of `kafka.rekey.topics` on their way to the topic keyed by tenant, before their topics are read no further. */
  rekeyPendingRecords: 10_000,
  rekeyPendingBytes: 16 * 1024 * 1024,
  /** Old generation of a lane thread's heap: at this the thread dies, before the process does. */
  laneHeapMb: 1024,
  /** Half of a lane thread's young generation, from its start. V8 lets it grow to no more than this by default. */
  laneSemiSpaceMb: 16,
  /** By how much of what lives a heap grows, main's too, before all of it is collected again. V8 chooses 10 to 300. */
  heapGrowingPercent: 200,
  /** A lane thread whose event loop has not turned for so long is replaced. */
  laneStallMs: 10_000,
  /** Lanes addressable by the frontier's one-byte column. */
  lanes: 255,
} as const;

/** @throws Error naming the relation that does not hold. */
export function assertLimits(l: Readonly<Record<keyof typeof limits, number>>): void {
  const must = (holds: boolean, relation: string): void => {
    if (!holds) throw new Error(`limits.ts is inconsistent: ${relation}`);
  };
  const isPowerOfTwo = (n: number): boolean => n > 0 && (n & (n - 1)) === 0;
  must(isPowerOfTwo(l.partitionWindowRecords), 'partitionWindowRecords is a power of two');
  must(l.partitionWindowRecords <= l.uncommittedRecords, 'what is open is not committed');
  must(l.pollMaxRecords <= l.partitionWindowRecords, 'one poll fits one partition window');
  must(l.batchMaxBytes < l.prefetchBytes, 'a batch is smaller than the prefetch queue');
  must(l.pollTimeoutMs <= 20, 'a poll holds its libuv thread for at most 20 ms a message');
  must(l.wireHeaderBytes === 5, 'the Confluent header is 5 bytes');
}

assertLimits(limits);
