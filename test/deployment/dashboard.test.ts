/** Proves that dashboard and alerts ask only for what the metric table has, and that Prometheus can read them. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { describe, expect, test } from 'vitest';
import { METRICS, seriesNames } from '../../src/observability/metric-table.ts';
import type { LabelValues, MetricDefinition } from '../../src/observability/metric-table.ts';
import { runToEnd } from '../support/process.ts';
import { temporaryDirectory } from '../support/temp.ts';
import { debianProgram } from '../support/debian-program.ts';
import { dashboard, dashboardQueries, grafanaFile, ruleQueries } from './queries.ts';

const queries = [...dashboardQueries(), ...ruleQueries()];
/** What Prometheus adds to every series by itself, and what a histogram's buckets carry. */
const GIVEN_LABELS: Readonly<Record<string, LabelValues>> = {
  job: ['eventdispatch'],
  instance: 'any',
  le: 'any',
};
const known = new Set([...seriesNames(), 'up']);
const metrics: Readonly<Record<string, MetricDefinition>> = METRICS;

/** Names of series in an expression: words before a brace or a range, or with one of our prefixes. */
function seriesIn(expr: string): string[] {
  return [...expr.matchAll(/\b(?:(?:eventdispatch|process|nodejs)_\w+|\w+(?=\{))/g)].map(([name]) => name);
}

function labelsOf(series: string): Readonly<Record<string, LabelValues>> {
  const metric = metrics[series] ?? metrics[series.replace(/_(bucket|sum|count)$/, '')];
  return { ...GIVEN_LABELS, ...metric?.labels };
}

describe('what is asked for exists', () => {
  test('the files hold queries, and the check would see a wrong name', () => {
    expect(dashboardQueries().length).toBeGreaterThan(30);
    expect(ruleQueries().length).toBeGreaterThan(4);
    expect(seriesIn('sum(rate(eventdispatch_nothing_total[1m])) / foo{a="b"}')).toEqual([
      'eventdispatch_nothing_total',
      'foo',
    ]);
    expect(known.has('eventdispatch_nothing_total')).toBe(false);
  });

  test.each(queries)('$where: $expr', ({ expr }) => {
    const series = seriesIn(expr);
    expect(series).not.toEqual([]);
    expect(series.filter((name) => !known.has(name))).toEqual([]);

    for (const [, name, matchers] of expr.matchAll(/(\w+)\{([^}]*)\}/g)) {
      const labels = labelsOf(name!);
      for (const [, label, operator, value] of matchers!.matchAll(/(\w+)(=~|=|!=|!~)"([^"]*)"/g)) {
        expect(Object.keys(labels)).toContain(label);
        const values = labels[label!]!;
        if (typeof values !== 'string' && operator === '=') expect(values).toContain(value);
      }
    }

    const available = new Set(series.flatMap((name) => Object.keys(labelsOf(name))));
    for (const [, list] of expr.matchAll(/\bby \(([^)]*)\)/g)) {
      for (const label of list!.split(',')) expect([...available]).toContain(label.trim());
    }
  });
});

describe('the dashboard', () => {
  const { panels } = dashboard();

  test('covers what an operator on call asks', () => {
    const asked = dashboardQueries().flatMap(({ expr }) => seriesIn(expr));
    expect(asked).toEqual(
      expect.arrayContaining([
        'eventdispatch_records_polled_total',
        'eventdispatch_deliveries_total',
        'eventdispatch_attempts_total',
        'eventdispatch_attempt_duration_seconds_bucket',
        'eventdispatch_receipt_latency_seconds_bucket',
        'eventdispatch_consumer_lag_records',
        'eventdispatch_requests_in_flight',
        'eventdispatch_deliveries_queued',
        'eventdispatch_ledger_rows_total',
        'eventdispatch_ledger_inserts_total',
        'eventdispatch_lane_busy_seconds_total',
        'nodejs_eventloop_lag_p99_seconds',
        'process_resident_memory_bytes',
        'eventdispatch_handovers_total',
      ]),
    );
  });

  test('panels have ids of their own, stay inside the grid, and do not overlap', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos } of panels) {
      expect([title, gridPos.x + gridPos.w <= 24]).toEqual([title, true]);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, taken.has(`${x}/${y}`)]).toEqual([title, false]);
          taken.add(`${x}/${y}`);
        }
      }
    }
  });
});

const promtool = debianProgram('promtool', 'prometheus');

describe.skipIf(promtool === null)('promtool', () => {
  const run = (...args: string[]): Promise<string> =>
    runToEnd({ name: 'promtool', command: promtool!, args, timeoutMs: 15_000 });

  test('accepts the Prometheus configuration and the rules it names', async () => {
    expect(await run('check', 'config', grafanaFile('prometheus.yml'))).toMatch(/SUCCESS: \d+ rules found/);
  });

  test('can parse every query of the dashboard', async () => {
    const directory = await temporaryDirectory('promtool');
    const file = path.join(directory.path, 'rules.yml');
    const rules = dashboardQueries().map(({ expr }, i) => ({ record: `dashboard:query_${i}`, expr }));
    writeFileSync(file, stringify({ groups: [{ name: 'dashboard', rules }] }));
    expect(await run('check', 'rules', file)).toContain(`SUCCESS: ${rules.length} rules found`);
    await directory.remove();
  });
});
