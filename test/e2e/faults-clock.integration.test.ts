/**
 * Fault P3: the wall clock jumps an hour ahead and back, and an hour back and ahead, under load. First attempts go on at
 * the rate they are allowed, since buckets, deadlines and timers go by the monotonic clock.
 *
 * What waits in a delay topic goes by the wall clock, as its due time and Kafka's timestamps are kept there: while the
 * clock is wrong, a retry comes early or late by as much. Breakers are proven on their own clock in
 * test/limit/breaker.test.ts.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { startDispatcherProcess, type DispatcherProcess } from '../support/dispatcher.ts';
import { supportFile } from '../support/repository.ts';
import { temporaryDirectory, type TemporaryDirectory } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { busiestWindow } from './arrival-windows.ts';
import { LatenessProbe, worstLatenessMs } from './lateness-probe.ts';
import { sampleRecords } from './sample-records.ts';
import { Scenario } from './scenario.ts';
import { Sender } from './sender.ts';

const HOUR_MS = 3_600_000;
const RATE_PER_SECOND = 100;
const BURST = 10;
const EVENTS = 2_000;
const BETWEEN_MS = 3_500;
const OFFSETS_MS = [HOUR_MS, 0, -HOUR_MS, 0];
/** Tokens come every 10 ms; a timer that went by the wall clock would wait an hour. */
const LONGEST_GAP_MS = 1_000;

describeWithKafka('P3: the wall clock jumps an hour, ahead and back', (kafka) => {
  let scenario: Scenario;
  let dispatcher: DispatcherProcess;
  let folder: TemporaryDirectory;
  let arrivalsUs: number[];
  let latenessMs = 0;
  const deliveredAtJump: number[] = [];

  beforeAll(async () => {
    folder = await temporaryDirectory('clock');
    scenario = await Scenario.open({
      kafka,
      partitions: 2,
      destinations: {
        crm: { settings: { rateLimit: { rate: `${RATE_PER_SECOND}/s`, burst: BURST }, timeout: '2s' } },
        probed: { settings: { tenant: 'nobody' } },
      },
    });
    const offset = path.join(folder.path, 'offset');
    await writeFile(offset, '0');
    const jumps = pathToFileURL(supportFile('wall-clock-jump.mjs'));
    jumps.searchParams.set('file', offset);
    dispatcher = await startDispatcherProcess(scenario.configuration(), ['--import', jumps.href]);
    const probe = await LatenessProbe.start(scenario.receiver.url('probed'));
    const sender = await Sender.open(kafka.brokers);
    const samples = sampleRecords({ count: EVENTS, tenants: 1, types: ['contact.created'], seed: 1 });
    await sender.send(
      scenario.topic,
      samples.map(({ key, value }) => ({ partition: null, key, value })),
    );
    await sender.close();
    await waitFor(async () => (await scenario.receiver.count('crm')) > BURST, {
      timeoutMs: 30_000,
      what: () => `the first requests\n${dispatcher.child.output()}`,
    });
    for (const offsetMs of OFFSETS_MS) {
      await writeFile(offset, String(offsetMs));
      deliveredAtJump.push(await scenario.receiver.count('crm'));
      await sleep(BETWEEN_MS);
    }
    await scenario.settled();
    await probe.stop();
    latenessMs = worstLatenessMs(await scenario.receiver.requests('probed'));
    arrivalsUs = (await scenario.receiver.requests('crm')).map(({ monotonicUs }) => monotonicUs);
  });
  afterAll(async () => {
    await dispatcher.kill();
    await scenario.close();
    await folder.remove();
  });

  it('really jumped, with work left', async () => {
    expect(deliveredAtJump.at(-1)).toBeLessThan(EVENTS);
    const [row] = await scenario.ledger.query<{ ahead: number; behind: number }>(
      `SELECT countIf(attempted_at > now() + INTERVAL 30 MINUTE) AS ahead,
         countIf(attempted_at < now() - INTERVAL 30 MINUTE) AS behind FROM attempts`,
    );
    expect(row!.ahead).toBeGreaterThan(0);
    expect(row!.behind).toBeGreaterThan(0);
  });

  it('sends no more than the limit allows, and is never at a standstill', () => {
    for (const seconds of [1, 10]) {
      const allowed = Math.floor(RATE_PER_SECOND * (seconds + latenessMs / 1000) + BURST);
      expect(busiestWindow(arrivalsUs, seconds * 1_000_000)).toBeLessThanOrEqual(allowed);
    }
    const gapsUs = arrivalsUs.slice(1).map((atUs, index) => atUs - arrivalsUs[index]!);
    expect(Math.max(...gapsUs) / 1000).toBeLessThan(LONGEST_GAP_MS);
  });

  it('delivers everything once, at the first attempt', async () => {
    expect(arrivalsUs).toHaveLength(EVENTS);
    const deliveries = [...(await scenario.ledgerDeliveries('crm')).values()];
    expect(deliveries).toHaveLength(EVENTS);
    expect(deliveries.filter(({ attempts, delivered }) => attempts !== 1 || delivered !== 1)).toEqual([]);
  });

  it('drains', async () => {
    expect(await dispatcher.stop(), dispatcher.child.output()).toEqual({ code: 0, signal: null });
  });
});
