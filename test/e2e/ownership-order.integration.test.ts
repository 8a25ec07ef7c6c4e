/**
 * Order over all processes: at a destination with `order: key` the first successes of a key come in the order of its
 * offsets, while one process joins and another leaves, and while attempts fail; a key that keeps failing holds up only
 * itself.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { deliveryId } from '../../src/domain/ids.ts';
import type { DispatcherProcess } from '../support/dispatcher.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender } from './sender.ts';

const TENANTS = 10;
const KEYS = 8;
const EVENTS = 6_000;
/** One in so many attempts fails. */
const FAILS = 10;
const PARTITIONS = 6;
const BETWEEN = 800;
/** Fails until all others are through. */
const STUBBORN = 'stubborn';
const STUBBORN_EVENTS = 5;
const TIMEOUT_MS = 90_000;
/** Of the receiver; slow enough that there is work left when the second process has come. */
const ANSWERS_AFTER_MS = 150;

describeWithKafka('ordered deliveries of keys; one process joins, one leaves', (kafka) => {
  let receiver: KeyReceiver;
  let scenario: Scenario;
  /** Ids of deliveries by tenant and key, in the order of their offsets. */
  const expected = new Map<string, string[]>();
  let othersDoneMs = 0;
  let stubbornInBetween: readonly string[] = [];
  const deliveredBy: number[] = [];

  beforeAll(async () => {
    receiver = new KeyReceiver();
    await receiver.listen();
    scenario = await Scenario.open({
      kafka,
      partitions: PARTITIONS,
      destinations: {},
      config: {
        destinations: [
          {
            id: 'ordered',
            tenant: '*',
            url: receiver.url,
            order: 'key',
            maxInFlight: 16,
            breaker: 'off',
            retry: { initialDelay: '50ms', maxDelay: '500ms' },
            poison: { maxBlock: '5m', then: 'park' },
          },
        ],
        kafka: { revokeDeadline: '1s', commitInterval: '200ms' },
        shutdown: { deadline: '2s' },
      },
    });
    const sender = await Sender.open(kafka.brokers);
    const first = await scenario.startDispatcher();
    await send(sender);
    await delivered(first, BETWEEN);
    const second = await scenario.startDispatcher();
    await delivered(second, BETWEEN);
    deliveredBy.push(await deliveriesOf(first));
    await first.stop();
    const startedMs = performance.now();
    await waitFor(() => receiver.successes.size >= EVENTS, {
      timeoutMs: TIMEOUT_MS,
      what: () => `the deliveries of all other keys, ${receiver.successes.size}\n${second.child.output()}`,
    });
    othersDoneMs = performance.now() - startedMs;
    stubbornInBetween = receiver.tried.get(STUBBORN) ?? [];
    receiver.heal();
    await scenario.settled();
    deliveredBy.push(await deliveriesOf(second));
    await sender.close();
    await second.stop();
  });
  afterAll(async () => {
    await scenario.close();
    await receiver.close();
  });

  it('has the first successes of each key in the order of its offsets', () => {
    expect(expected.size).toBe(TENANTS * KEYS + 1);
    for (const [key, ids] of expected) expect(receiver.firstSuccesses(ids), key).toEqual(ids);
  });

  it('sends one of a key at a time', () => {
    expect(receiver.overlaps).toEqual([]);
  });

  it('holds up no other key for one that fails, and of that key sends only the first', () => {
    console.info(
      `other keys were through ${Math.round(othersDoneMs)} ms after the first process had left; ` +
        `the failing one was tried ${stubbornInBetween.length} times`,
    );
    expect(stubbornInBetween.length).toBeGreaterThan(3);
    expect(new Set(stubbornInBetween)).toEqual(new Set(expected.get(STUBBORN)!.slice(0, 1)));
  });

  it('really had both processes work, and attempts that failed', () => {
    for (const count of deliveredBy) expect(count).toBeGreaterThanOrEqual(BETWEEN);
    expect(receiver.failures).toBeGreaterThan(EVENTS / FAILS / 2);
  });

  async function send(sender: Sender): Promise<void> {
    const samples = sampleRecords({
      count: EVENTS,
      tenants: TENANTS,
      types: ['contact.updated'],
      seed: 1,
    });
    const stubborn = sampleRecords({
      count: STUBBORN_EVENTS,
      tenants: 1,
      types: ['contact.updated'],
      seed: 2,
    });
    const keyed = samples.map((sample, index) => ({ sample, subject: `key-${index % KEYS}` }));
    // In front, so that all that comes after it on its partition would wait behind it.
    for (const sample of stubborn) keyed.unshift({ sample, subject: STUBBORN });
    const sent = await sender.send(
      scenario.topic,
      keyed.map(({ sample: { key, value }, subject }) => ({
        partition: null,
        key,
        value,
        headers: [['ce_subject', Buffer.from(subject)] as const],
      })),
    );
    keyed
      .map(({ sample: { tenant, eventId }, subject }, index) => ({
        place: subject === STUBBORN ? STUBBORN : `${tenant}/${subject}`,
        id: deliveryId(tenant, eventId, 'ordered'),
        offset: sent[index]!.offset,
      }))
      .sort((a, b) => a.offset - b.offset)
      .forEach(({ place, id }) => expected.set(place, [...(expected.get(place) ?? []), id]));
  }
});

/** Answers by the event's key, and writes down what the order of a key can be judged by. */
class KeyReceiver {
  /** Delivery ids by the order of their first 2xx. */
  readonly successes = new Map<string, number>();
  /** Delivery ids of requests, by key. */
  readonly tried = new Map<string, string[]>();
  /** Keys of which two different deliveries were in flight at once. */
  readonly overlaps: string[] = [];
  failures = 0;
  #isHealed = false;
  #requests = 0;
  readonly #inFlight = new Map<string, string>();
  readonly #server: Server = createServer((request, response) => {
    this.#receive(request, response);
  });

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  heal(): void {
    this.#isHealed = true;
  }

  /** These ids, in the order of their first successes. */
  firstSuccesses(ids: readonly string[]): string[] {
    return ids
      .filter((id) => this.successes.has(id))
      .sort((a, b) => this.successes.get(a)! - this.successes.get(b)!);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #receive(request: IncomingMessage, response: ServerResponse): void {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += String(chunk)));
    request.on('end', () => {
      const { tenantid, subject } = JSON.parse(body) as { tenantid: string; subject: string };
      const key = subject === STUBBORN ? STUBBORN : `${tenantid}/${subject}`;
      const id = String(request.headers['webhook-id']);
      this.tried.set(key, [...(this.tried.get(key) ?? []), id]);
      const other = this.#inFlight.get(key);
      if (other !== undefined && other !== id) this.overlaps.push(`${key}: ${other} and ${id}`);
      this.#inFlight.set(key, id);
      setTimeout(() => {
        this.#answer(response, key, id);
      }, ANSWERS_AFTER_MS);
    });
  }

  #answer(response: ServerResponse, key: string, id: string): void {
    this.#inFlight.delete(key);
    const fails = key === STUBBORN ? !this.#isHealed : ++this.#requests % FAILS === 0;
    if (fails) this.failures++;
    else if (!this.successes.has(id)) this.successes.set(id, this.successes.size);
    response.writeHead(fails ? 503 : 200).end();
  }
}

function deliveriesOf(dispatcher: DispatcherProcess): Promise<number> {
  return dispatcher.metric('eventdispatch_deliveries_total', { outcome: 'delivered' });
}

async function delivered(dispatcher: DispatcherProcess, count: number): Promise<void> {
  await waitFor(async () => (await deliveriesOf(dispatcher)) >= count, {
    timeoutMs: TIMEOUT_MS,
    intervalMs: 50,
    what: () => `${count} deliveries\n${dispatcher.child.output()}`,
  });
}
