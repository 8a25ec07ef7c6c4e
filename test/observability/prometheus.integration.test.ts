/** Proves with a real Prometheus that the surface can be scraped and that every dashboard query finds its series. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { evaluateReadiness } from '../../src/api/readiness.ts';
import { surfaceRoutes } from '../../src/api/routes.ts';
import { startHttpSurface } from '../../src/api/server.ts';
import type { HttpSurface } from '../../src/api/server.ts';
import { createLaneCounters, LaneCounters } from '../../src/observability/lane-counters.ts';
import { laneSlots } from '../../src/observability/lane-slots.ts';
import { createMetrics } from '../../src/observability/metrics.ts';
import type { Metrics } from '../../src/observability/metrics.ts';
import { debianProgram } from '../support/debian-program.ts';
import { dashboardQueries, grafanaFile, ruleQueries } from '../deployment/queries.ts';
import { freePort } from '../support/ports.ts';
import { runToEnd, startChild } from '../support/process.ts';
import type { Child } from '../support/process.ts';
import { temporaryDirectory } from '../support/temp.ts';
import type { TemporaryDirectory } from '../support/temp.ts';
import { waitFor } from '../support/wait.ts';
import { mainStats } from './main-stats-fixture.ts';

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

interface PrometheusConfig {
  global: Record<string, string>;
  rule_files: string[];
  scrape_configs: { static_configs: { targets: string[] }[] }[];
}

const prometheus = debianProgram('prometheus', 'prometheus');
const promtool = debianProgram('promtool', 'prometheus');

describe.skipIf(prometheus === null || promtool === null)('a real Prometheus', () => {
  const lane = new LaneCounters(createLaneCounters(1));
  let recordsPolled = 1_000;
  let metrics: Metrics;
  let surface: HttpSurface;
  let directory: TemporaryDirectory;
  let child: Child;
  let api: string;

  /** The configuration of docker-compose.yml, against the surface of this test and faster. */
  function configuration(target: string): string {
    const config = parse(readFileSync(grafanaFile('prometheus.yml'), 'utf8')) as PrometheusConfig;
    config.global = { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' };
    config.rule_files = [grafanaFile('rules.yml')];
    config.scrape_configs[0]!.static_configs[0]!.targets = [target];
    return stringify(config);
  }

  async function query(expr: string): Promise<Sample[]> {
    const response = await fetch(`${api}/query?query=${encodeURIComponent(expr)}`);
    const answer = (await response.json()) as { status: string; error?: string; data: { result: Sample[] } };
    if (answer.status !== 'success') throw new Error(`${expr}: ${answer.error}`);
    return answer.data.result;
  }

  beforeAll(async () => {
    metrics = createMetrics({
      lanes: [lane],
      destinations: ['crm'],
      main: () => mainStats({ recordsPolled }),
      version: '0.0.0',
    });
    const snapshot = {
      draining: false,
      lastPollMs: 0,
      kafka: { connected: true, lastError: null, assignedPartitions: 1 },
      ledger: {
        state: 'ok',
        lastError: null,
        awaitedBecause: null,
        isDiverting: false,
        pendingRows: 0,
        pendingSinceMs: null,
        lastAckMs: null,
      },
      rekey: null,
      lanes: { alive: 1, expected: 1 },
    } as const;
    surface = await startHttpSurface({
      host: '127.0.0.1',
      port: 0,
      routes: surfaceRoutes({ metrics, readiness: () => evaluateReadiness(snapshot, 0) }),
      onHandlerError: (error) => {
        throw error;
      },
    });
    directory = await temporaryDirectory('prometheus');
    const file = path.join(directory.path, 'prometheus.yml');
    writeFileSync(file, configuration(`127.0.0.1:${surface.port}`));
    const port = await freePort();
    api = `http://127.0.0.1:${port}/api/v1`;
    ({ child } = await startChild({
      name: 'prometheus',
      command: prometheus!,
      args: [
        `--config.file=${file}`,
        `--storage.tsdb.path=${path.join(directory.path, 'data')}`,
        `--web.listen-address=127.0.0.1:${port}`,
      ],
      ready: /Server is ready to receive web requests/,
      readyTimeoutMs: 30_000,
    }));
  });

  afterAll(async () => {
    await child.stop();
    surface.close();
    await directory.remove();
  });

  test('finds the target up', async () => {
    const up = await waitFor(async () => (await query('up{job="eventdispatch"}'))[0], {
      timeoutMs: 30_000,
      what: 'the first scrape',
    });
    expect(up.value[1]).toBe('1');
  });

  test('reads a counter of main and one of a lane as they move', async () => {
    recordsPolled = 5_432;
    lane.add(laneSlots.recordsReceived, 77);
    const reads = async (expr: string, value: string): Promise<void> => {
      await waitFor(async () => (await query(expr))[0]?.value[1] === value, {
        timeoutMs: 30_000,
        what: expr,
      });
    };
    await reads('eventdispatch_records_polled_total', '5432');
    await reads('eventdispatch_records_received_total', '77');
  });

  test('computes a quantile from a lane’s histogram', async () => {
    const fastOnes = 'increase(eventdispatch_receipt_latency_seconds_bucket[1m])';
    const p50 = await waitFor(
      async () => {
        // Prometheus sees an increase only between two scrapes, so observations go on until it has seen one.
        lane.observeReceipt(0.3);
        const [sample] = await query(`histogram_quantile(0.5, ${fastOnes})`);
        return sample !== undefined && sample.value[1] !== 'NaN' && Number(sample.value[1]);
      },
      { timeoutMs: 30_000, intervalMs: 200, what: 'a quantile' },
    );
    expect(p50).toBeGreaterThan(0.2);
    expect(p50).toBeLessThan(0.315);
  });

  test.each(dashboardQueries())('has series for $where: $expr', async ({ where, expr }) => {
    // Rates need two scrapes.
    await waitFor(async () => (await query(expr)).length > 0, { timeoutMs: 30_000, what: where });
  });

  test.each(ruleQueries())('can evaluate $where', async ({ expr }) => {
    await query(expr);
  });

  test('promtool finds nothing to improve in the exposition of our own metrics', async () => {
    const text = await metrics.renderMetrics();
    const own = text.split('\n').filter((line) => /^(# (HELP|TYPE) )?eventdispatch_/.test(line));
    const file = path.join(directory.path, 'metrics.txt');
    writeFileSync(file, `${own.join('\n')}\n`);
    const args = ['-c', '"$0" check metrics < "$1"', promtool!, file];
    expect(await runToEnd({ name: 'promtool', command: 'sh', args, timeoutMs: 15_000 })).toBe('');
  });
});
