/** The real broker of the test support does what tests rely on: topics, offsets, groups, stop and start, a proxy's port. */
import { execFile } from 'node:child_process';
import { createServer, connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startKafka } from '../support/kafka.ts';
import type { RealKafka } from '../support/kafka.ts';
import { answersApiVersions } from '../support/kafka-wire.ts';
import { runToEnd, spawnChild } from '../support/process.ts';
import { describeWithKafka } from '../support/with-real-parts.ts';
import { waitFor } from '../support/wait.ts';

const hasKcat = await promisify(execFile)('kcat', ['-V']).then(
  () => true,
  () => false,
);

function kcat(...args: string[]): Promise<string> {
  return runToEnd({
    name: `kcat ${args.join(' ')}`,
    command: 'kcat',
    args: ['-q', ...args],
    timeoutMs: 30_000,
  });
}

async function produce(brokers: string, topic: string, partition: number, lines: string): Promise<void> {
  await runToEnd({
    name: 'kcat -P',
    command: 'sh',
    args: ['-c', `printf '${lines}' | kcat -P -b ${brokers} -t ${topic} -p ${partition}`],
    timeoutMs: 30_000,
  });
}

describeWithKafka('shared broker', (kafka) => {
  test('creates topics with partitions and config, and refuses one that exists', async () => {
    const name = kafka.uniqueName('made');
    await kafka.createTopics([{ name, partitions: 12, config: { 'cleanup.policy': 'compact' } }]);
    expect(await kafka.endOffsets(name)).toEqual(new Array(12).fill(0));
    await expect(kafka.createTopics([{ name, partitions: 12 }])).rejects.toThrow(/already exists/);
    await kafka.deleteTopics([name]);
    await waitFor(async () => (await kafka.endOffsets(name)).length === 0, {
      timeoutMs: 5_000,
      what: 'deletion',
    });
  });

  test('knows committed offsets of a group that never was', async () => {
    const name = kafka.uniqueName('uncommitted');
    await kafka.createTopics([{ name, partitions: 3 }]);
    expect(await kafka.committedOffsets(kafka.uniqueName('group'), name)).toEqual([-1, -1, -1]);
  });

  test.skipIf(!hasKcat)('a real client produces and consumes in a group; offsets tell', async () => {
    const name = kafka.uniqueName('used');
    const group = kafka.uniqueName('group');
    await kafka.createTopics([{ name, partitions: 2 }]);
    await produce(kafka.brokers, name, 1, 'a\\nb\\nc\\n');
    expect(await kafka.endOffsets(name)).toEqual([0, 3]);
    const consumer = await spawnChild({
      name: 'kcat -G',
      command: 'kcat',
      args: ['-u', '-b', kafka.brokers, '-X', 'auto.offset.reset=earliest', '-G', group, name],
    });
    await consumer.waitForLine(/^c$/, 20_000);
    await consumer.stop();
    expect(await kafka.committedOffsets(group, name)).toEqual([-1, 3]);
    await kafka.deleteRecords(name, new Map([[1, 2]]));
    expect(await kafka.startOffsets(name)).toEqual([0, 2]);
  });
});

describeWithKafka('a broker of its own', () => {
  let broker: RealKafka;
  let proxyPort: number;
  let proxied = 0;
  const proxy = createServer((client) => {
    proxied += 1;
    const [host, port] = broker.proxyTarget.split(':') as [string, string];
    const upstream = connect(Number(port), host);
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
  });

  beforeAll(async () => {
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    proxyPort = (proxy.address() as AddressInfo).port;
    broker = await startKafka({ proxyPort, config: { 'message.max.bytes': '2000000' } });
  });

  afterAll(async () => {
    await broker.stop();
    proxy.close();
  });

  describe.each(['stopProcess', 'killProcess'] as const)('%s', (how) => {
    test('keeps data and port over startAgain', async () => {
      const name = broker.tools.uniqueName('kept');
      await broker.tools.createTopics([{ name, partitions: 1 }]);
      const before = broker.pid;
      await broker[how]();
      await expect(answersApiVersions(broker.brokers)).rejects.toThrow(/ECONNREFUSED/);
      await broker.startAgain();
      expect(broker.pid).not.toBe(before);
      expect(await broker.tools.endOffsets(name)).toEqual([0]);
    });
  });

  test('pause leaves connections unanswered until resume', async () => {
    broker.pause();
    let answered = false;
    const answer = answersApiVersions(broker.brokers).then(() => (answered = true));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(answered).toBe(false);
    broker.resume();
    await answer;
  });

  test.skipIf(!hasKcat)('a client that comes by the proxy stays behind it', async () => {
    const metadata = await kcat('-b', `127.0.0.1:${proxyPort}`, '-L');
    expect(metadata).toContain(`broker 1 at 127.0.0.1:${proxyPort}`);
    expect(proxied).toBeGreaterThan(0);
  });
});
