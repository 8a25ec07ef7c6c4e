/** What a retry record says about the one delivery that it is. */
export interface RetryHeaders {
  /** Where the record was first: that of the source topic, however often it was handed over since. */
  readonly sourceTopic: string;
  readonly sourcePartition: number;
  readonly sourceOffset: number;
  readonly sourceTimestampMs: number;
  readonly tenant: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly deliveryId: string;
  readonly destinationId: string;
  /** Charged so far. */
  readonly attempts: number;
  /** When its first attempt was considered, Unix epoch milliseconds. */
  readonly firstSeenMs: number;
  /** Not before this, Unix epoch milliseconds. */
  readonly dueMs: number;
  /** How often it went from one delay topic to the next since it was handed over. */
  readonly hops: number;
  /** Of the last attempt. */
  readonly reason: string;
  /** HTTP status of the last attempt, 0 when there was none. */
  readonly status: number;
}
