import { METRICS } from '../../src/observability/metric-table.ts';
import { PROCESS_METRICS } from '../../src/observability/process-metrics.ts';
import type { LabelValues, MetricDefinition } from '../../src/observability/metric-table.ts';

/** docs/metrics.md, made of the metric table. */
export function metricsReference(): string {
  const rows = Object.entries(METRICS).map(([name, metric]) => row(name, metric));
  return [
    '# Metrics',
    '',
    'What `GET /metrics` shows. Made from `src/observability/metric-table.ts`;',
    'renew it with `npx vitest run test/observability/metrics.test.ts -u`.',
    '',
    '| metric | type | unit | labels | meaning |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    'Histogram buckets: five a decade from 0.5 ms to 800 s.',
    '',
    'Of the process and of Node, by prom-client:',
    '',
    ...PROCESS_METRICS.map((name) => `- \`${name}\``),
    '',
  ].join('\n');
}

function row(name: string, { type, unit, labels, help }: MetricDefinition): string {
  const labelTexts = Object.entries(labels).map(([label, values]) => `\`${label}\`: ${valuesText(values)}`);
  return `| \`${name}\` | ${type} | ${unit} | ${labelTexts.join('<br>')} | ${help} |`;
}

function valuesText(values: LabelValues): string {
  return typeof values === 'string' ? values : values.map((value) => `\`${value}\``).join(', ');
}
