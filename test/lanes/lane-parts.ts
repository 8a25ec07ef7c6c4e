import type { Client, Dispatcher } from 'undici';
import { DeadlineWheel, type Deadlined } from '../../src/deliver/deadline-wheel.ts';
import { Origin, type HttpClient } from '../../src/deliver/http-client.ts';
import type { BreakerPolicy, Destination, RetryPolicy } from '../../src/domain/destination.ts';
import type { Event } from '../../src/domain/event.ts';
import { ABSENT } from '../../src/domain/batch-layout.ts';
import { RecordBytes } from '../../src/lanes/record-bytes.ts';
import { OpenRecord, type LaneAssignment } from '../../src/lanes/open-record.ts';
import type { RetryHeaders } from '../../src/domain/retry-headers.ts';

/** The calls undici 7 makes on a handler; its own types call these the old ones. */
export interface UndiciHandler {
  onConnect(abort: (reason?: Error) => void): void;
  onHeaders(status: number, headers: Buffer[]): boolean;
  onData(chunk: Buffer): boolean;
  onComplete(): void;
  onError(error: Error): void;
}

/** A request as undici is given it. */
export interface SentRequest {
  readonly path: string;
  readonly headers: readonly string[];
  readonly body: Buffer;
  readonly handler: UndiciHandler;
}

/** An origin whose requests are answered by the test. */
export class FakeOrigin {
  readonly sent: SentRequest[] = [];
  readonly origin: Origin;

  constructor(connections: number, onRequest: (request: SentRequest) => void = () => undefined) {
    const client = {
      dispatch: (
        { path, headers, body }: Dispatcher.DispatchOptions,
        handler: Dispatcher.DispatchHandler,
      ) => {
        const request = {
          path,
          headers: headers as string[],
          body: body as Buffer,
          handler: handler as UndiciHandler,
        };
        this.sent.push(request);
        onRequest(request);
        return true;
      },
    };
    this.origin = new Origin(() => client as unknown as Client, connections);
  }
}

/** A client with one origin, whose clock is the test's. */
export function clientOf(origin: Origin, nowMs: number, slotMs: number): HttpClient {
  const wheel = new DeadlineWheel(slotMs, 64, nowMs);
  return {
    watch: (entry: Deadlined) => {
      wheel.add(entry);
    },
    unwatch: (entry: Deadlined) => {
      wheel.remove(entry);
    },
    tick: (now: number) => {
      wheel.advance(now);
    },
    origin: () => origin,
    get inFlight() {
      return origin.inUse;
    },
  } as unknown as HttpClient;
}

export function destinationOf(id: string, change: Partial<Destination> = {}): Destination {
  return {
    id,
    tenant: '*',
    channel: 'webhook',
    origin: 'http://receiver.example',
    path: `/${id}`,
    events: ['**'],
    format: 'data',
    headers: [],
    rateLimit: null,
    maxInFlight: 100,
    timeoutMs: 1_000,
    minInFlight: 1,
    adaptive: false,
    retry: retryOf(3, 10, 100),
    breaker: null,
    order: 'none',
    poison: { maxBlockMs: 600_000, then: 'park' },
    expireAfterMs: null,
    weight: 1,
    ...change,
  };
}

/** The same number of attempts for every priority. */
export function retryOf(maxAttempts: number, initialDelayMs: number, maxDelayMs: number): RetryPolicy {
  return {
    maxAttempts: { high: maxAttempts, normal: maxAttempts, low: maxAttempts },
    initialDelayMs,
    maxDelayMs,
    scheduleMs: null,
    maxAgeMs: null,
    maxRetryAfterMs: 3_600_000,
    maxShare: 1,
  };
}

/** Opens after three failures in a row, for a second at first. */
export function breakerOf(change: Partial<BreakerPolicy> = {}): BreakerPolicy {
  return {
    consecutiveFailures: 3,
    failureRate: 1,
    windowMs: 10_000,
    minimumVolume: 1_000,
    openMs: 1_000,
    maxOpenMs: 4_000,
    disableAfterMs: null,
    ...change,
  };
}

export function assignmentOf(id: number, isRetry = false): LaneAssignment {
  return {
    id,
    topic: isRetry ? 'retry.1s' : 't',
    partition: id,
    isRetry,
    sinceMs: 0,
    recovered: new Map(),
    ended: false,
  };
}

export function openRecordOf(
  assignment: LaneAssignment,
  sequence: number,
  retry: RetryHeaders | null = null,
): OpenRecord {
  const value = Buffer.from(`value ${sequence}`);
  const place = { sequence, offset: sequence, timestampMs: 1_000, part: 0, parts: 1 };
  const origin = { assignment, ...place, bytes: value.length };
  return new OpenRecord(origin, recordBytesOf(Buffer.from('key'), null, value), retry);
}

/** What a record of a delay topic says of itself. */
export function retryHeadersOf(change: Partial<RetryHeaders> = {}): RetryHeaders {
  return {
    sourceTopic: 't',
    sourcePartition: 1,
    sourceOffset: 40,
    sourceTimestampMs: 900,
    tenant: 'acme',
    eventId: 'evt',
    eventType: 'contact.created',
    deliveryId: 'dlv',
    destinationId: 'd',
    attempts: 1,
    firstSeenMs: 950,
    dueMs: 980,
    hops: 0,
    reason: 'http_500',
    status: 500,
    ...change,
  };
}

/** Somewhere in a larger buffer, as in a batch. */
export function recordBytesOf(key: Buffer | null, headers: Buffer | null, value: Buffer | null): RecordBytes {
  const before = Buffer.alloc(100, 'z');
  const batch = Buffer.concat(
    [before, key ?? '', headers ?? '', value ?? '', Buffer.alloc(100_000, 'z')].map((part) =>
      Buffer.from(part),
    ),
  );
  const [keyBytes, headersBytes, valueBytes] = [key, headers, value].map(
    (part) => part?.length ?? ABSENT,
  ) as [number, number, number];
  return new RecordBytes(batch, before.length, keyBytes, headersBytes, valueBytes);
}

export function eventOf(id: string, tenant = 'acme', type = 'contact.created'): Event {
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
    priority: 'normal',
    expiresAtMs: null,
    data: Buffer.from(`{"id":"${id}"}`),
  };
}
