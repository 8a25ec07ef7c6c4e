import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonOutput } from '../../src/decode/json-output.ts';
import { variantOf } from '../domain/planted-bug.ts';
import { parseJson } from './json-of.ts';

/* Proves that each kind of value is written as JSON has it, and that the buffer grows in time whatever is written. */

type Output = new () => JsonOutput;

function written(write: (output: JsonOutput) => void): string {
  const output = new JsonOutput();
  output.begin();
  write(output);
  return output.end().toString('utf8');
}

const integer = (value: number | bigint): string =>
  written((output) => {
    output.integer(value);
  });

describe('an integer', () => {
  it('of every magnitude has its digits', () => {
    const powers = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent);
    const edges = [
      0,
      ...powers.flatMap((power) => [power - 1, power, power + 1]),
      2 ** 31,
      2 ** 32,
      2 ** 53 - 1,
    ];
    for (const edge of edges) {
      expect(integer(edge)).toBe(String(edge));
      if (edge !== 0) expect(integer(-edge)).toBe(String(-edge));
    }
  });

  it('up to 2^53 is what JSON reads back', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), fc.nat(52), (wide, shift) => {
        const value = Math.trunc(wide / 2 ** shift);
        expect(integer(value)).toBe(JSON.stringify(value));
      }),
      { numRuns: 5_000 },
    );
  });

  it('that is minus zero is zero', () => {
    expect(integer(-0)).toBe('0');
  });

  it('that no number holds is a string', () => {
    expect(integer(2n ** 63n - 1n)).toBe('"9223372036854775807"');
    expect(integer(-(2n ** 63n))).toBe('"-9223372036854775808"');
  });
});

/** One call, with what it writes. */
type Part = readonly [json: string, write: (output: JsonOutput) => void];

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const ascii = fc.string({ unit: 'grapheme-ascii', maxLength: 300 });
const part: fc.Arbitrary<Part> = fc.oneof(
  ascii.map((text): Part => {
    const source = Buffer.from(`<${text}>`);
    return [
      JSON.stringify(text),
      (output) => {
        output.string(source, 1, source.length - 1);
      },
    ];
  }),
  bytes.map((source): Part => [
    JSON.stringify(source.toString('utf8')),
    (output) => {
      output.string(source, 0, source.length);
    },
  ]),
  bytes.map((source): Part => [
    `"${source.toString('base64')}"`,
    (output) => {
      output.base64(source, 0, source.length);
    },
  ]),
  fc.double().map((value): Part => [
    JSON.stringify(value),
    (output) => {
      output.float(value);
    },
  ]),
  fc.maxSafeInteger().map((value): Part => [
    JSON.stringify(value),
    (output) => {
      output.integer(value);
    },
  ]),
  fc.json().map((json): Part => [
    json,
    (output) => {
      output.raw(Buffer.from(json));
    },
  ]),
);

/** A list of such parts is the list of what they write, in an output that begins with hardly any room. */
function concatenation(ofOutput: Output): fc.IProperty<[Part[]]> {
  return fc.property(fc.array(part, { maxLength: 30 }), (parts) => {
    const output = new ofOutput();
    output.begin();
    output.character(0x5b);
    parts.forEach(([, write], index) => {
      if (index > 0) output.character(0x2c);
      write(output);
    });
    output.character(0x5d);
    const json = output.end();
    expect(json.toString('utf8')).toBe(`[${parts.map(([text]) => text).join(',')}]`);
    parseJson(json);
  });
}

const SMALL = ['INITIAL_BYTES = 16 * 1024', 'INITIAL_BYTES = 1'] as const;
const load = async (...changes: (readonly [string, string])[]): Promise<Output> =>
  (await variantOf<{ JsonOutput: Output }>('decode/json-output.ts', SMALL, ...changes)).JsonOutput;

describe('what is written one after the other', () => {
  it('is there in full, in a buffer that begins with one byte', async () => {
    fc.assert(concatenation(await load()), { numRuns: 300 });
  });

  it.each([
    ['strings make no room', 'this.#reserve(end - start + 2)', ''],
    ['raw text makes no room', 'this.#reserve(json.length)', ''],
    ['numbers make no room', 'this.#reserve(NUMBER_BYTES)', ''],
    ['characters make no room', 'this.#reserve(1)', ''],
    ['escaped text makes room for ASCII only', 'text.length * 3', 'text.length'],
    ['growing forgets', 'this.#bytes.copy(grown, 0, 0, this.#length)', ''],
  ])('a planted bug is caught: %s', async (_what, from, to) => {
    expect(
      fc.check(concatenation(await load([from, to])), { seed: 1, numRuns: 3_000, endOnFailure: true }).failed,
    ).toBe(true);
  });

  it('survives a string of megabytes', () => {
    const [plain, escaped] = [Buffer.alloc(3_000_000, 'a'), Buffer.alloc(3_000_000, '"')];
    for (const source of [plain, escaped]) {
      expect(
        parseJson(
          Buffer.from(
            written((output) => {
              output.string(source, 0, source.length);
            }),
          ),
        ),
      ).toBe(source.toString());
    }
  });
});

describe('`end` gives', () => {
  it('a buffer of its own, that later text leaves alone', () => {
    const output = new JsonOutput();
    output.begin();
    output.raw(Buffer.from('[1]'));
    const first = output.end();
    output.begin();
    output.raw(Buffer.from('[2]'));
    expect([first.toString(), output.end().toString()]).toEqual(['[1]', '[2]']);
  });

  it('nothing of what was begun and never ended', () => {
    const output = new JsonOutput();
    output.begin();
    output.raw(Buffer.from('[1,'));
    output.begin();
    output.raw(Buffer.from('[2]'));
    expect(output.end().toString()).toBe('[2]');
  });
});

it('more than the bound is refused, and what follows a refusal is whole', () => {
  const output = new JsonOutput(20_000);
  output.begin();
  expect(() => {
    output.string(Buffer.alloc(30_000, 'x'), 0, 30_000);
  }).toThrow(RangeError);
  output.begin();
  output.integer(7);
  expect(String(output.end())).toBe('7');
});
