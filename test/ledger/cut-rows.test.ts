/** Proves that a batch cut into parts has every row, whole and in order, and no part larger than allowed for nothing. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cutRows } from '../../src/ledger/cut-rows.ts';
import { variantOf } from '../domain/planted-bug.ts';

type CutRows = typeof cutRows;

const anyRow = fc.stringMatching(/^[a-z\t]{0,12}$/).map((text) => `${text}\n`);
const anyPieces = fc.array(fc.array(anyRow, { minLength: 1, maxLength: 8 }), { maxLength: 8 });

function cutsWell(cut: CutRows): (pieces: string[][], maxBytes: number) => void {
  return (pieces, maxBytes) => {
    const parts = cut(
      pieces.map((rows) => Buffer.from(rows.join(''))),
      maxBytes,
    ).map((part) => ({ ...part, text: Buffer.concat(part.pieces).toString() }));
    expect(parts.map(({ text }) => text).join('')).toBe(pieces.flat().join(''));
    for (const [i, { text, bytes, rows }] of parts.entries()) {
      expect(text.endsWith('\n')).toBe(true);
      expect([bytes, rows]).toEqual([text.length, text.split('\n').length - 1]);
      expect(bytes <= maxBytes || rows === 1).toBe(true);
      // The next part's first row did not fit any more.
      const next = parts[i + 1]?.text;
      if (next !== undefined) expect(bytes + next.indexOf('\n') + 1).toBeGreaterThan(maxBytes);
    }
  };
}

test('any rows, cut anywhere', () => {
  fc.assert(fc.property(anyPieces, fc.integer({ min: 1, max: 60 }), cutsWell(cutRows)), { numRuns: 1_000 });
});

describe('the property catches', () => {
  test.each([
    {
      bug: 'a cut within a row',
      from: 'piece.lastIndexOf(NEWLINE, start + bytes - 1) + 1',
      to: 'start + bytes',
    },
    { bug: 'a row that is left out', from: 'start = rowEnd;', to: 'start = rowEnd + 1;' },
    { bug: 'a last part that is forgotten', from: '  close();\n  return parts;', to: '  return parts;' },
    { bug: 'a part that grows past its bound', from: 'maxBytes - bytes)', to: 'maxBytes)' },
  ])('$bug', async ({ from, to }) => {
    const { cutRows: planted } = await variantOf<{ cutRows: CutRows }>('ledger/cut-rows.ts', [from, to]);
    expect(() => {
      fc.assert(fc.property(anyPieces, fc.integer({ min: 1, max: 60 }), cutsWell(planted)), {
        seed: 1,
        endOnFailure: true,
        numRuns: 1_000,
      });
    }).toThrow();
  });
});
