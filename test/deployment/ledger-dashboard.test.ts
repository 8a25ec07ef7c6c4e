/**
 * Proves that the ledger's dashboard asks what the shipped queries ask, word for word, of the
 * data source that is provisioned. What the queries answer is proven where they are.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { shippedQuery } from '../../src/cli/query/shipped-queries.ts';
import type { NamedQuery } from '../../src/ledger/named-query.ts';
import { grafanaFile } from './queries.ts';

interface LedgerDashboard {
  readonly uid: string;
  readonly panels: readonly {
    readonly id: number;
    readonly title: string;
    readonly description: string;
    readonly datasource: { readonly type: string; readonly uid: string };
    readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
    readonly targets: readonly { readonly rawSql: string; readonly datasource: { readonly uid: string } }[];
  }[];
}

const text = (name: string): string => readFileSync(grafanaFile(name), 'utf8');
const { panels, uid } = JSON.parse(text('dashboards/ledger.json')) as LedgerDashboard;

/** As a panel asks it: Grafana's time range, the defaults, every tenant. */
function askedByPanel({ sql, parameters }: NamedQuery): string {
  return sql.replaceAll(/\{(\w+):[^}]+\}/g, (_, name: string) => {
    if (name === 'since') return '$__fromTime';
    if (name === 'until') return '$__toTime';
    const { kind, defaultText } = parameters.find((parameter) => parameter.name === name) ?? {};
    expect(defaultText).toBeTypeOf('string');
    return kind === 'count' ? String(defaultText) : `'${defaultText}'`;
  });
}

test.each(panels)('panel "$title" asks what its query asks', ({ description, targets }) => {
  const name = /\bqueries\/([\w-]+)\.sql$/.exec(description)?.[1] ?? '';
  expect(targets.map(({ rawSql }) => rawSql)).toEqual([askedByPanel(shippedQuery(name))]);
  expect(description.startsWith(shippedQuery(name).summary)).toBe(true);
});

test('every panel asks the provisioned data source, by the user and database of the compose file', () => {
  const [source] = (
    parse(text('provisioning/datasources/clickhouse.yml')) as {
      datasources: readonly { uid: string; type: string; jsonData: Record<string, unknown> }[];
    }
  ).datasources;
  const compose = parse(text('../docker-compose.yml')) as {
    services: Record<string, { environment?: Record<string, string>; ports?: string[] }>;
  };
  const { environment: server = {} } = compose.services['clickhouse'] ?? {};
  const { environment: grafana = {} } = compose.services['grafana'] ?? {};
  for (const { datasource, targets } of panels) {
    expect(datasource).toEqual({ type: source?.type, uid: source?.uid });
    for (const target of targets) expect(target.datasource.uid).toBe(source?.uid);
  }
  expect(source?.jsonData).toMatchObject({
    host: 'clickhouse',
    port: 8123,
    username: server['CLICKHOUSE_USER'],
    defaultDatabase: server['CLICKHOUSE_DB'],
  });
  expect(grafana['CLICKHOUSE_PASSWORD']).toBe(server['CLICKHOUSE_PASSWORD']);
  expect(grafana['GF_PLUGINS_PREINSTALL']).toBe(source?.type);
});

test('panels have ids of their own and do not overlap', () => {
  expect(uid).toBe('eventdispatch-ledger');
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  for (const [i, { gridPos: a }] of panels.entries()) {
    expect(a.x + a.w).toBeLessThanOrEqual(24);
    for (const { gridPos: b } of panels.slice(i + 1)) {
      const isApart = a.x + a.w <= b.x || b.x + b.w <= a.x || a.y + a.h <= b.y || b.y + b.h <= a.y;
      expect(isApart).toBe(true);
    }
  }
});
