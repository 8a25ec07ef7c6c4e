/** What a person reads: numbers, the plain line of a run without a terminal, the lines of the verdict. */
import { describe, expect, test } from 'vitest';
import { openLiveView } from '../../src/demo/live-view.ts';
import { bar, grouped, megabytes, milliseconds, sparkline } from '../../src/demo/numbers.ts';
import { checkLines, destinationTable } from '../../src/demo/tables.ts';
import type { DemoView } from '../../src/demo/view-model.ts';

const VIEW: DemoView = {
  readPerSecond: 2_001.4,
  deliveredPerSecond: 3_420,
  inFlight: 131,
  lagRecords: 940,
  waitingRetries: 41,
  breakersOpened: 2,
  p50Ms: 48.2,
  p99Ms: 1_310,
  ledgerRows: 41_203,
  rssBytes: 450 * 1024 * 1024,
  destinations: [
    {
      id: 'crm',
      delivered: 6_225,
      retried: 12,
      dead: 1,
      inFlight: 3,
      deliveredPerSecond: 1_700,
      history: [1, 2],
    },
  ],
};

describe('numbers', () => {
  test.each([
    [grouped(1_234_567.4), '1,234,567'],
    [milliseconds(null), '–'],
    [milliseconds(3.14159), '3.1 ms'],
    [milliseconds(48.6), '49 ms'],
    [milliseconds(1_310), '1.3 s'],
    [megabytes(3 * 1024 * 1024), '3 MB'],
    [bar(0.5, 4), '██░░'],
    [bar(7, 4), '████'],
    [sparkline([0, 50, 100]), '▁▅█'],
    [sparkline([0, 0]), '▁▁'],
  ])('%s', (text, expected) => {
    expect(text).toBe(expected);
  });
});

/** A stream that is no terminal, and a clock that is set by hand. */
function plainView() {
  const written: string[] = [];
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, wallMs: () => 0 };
  const output = {
    isTTY: false,
    write: (text: string) => written.push(text),
  } as unknown as NodeJS.WriteStream;
  return { view: openLiveView(output, clock), written, clock };
}

describe('without a terminal', () => {
  const producing = { name: 'producing', elapsedSeconds: 12.7, totalSeconds: 30 };

  test('a state is one line without control characters', () => {
    const { view, written } = plainView();
    view.show(VIEW, producing);
    expect(written).toEqual([
      'producing 12/30 s | in 2,001/s | delivered 3,420/s | in flight 131 | lag 940 | ' +
        'waiting for a retry 41 | breakers opened 2 | ' +
        'produce to receipt p50 48 ms | p99 1.3 s | ledger rows 41,203 | RSS 450 MB | ' +
        'crm 6,225 delivered, 12 retried, 1 dead, 3 in flight\n',
    ]);
  });

  test('a line comes every two seconds, and at once for a new phase', () => {
    const { view, written, clock } = plainView();
    for (; clock.nowMs < 4_000; clock.nowMs += 250) view.show(VIEW, producing);
    expect(written).toHaveLength(2);
    view.show(VIEW, { name: 'draining', elapsedSeconds: 0, totalSeconds: null });
    view.show(VIEW, { name: 'draining', elapsedSeconds: 0, totalSeconds: null });
    expect(written).toHaveLength(3);
    expect(written[2]).toMatch(/^draining 0 s \|/);
  });

  test('a lag that the embedded broker may not hold is told', () => {
    const { view, written } = plainView();
    view.show({ ...VIEW, lagRecords: 10_001 }, producing);
    expect(written[0]).toContain('lag 10,001 nears what the embedded broker keeps');
  });
});

describe('the tables', () => {
  test('hold one row a destination, in plain text', () => {
    const text = destinationTable([
      {
        destinationId: 'crm',
        channel: 'webhook',
        deliveries: 17_343,
        delivered: 17_342,
        dead: 1,
        retries: 12,
        durationP50Ms: 4.2,
        durationP99Ms: 182,
        produceToReceiptP50Ms: 47,
        produceToReceiptP99Ms: null,
      },
    ]);
    expect(text).toMatch(/crm +│ +17,343 │ +17,342 │ +1 │ +12 │ +4\.2 ms \/ 182 ms │ +47 ms \/ – │/);
  });

  test('a claim that holds is OK; one that does not shows how often and where', () => {
    expect(checkLines({ claim: 'all is well', broken: 0, examples: [] })).toEqual(['OK      all is well']);
    expect(checkLines({ claim: 'all is well', broken: 1_200, examples: [{ event_id: 'e1' }] })).toEqual([
      'NOT OK  all is well: broken by 1,200',
      '          {"event_id":"e1"}',
    ]);
  });
});
