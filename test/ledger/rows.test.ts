/** The row codec writes TabSeparated that says exactly what the row says, whatever the strings and numbers are. */
import { toUSVString } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LEDGER_COLUMNS, RECORD_COLUMNS } from '../../src/ledger/columns.ts';
import { AttemptRows, encodeRecord, EventRows } from '../../src/ledger/rows.ts';
import { attemptBytes, eventBytes, sampleAttempt, sampleEvent, sampleRecord } from './sample-rows.ts';

const columnOf = (name: string): number => LEDGER_COLUMNS.attempts.findIndex(([own]) => own === name);

const UNESCAPES: Readonly<Record<string, string>> = {
  t: '\t',
  n: '\n',
  r: '\r',
  '0': '\0',
  b: '\b',
  f: '\f',
  '\\': '\\',
};

/** TabSeparated read strictly by its definition, written apart from the codec. */
function parse(bytes: Uint8Array): string[][] {
  const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  expect(text.endsWith('\n')).toBe(true);
  expect(text, 'no raw control characters').not.toMatch(/[\0\b\f\r]/);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => line.split('\t').map(unescaped));
}

function unescaped(cell: string): string {
  if (cell === '\\N') return 'null';
  return cell.replace(/\\(.?)/gs, (_, unit: string) => {
    const meant = UNESCAPES[unit];
    if (meant === undefined) throw new Error(`"\\${unit}" is no escape`);
    return meant;
  });
}

/** Strings that tell formats apart: what TSV escapes, what JSON escapes, halves of pairs, long and wide text. */
const nastyText = fc.oneof(
  fc.string({
    unit: fc.integer({ min: 0, max: 0xff }).map((unit) => String.fromCharCode(unit)),
    maxLength: 60,
  }),
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({
    unit: fc.integer({ min: 0, max: 0xff_ff }).map((unit) => String.fromCharCode(unit)),
    maxLength: 80,
  }),
  fc.constantFrom(
    '',
    '\\N',
    '\\',
    '\t',
    '\n',
    '\r\n',
    '\0',
    '\u007f',
    '\ud83d',
    '\ude00',
    '😀'.repeat(30),
    'é'.repeat(60),
    'a\\'.repeat(40),
  ),
);

describe('text', () => {
  test('every string comes back, well-formed', () => {
    fc.assert(
      fc.property(nastyText, nastyText, nastyText, (tenant, reason, response) => {
        const [cells] = parse(attemptBytes([{ record: { tenant }, row: { reason, response } }]));
        expect(cells).toHaveLength(LEDGER_COLUMNS.attempts.length);
        expect(cells?.[0]).toBe(toUSVString(tenant));
        expect(cells?.[columnOf('reason')]).toBe(toUSVString(reason));
        expect(cells?.[columnOf('response')]).toBe(toUSVString(response));
      }),
    );
  });

  const dataOf = (json: string): string | undefined => {
    // A view inside of other memory, as a decoder's buffers are.
    const around = Buffer.from(`[${json}]`);
    const cells = parse(eventBytes([{ row: { data: around.subarray(1, -1) } }]))[0];
    expect(cells).toHaveLength(LEDGER_COLUMNS.events.length);
    return cells?.at(-1);
  };

  test('JSON text comes back, laid out over lines or not', () => {
    const anyJson = fc.oneof(fc.jsonValue(), fc.array(nastyText), fc.dictionary(nastyText, nastyText));
    fc.assert(
      fc.property(anyJson, fc.constantFrom(undefined, '\t', 2), (value, indent) => {
        const json = JSON.stringify(value, null, indent);
        expect(dataOf(json)).toBe(json);
      }),
    );
  });

  test.each([
    ['nothing', ''],
    ['nothing special', '{"a":1}'],
    ['backslashes', String.raw`{"path":"C:\\new\table","quote":"\"","unit":"\u0000"}`],
    ['line feeds alone', '{\n"a":1\n}'],
    ['returns alone', '{\r"a":1\r}'],
    ['tabs alone', '{\t"a":1\t}'],
    ['many bytes a character', '{"name":"Zoë 中 😀 \u2028"}'],
    ['all of it', '{\r\n\t"name":"Zoë\\\\😀\\n"\r\n}'],
    ['what reads like a null', String.raw`"\N"`],
  ])('JSON text with %s comes back', (_, json) => {
    expect(dataOf(json)).toBe(json);
  });

  test('JSON text longer than the buffer makes it grow, escaped or not', () => {
    for (const unit of ['中', '\\\\', '\n']) {
      const json = `"${unit.repeat(100_000)}"`;
      expect(dataOf(json)).toBe(json);
    }
  });

  test('rows longer than the buffer make it grow, and the rows before stay', () => {
    const wide = '\u4e2d'.repeat(100_000);
    const rows = parse(
      attemptBytes([{ record: { offset: 1 } }, { row: { response: wide } }, { record: { offset: 3 } }]),
    );
    expect(rows.map((cells) => [cells[7], cells[columnOf('response')]?.length])).toEqual([
      ['1', 11],
      ['42', 100_000],
      ['3', 11],
    ]);
  });
});

describe('numbers and times', () => {
  const offsetOf = (offset: number): string | undefined =>
    parse(attemptBytes([{ record: { offset } }]))[0]?.[7];
  const statusOf = (status: number): string | undefined =>
    parse(attemptBytes([{ row: { status } }]))[0]?.[columnOf('status')];
  const attemptedAt = (attemptedAtMs: number): string | undefined =>
    parse(attemptBytes([{ row: { attemptedAtMs } }]))[0]?.[columnOf('attempted_at')];

  test('every offset up to 2^53 comes back', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (offset) => {
        expect(offsetOf(offset)).toBe(String(offset));
      }),
    );
  });

  test('every duration comes back', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), (durationUs) => {
        expect(parse(attemptBytes([{ row: { durationUs } }]))[0]?.[columnOf('duration_us')]).toBe(
          String(durationUs),
        );
      }),
    );
  });

  test.each([
    [65_535, '65535'],
    [65_536, '65535'],
    [-1, '0'],
    [Number.NaN, '0'],
    [Number.POSITIVE_INFINITY, '65535'],
    [200.9, '200'],
  ])('a number its column cannot hold is clamped: %s is written %s', (status, written) => {
    expect(statusOf(status)).toBe(written);
  });

  test.each([
    [0, '0000000000.000'],
    [-5, '0000000000.000'],
    [1, '0000000000.001'],
    [999_999_999_999, '0999999999.999'],
    [1_760_000_000_123.9, '1760000000.123'],
    [9_999_999_999_999, '9999999999.999'],
    [Number.MAX_SAFE_INTEGER, '9999999999.999'],
    [Number.NaN, '0000000000.000'],
  ])('a time has ten digits of seconds: %s ms is written %s', (epochMs, written) => {
    expect(attemptedAt(epochMs)).toBe(written);
    expect(parse(attemptBytes([{ record: { eventTimeMs: epochMs } }]))[0]?.[3]).toBe(written);
  });

  test('times of changing seconds do not mix', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4_000_000_000_000), { minLength: 1, maxLength: 20 }), (times) => {
        const rows = parse(attemptBytes(times.map((attemptedAtMs) => ({ row: { attemptedAtMs } }))));
        expect(rows.map((cells) => Math.round(Number(cells[columnOf('attempted_at')]) * 1000))).toEqual(
          times,
        );
      }),
    );
  });

  test('no next attempt is a null', () => {
    const nextAttempt = (nextAttemptAtMs: number): string | undefined =>
      parse(attemptBytes([{ row: { nextAttemptAtMs } }]))[0]?.[columnOf('next_attempt_at')];
    expect(nextAttempt(0)).toBe('null');
    expect(nextAttempt(1_760_000_000_000)).toBe('1760000000.000');
  });
});

describe('taking', () => {
  test('rows leave with an ArrayBuffer of their own, and the next ones start anew', () => {
    const rows = new AttemptRows();
    const encoded = encodeRecord(sampleRecord);
    expect(rows.take()).toBeNull();
    rows.append(encoded, sampleAttempt);
    rows.append(encoded, { ...sampleAttempt, attempt: 2 });
    expect(rows.rows).toBe(2);
    const first = rows.take();
    expect(first?.rows).toBe(2);
    expect(first?.bytes.buffer.byteLength).toBe(first?.bytes.length);
    expect(rows.rows).toBe(0);
    expect(rows.bytes).toBe(0);
    const before = Buffer.from(first?.bytes ?? []).toString('hex');
    rows.append(encoded, { ...sampleAttempt, response: 'x'.repeat(500) });
    expect(Buffer.from(first?.bytes ?? []).toString('hex')).toBe(before);
    expect(parse(rows.take()?.bytes ?? new Uint8Array())).toHaveLength(1);
  });

  test('`bytes` is the size of what take gives', () => {
    const rows = new EventRows();
    rows.append(encodeRecord(sampleRecord), sampleEvent);
    const { bytes } = rows;
    expect(rows.take()?.bytes.length).toBe(bytes);
  });

  test('both tables begin with the columns of the record', () => {
    expect(LEDGER_COLUMNS.events.slice(0, RECORD_COLUMNS.length)).toEqual(RECORD_COLUMNS);
    expect(LEDGER_COLUMNS.attempts.slice(0, RECORD_COLUMNS.length)).toEqual(RECORD_COLUMNS);
  });
});
