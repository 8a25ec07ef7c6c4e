/** The configuration a demo writes is one, and wants what the reconcile expects. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Config } from '../../src/config/config.ts';
import { writeDemoConfig } from '../../src/demo/demo-config.ts';
import { openDemoFolder, type DemoFolder } from '../../src/demo/demo-folder.ts';
import { DEMO_DESTINATIONS, describeBehaviour } from '../../src/demo/destinations.ts';
import { RouteTable } from '../../src/route/route-table.ts';
import { catalogueTypes } from '../../src/samples/catalogue.ts';

let folder: DemoFolder;
let config: Config;
beforeAll(async () => {
  folder = await openDemoFolder();
  config = writeDemoConfig(folder, { crm: 4001, warehouse: 4002, billing: 4003 });
});
afterAll(async () => {
  folder.close();
  await folder.remove();
});

test('broker and ClickHouse are embedded, and the ledger lies in the folder', () => {
  expect(config.kafka.brokers).toBeNull();
  expect(config.clickhouse).toMatchObject({ url: null, embeddedPath: folder.ledgerPath });
});

test('the destinations are those of the receivers, in their order, for every tenant', () => {
  expect(config.destinations.map(({ id, tenant, origin }) => [id, tenant, origin])).toEqual([
    ['crm', '*', 'http://127.0.0.1:4001'],
    ['warehouse', '*', 'http://127.0.0.1:4002'],
    ['billing', '*', 'http://127.0.0.1:4003'],
  ]);
  expect(DEMO_DESTINATIONS.map(({ id }) => id)).toEqual(config.destinations.map(({ id }) => id));
});

describe('both spellings of the filters mean the same', () => {
  test.each(catalogueTypes)('%s', (type) => {
    const routes = new RouteTable(config.destinations).forTenant('tenant-1');
    const routed = routes.match(type).map((index) => routes.destinations[index]!.id);
    const expected = DEMO_DESTINATIONS.filter(({ typePattern }) => new RegExp(typePattern).test(type));
    expect(routed).toEqual(expected.map(({ id }) => id));
  });

  test('and some type is for nobody, so that a run has filtered events', () => {
    const isWanted = (type: string): boolean =>
      DEMO_DESTINATIONS.some(({ typePattern }) => new RegExp(typePattern).test(type));
    expect(catalogueTypes.some((type) => !isWanted(type))).toBe(true);
  });
});

test('the receivers are one fast, one slow and one that fails a twentieth', () => {
  expect(DEMO_DESTINATIONS.map(({ receiver }) => describeBehaviour(receiver))).toEqual([
    'fast',
    '200 ms slow',
    '503 to 5 %',
  ]);
});
