import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { typeAt } from '../../src/decode/schema-model.ts';
import { parseSchemas } from '../../src/decode/schema-parser.ts';
import { epochMs, timeScaleOf } from '../../src/decode/time-scale.ts';

/* Proves what becomes a time, and that nothing becomes one that the ledger cannot hold. */

const ms = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

describe('a time', () => {
  it('is read in what it counts, as a number or as its digits', () => {
    expect(epochMs(ms, 'millis')).toBe(ms);
    expect(epochMs(ms * 1_000 + 999, 'micros')).toBe(ms);
    expect(epochMs(`${ms}000999`, 'nanos')).toBe(ms);
    expect(epochMs(-1, 'micros')).toBe(-1);
  });

  it.each([
    ['2026-01-02T03:04:05.678Z', ms],
    ['2026-01-02T03:04:05.678901234Z', ms],
    ['2026-01-02 03:04:05.678', ms],
    ['2026-01-02T05:34:05.678+02:30', ms],
    ['2026-01-02T03:04Z', Date.UTC(2026, 0, 2, 3, 4)],
  ])('is read from %s', (text, expected) => {
    expect(epochMs(text, 'nanos')).toBe(expected);
  });

  it.each([
    'tomorrow',
    '2026-13-40T00:00:00Z',
    '',
    '2026-01',
    'Fri, 02 Jan 2026',
    1e300,
    NaN,
    -1e15,
    true,
    {},
    null,
  ])('is not %s', (value) => {
    expect(epochMs(value, 'millis')).toBeNull();
  });

  it('is never a number that the ledger cannot hold', () => {
    const anything = fc.oneof(
      fc.double(),
      fc.maxSafeInteger(),
      fc.integer({ min: -1e13, max: 1e13 }),
      fc.string(),
      fc.bigInt().map(String),
      fc.date().map(String),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
    );
    fc.assert(
      fc.property(anything, fc.constantFrom('millis', 'micros', 'nanos'), (value, scale) => {
        const time = epochMs(value, scale);
        if (time === null) return;
        expect(Number.isInteger(time)).toBe(true);
        expect(time).toBeGreaterThanOrEqual(Date.UTC(1900, 0, 1));
        expect(time).toBeLessThan(Date.UTC(2300, 0, 1));
      }),
      { numRuns: 1_000 },
    );
  });
});

it('a field’s logical type says what it counts, through nested records and nullable unions', () => {
  const at = (logicalType: string): unknown => ({ type: 'long', logicalType });
  const recordOf = (name: string, fields: Readonly<Record<string, unknown>>): unknown => ({
    type: 'record',
    name,
    fields: Object.entries(fields).map(([field, type]) => ({ name: field, type })),
  });
  const schema = recordOf('R', {
    ms: at('timestamp-millis'),
    us: ['null', at('timestamp-micros')],
    local: at('local-timestamp-micros'),
    meta: ['null', recordOf('Meta', { ns: at('timestamp-nanos') })],
    plain: 'long',
    text: 'string',
  });
  const record = parseSchemas([JSON.stringify(schema)]);
  const scale = (...path: string[]): string => timeScaleOf(typeAt(record, path));
  expect([scale('ms'), scale('us'), scale('local'), scale('meta', 'ns')]).toEqual([
    'millis',
    'micros',
    'micros',
    'nanos',
  ]);
  expect([scale('plain'), scale('text'), scale('no', 'where')]).toEqual(['millis', 'millis', 'millis']);
});
