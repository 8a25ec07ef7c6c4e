/**
 * Proves that each shipped question answers what it says it does: every figure is worked out
 * here too, from the rows that were written, and not by SQL.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ask, type Answer } from '../../../src/cli/query/ask.ts';
import { boundValues } from '../../../src/cli/query/parameters.ts';
import { shippedQueries, shippedQuery } from '../../../src/cli/query/shipped-queries.ts';
import {
  EVENT_BYTES,
  EVENTS,
  FIRST_MS,
  seedLedger,
  type SeededLedger,
  type Written,
} from './seeded-ledger.ts';

let seeded: SeededLedger;
beforeAll(async () => {
  seeded = await seedLedger();
});
afterAll(() => seeded.ledger.close());

/** In the middle of the seeded time, on whole minutes since the rollups know no less. */
const SINCE = '2026-03-01T10:20:00Z';
const UNTIL = '2026-03-01T12:00:00Z';
const WINDOW = [`since=${SINCE}`, `until=${UNTIL}`];

const answer = (name: string, params: readonly string[]): Promise<Answer> => {
  const query = shippedQuery(name);
  return ask(seeded.ledger, query, boundValues(query, params, Date.now()));
};
const rowsOf = async (name: string, params: readonly string[] = WINDOW): Promise<Answer['rows']> =>
  (await answer(name, params)).rows;

const inWindow = ({ attemptedAtMs }: Written): boolean =>
  attemptedAtMs >= Date.parse(SINCE) && attemptedAtMs < Date.parse(UNTIL);
const rows = (keep: (row: Written) => boolean = () => true): Written[] =>
  seeded.rows.filter((row) => inWindow(row) && keep(row));
const isSent = ({ attemptClass }: Written): boolean => attemptClass !== '';
const isOf =
  (...outcomes: string[]) =>
  ({ outcome }: Written): boolean =>
    outcomes.includes(outcome);

/** Groups in the order of their keys. */
function grouped(of: readonly Written[], keyOf: (row: Written) => string): [string, Written[]][] {
  const groups = new Map<string, Written[]>();
  for (const row of of) {
    const group = groups.get(keyOf(row));
    if (group === undefined) groups.set(keyOf(row), [row]);
    else group.push(row);
  }
  return [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
}
const count = (of: readonly Written[], keep: (row: Written) => boolean): number => of.filter(keep).length;
const sum = (of: readonly Written[], value: (row: Written) => number): number =>
  of.reduce((total, row) => total + value(row), 0);
const rounded = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits;
const percent = (part: number, whole: number, digits = 2): number => rounded((100 * part) / whole, digits);
/** Figures that SQL rounds from binary fractions may differ in the last digit. */
const near = (value: number, digits: number): unknown => expect.closeTo(value, digits - 1);

describe('all of them', () => {
  test.each(shippedQueries().map(({ name }) => name))(
    '%s says what it is and what its parameters mean',
    (name) => {
      const { summary, parameters, sql } = shippedQuery(name);
      expect(summary).toMatch(/^[A-Z].*\.$/);
      for (const { meaning } of parameters) expect(meaning).toMatch(/^[a-z]/);
      expect(sql).toMatch(/^(SELECT|WITH)\b/);
      expect(sql).not.toMatch(/;|\bFORMAT\b/);
    },
  );

  test.each(shippedQueries().map(({ name }) => name))(
    '%s answers with its columns where there is nothing',
    async (name) => {
      const params = shippedQuery(name)
        .parameters.filter(({ name: own }) => own === 'tenant' || own === 'event')
        .map(({ name: own }) => `${own}=nobody`);
      const { columns, rows: none } = await answer(name, params);
      expect(none).toEqual([]);
      expect(columns.length).toBeGreaterThan(2);
      expect(columns[0]).toMatchObject({ name: expect.any(String), type: expect.any(String) });
    },
  );

  test('the seeded ledger has every kind of row that they tell apart', () => {
    const outcomes = new Set(rows().map(({ outcome }) => outcome));
    const all = [
      'delivered',
      'retrying',
      'dead',
      'rejected',
      'expired',
      'breaker_open',
      'redriven',
      'dropped',
    ];
    expect([...outcomes].sort()).toEqual([...all, 'filtered', 'invalid'].sort());
    expect(rows().length).toBeLessThan(seeded.rows.length);
  });
});

describe('figures', () => {
  test('delivery-rate', async () => {
    const hours = grouped(
      rows(({ destinationId }) => destinationId !== ''),
      ({ attemptedAtMs, channel }) =>
        [new Date(attemptedAtMs).toISOString().slice(0, 13).replace('T', ' '), channel].join(':00:00|'),
    );
    expect(await rowsOf('delivery-rate')).toEqual(
      hours.map(([key, of]) => {
        const [hour, channel] = key.split('|');
        const delivered = count(of, isOf('delivered'));
        const givenUp = count(of, isOf('dead', 'rejected'));
        const unsent = count(of, isOf('expired'));
        return {
          hour,
          channel,
          delivered,
          given_up: givenUp,
          unsent,
          delivered_percent: near(percent(delivered, delivered + givenUp + unsent), 2),
          delivered_per_second: near(delivered / 3_600, 3),
        };
      }),
    );
  });

  test('of one tenant are of its rows alone', async () => {
    const of = rows((row) => isSent(row) && row.record.tenant === 'beta');
    const found = await rowsOf('channels', [...WINDOW, 'tenant=beta']);
    expect(found.reduce((total, row) => total + Number(row['attempts']), 0)).toBe(of.length);
    expect(of.length).toBeGreaterThan(20);
  });

  test('channels', async () => {
    expect(await rowsOf('channels')).toEqual(
      grouped(rows(isSent), ({ channel }) => channel).map(([channel, of]) => {
        const delivered = count(of, isOf('delivered'));
        return {
          channel,
          attempts: of.length,
          delivered,
          failed: of.length - delivered,
          success_percent: near(percent(delivered, of.length), 2),
          average_ms: near(sum(of, ({ durationUs }) => durationUs) / of.length / 1_000, 1),
          request_bytes: sum(of, ({ requestBytes }) => requestBytes),
          response_bytes: sum(of, ({ responseBytes }) => responseBytes),
        };
      }),
    );
  });

  /** The rank of an estimate among the values, which a t-digest keeps within about a percent. */
  const expectQuantile = (of: readonly Written[], share: number, ms: unknown): void => {
    const below = count(of, ({ durationUs }) => durationUs / 1_000 <= Number(ms) + 0.05) / of.length;
    const under = count(of, ({ durationUs }) => durationUs / 1_000 < Number(ms) - 0.05) / of.length;
    expect(below).toBeGreaterThanOrEqual(share - 0.03);
    expect(under).toBeLessThanOrEqual(share + 0.03);
  };

  test('latency-by-destination', async () => {
    const groups = grouped(rows(isSent), ({ destinationId, channel }) => `${destinationId}|${channel}`);
    const found = await rowsOf('latency-by-destination');
    expect(found.map((row) => `${String(row['destination_id'])}|${String(row['channel'])}`)).toEqual(
      groups.map(([key]) => key),
    );
    groups.forEach(([, of], i) => {
      const row = found[i] ?? {};
      expect(row['attempts']).toBe(of.length);
      expect(row['average_wait_ms']).toEqual(
        near(sum(of, ({ waitedUs }) => waitedUs) / of.length / 1_000, 1),
      );
      expectQuantile(of, 0.5, row['p50_ms']);
      expectQuantile(of, 0.95, row['p95_ms']);
      expectQuantile(of, 0.99, row['p99_ms']);
    });
  });

  test('slowest-destinations, the slowest first, without those of few attempts', async () => {
    const groups = grouped(rows(isSent), ({ record, destinationId }) => `${record.tenant}|${destinationId}`);
    const enough = groups.filter(([, of]) => of.length >= 90);
    const found = await rowsOf('slowest-destinations', [...WINDOW, 'at_least=90', 'limit=5']);
    expect(enough.length).toBeLessThan(groups.length);
    expect(found).toHaveLength(Math.min(5, enough.length));
    const slowness = found.map((row) => Number(row['p95_ms']));
    expect(slowness).toEqual(slowness.toSorted((a, b) => b - a));
    for (const row of found) {
      const [, of = []] =
        enough.find(([key]) => key === `${String(row['tenant'])}|${String(row['destination_id'])}`) ?? [];
      expect(row['attempts']).toBe(of.length);
      expectQuantile(of, 0.95, row['p95_ms']);
    }
  });

  test('worst-destinations', async () => {
    const all = rows(({ destinationId }) => destinationId !== '');
    const worst = grouped(all, ({ record, destinationId }) => `${record.tenant}|${destinationId}`)
      .map(([key, of]) => {
        const [tenant, destination] = key.split('|');
        const attempts = count(of, isSent);
        const failed = attempts - count(of, isOf('delivered'));
        return {
          tenant,
          destination_id: destination,
          attempts,
          failed,
          share: failed / attempts,
          given_up: count(of, isOf('dead', 'rejected')),
          refused_by_breaker: count(of, isOf('breaker_open')),
        };
      })
      .filter(({ attempts }) => attempts >= 20)
      .sort((a, b) => rounded(100 * b.share, 2) - rounded(100 * a.share, 2) || b.failed - a.failed)
      .map(({ share, ...row }) => ({ ...row, failed_percent: near(100 * share, 2) }));
    expect(await rowsOf('worst-destinations')).toEqual(worst);
  });

  test('retry-depth', async () => {
    const ended = rows((row) => isSent(row) && row.isFinal);
    expect(await rowsOf('retry-depth')).toEqual(
      grouped(ended, ({ attempt }) => String(attempt)).map(([attempts, of]) => ({
        attempts: Number(attempts),
        deliveries: of.length,
        delivered: count(of, isOf('delivered')),
        given_up: count(of, isOf('dead', 'rejected')),
        percent: near(percent(of.length, ended.length, 3), 3),
      })),
    );
  });

  test('time-to-first-success', async () => {
    const msOf = ({ record, attemptedAtMs, durationUs }: Written): number =>
      attemptedAtMs - record.producedAtMs + durationUs / 1_000;
    /** The value at that rank, from 0. */
    const quantile = (values: readonly number[], share: number): number =>
      values[Math.min(values.length - 1, Math.floor(share * values.length))] as number;
    expect(await rowsOf('time-to-first-success')).toEqual(
      grouped(rows(isOf('delivered')), ({ destinationId }) => destinationId).map(([destination, of]) => {
        const values = of.map(msOf).sort((a, b) => a - b);
        return {
          destination_id: destination,
          deliveries: of.length,
          at_first_percent: near(
            percent(
              count(of, ({ attempt }) => attempt === 1),
              of.length,
            ),
            2,
          ),
          p50_ms: near(quantile(values, 0.5), 1),
          p95_ms: near(quantile(values, 0.95), 1),
          p99_ms: near(quantile(values, 0.99), 1),
          longest_ms: near(values.at(-1) ?? 0, 1),
        };
      }),
    );
  });

  test('lost-to-dead', async () => {
    const told = rows((row) => row.deliveryId !== '' && (row.isFinal || row.outcome === 'redriven'));
    const deliveries = grouped(told, ({ deliveryId }) => deliveryId).map(([, of]) => {
      const inOrder = of.toSorted((a, b) => a.attemptedAtMs - b.attemptedAtMs);
      return {
        destination: inOrder[0]?.destinationId ?? '',
        died: inOrder.some(isOf('dead', 'rejected')),
        redriven: inOrder.some(isOf('redriven')),
        last: inOrder.at(-1)?.outcome ?? 'invalid',
      };
    });
    const found = await rowsOf('lost-to-dead');
    const expected = ['crm', 'mailer', 'texts'].map((destination) => {
      const of = deliveries.filter((delivery) => delivery.destination === destination);
      const dead = of.filter(({ last }) => last === 'dead' || last === 'rejected').length;
      return {
        destination_id: destination,
        ended: of.length,
        died: of.filter(({ died }) => died).length,
        redriven: of.filter(({ redriven }) => redriven).length,
        saved: of.filter(({ died, last }) => died && last === 'delivered').length,
        dropped: of.filter(({ last }) => last === 'dropped').length,
        dead,
        dead_percent: near(percent(dead, of.length, 3), 3),
      };
    });
    expect(
      found.toSorted((a, b) => String(a['destination_id']).localeCompare(String(b['destination_id']))),
    ).toEqual(expected);
    const shares = found.map((row) => Number(row['dead_percent']));
    expect(shares).toEqual(shares.toSorted((a, b) => b - a));
    for (const { saved, dropped } of expected) expect(Math.min(saved, dropped)).toBeGreaterThan(0);
  });

  test('failing-reasons', async () => {
    const bad = rows(isOf('retrying', 'dead', 'rejected', 'expired', 'invalid'));
    const expected = grouped(bad, ({ reason, attemptClass }) => `${reason}|${attemptClass}`)
      .map(([key, of]) => {
        const [reason, attemptClass] = key.split('|');
        const lastMs = Math.max(...of.map(({ attemptedAtMs }) => attemptedAtMs));
        return {
          reason,
          class: attemptClass,
          times: of.length,
          ended_by_it: count(of, ({ isFinal }) => isFinal),
          tenants: new Set(of.map(({ record }) => record.tenant)).size,
          destinations: new Set(of.map(({ destinationId }) => destinationId)).size,
          last_at: new Date(lastMs).toISOString().replace('T', ' ').replace('Z', ''),
        };
      })
      .sort((a, b) => b.times - a.times);
    expect(await rowsOf('failing-reasons')).toEqual(expected);
    expect(await rowsOf('failing-reasons', [...WINDOW, 'limit=2'])).toEqual(expected.slice(0, 2));
  });

  test('event-flow', async () => {
    const rank = ({ outcome, isFinal }: Written): number => {
      if (outcome === 'delivered') return 3;
      if (['dead', 'rejected', 'dropped'].includes(outcome)) return 2;
      return isFinal ? 1 : 0;
    };
    const flows = grouped(rows(), ({ record, destinationId }) => `${record.eventType}|${destinationId}`);
    expect(await rowsOf('event-flow')).toEqual(
      flows.map(([key, of]) => {
        const [eventType, destination] = key.split('|');
        const best = grouped(of, ({ record }) => String(record.offset)).map(([, about]) =>
          Math.max(...about.map(rank)),
        );
        const ending = (wanted: number): number => best.filter((own) => own === wanted).length;
        return {
          event_type: eventType,
          destination_id: destination,
          events: best.length,
          delivered: ending(3),
          given_up: ending(2),
          unsent: ending(1),
          pending: ending(0),
        };
      }),
    );
  });

  test('tenant-activity', async () => {
    const of = rows(({ record }) => record.tenant === 'acme');
    const found = await rowsOf('tenant-activity', [...WINDOW, 'tenant=acme']);
    const expected = grouped(of, ({ destinationId, outcome }) => `${destinationId}|${outcome}`).map(
      ([key, own]) => {
        const [destination, outcome] = key.split('|');
        return { destination_id: destination, outcome, rows: own.length };
      },
    );
    expect(
      found.map(({ destination_id, outcome, rows: n }) => ({ destination_id, outcome, rows: n })),
    ).toEqual(expect.arrayContaining(expected));
    expect(found).toHaveLength(expected.length);
  });

  test('tenant-usage', async () => {
    const found = await rowsOf('tenant-usage', ['since=2026-03-01', 'until=2026-03-02']);
    const tenants = ['', 'acme', 'beta', 'delta', 'gamma'];
    expect(found).toEqual(
      tenants.map((tenant) => {
        const of = seeded.rows.filter(({ record }) => record.tenant === tenant);
        const events = seeded.events.filter((event) => event.tenant === tenant).length;
        return {
          day: '2026-03-01',
          tenant,
          events,
          event_bytes: events * EVENT_BYTES,
          attempts: count(of, isSent),
          delivered: count(of, isOf('delivered')),
          given_up: count(of, isOf('dead', 'rejected')),
          request_bytes: sum(of, ({ requestBytes }) => requestBytes),
          response_bytes: sum(of, ({ responseBytes }) => responseBytes),
        };
      }),
    );
  });

  test('what-happened tells an event from its reading to its end', async () => {
    const lives = grouped(seeded.rows, ({ record }) => record.eventId);
    const [eventId, of] = lives.toSorted(([, a], [, b]) => b.length - a.length).find(([id]) => id !== '') ?? [
      '',
      [],
    ];
    const tenant = of[0]?.record.tenant ?? '';
    const found = await rowsOf('what-happened', [`tenant=${tenant}`, `event=${eventId}`]);
    const written = of
      .toSorted((a, b) => a.attemptedAtMs - b.attemptedAtMs || (a.destinationId < b.destinationId ? -1 : 1))
      .map(({ destinationId, attempt, outcome, reason, status }) => [
        destinationId,
        attempt,
        outcome,
        reason,
        status,
      ]);
    expect(
      found.map((row) => [row['destination'], row['attempt'], row['outcome'], row['reason'], row['status']]),
    ).toEqual([['', 0, 'read', '', 0], ...written]);
    expect(written.length).toBeGreaterThan(5);
    expect(found[1]).toMatchObject({ response: '{"ok":true}', record: `contacts 3:${of[0]?.record.offset}` });
  });
});

test('the seeded hours are the ones the window lies in', () => {
  expect(FIRST_MS).toBeLessThan(Date.parse(SINCE));
  expect(FIRST_MS + EVENTS * 10_000).toBeGreaterThan(Date.parse(UNTIL));
});
