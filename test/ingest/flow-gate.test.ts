/** Proves that the gate counts what a lane holds exactly, shuts at either bound and opens again only well below both. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FlowGate } from '../../src/ingest/flow-gate.ts';

const bounds = { maxRecords: 8, maxBytes: 1_000 };

describe('one lane', () => {
  test('shuts at the record bound, and opens at three quarters of it, not before', () => {
    const gate = new FlowGate(1, bounds);
    for (let i = 0; i < 7; i++) gate.admit(0, 1);
    expect(gate.isOpen(0)).toBe(true);
    gate.admit(0, 1);
    expect(gate.isOpen(0)).toBe(false);
    expect(gate.release(0, 1, 1)).toBe(false);
    expect(gate.isOpen(0)).toBe(false);
    expect(gate.release(0, 1, 1)).toBe(true);
    expect(gate.isOpen(0)).toBe(true);
  });

  test('shuts at the byte bound, and both must have fallen before it opens', () => {
    const gate = new FlowGate(1, bounds);
    gate.admit(0, 400);
    gate.admit(0, 600);
    expect(gate.isOpen(0)).toBe(false);
    expect(gate.release(0, 0, 249)).toBe(false);
    expect(gate.release(0, 0, 1)).toBe(true);
  });

  test('a record larger than the bound goes in alone', () => {
    const gate = new FlowGate(1, bounds);
    gate.admit(0, 50_000);
    expect(gate.isOpen(0)).toBe(false);
    expect(gate.release(0, 1, 50_000)).toBe(true);
  });

  test('a bound of one record opens again when the lane is empty', () => {
    const gate = new FlowGate(1, { maxRecords: 1, maxBytes: 10 });
    gate.admit(0, 0);
    expect(gate.isOpen(0)).toBe(false);
    expect(gate.release(0, 1, 0)).toBe(true);
  });

  test('letting go of more than it held is a bug of the lane, and said so', () => {
    const gate = new FlowGate(1, bounds);
    gate.admit(0, 10);
    expect(() => gate.release(0, 2, 10)).toThrow(RangeError);
    expect(() => gate.release(0, 1, 11)).toThrow(RangeError);
    expect([gate.records(0), gate.bytes(0)]).toEqual([1, 10]);
  });
});

test('over any schedule, what is held is what came minus what went, and one lane never shuts another', () => {
  const size = fc.integer({ min: 0, max: 400 });
  const step = fc.record({ lane: fc.nat(2), release: fc.boolean(), bytes: size });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const gate = new FlowGate(3, bounds);
      const held: number[][] = [[], [], []];
      for (const { lane, release, bytes } of steps) {
        const own = held[lane]!;
        const wasOpen = gate.isOpen(lane);
        if (release) {
          const gone = own.shift();
          if (gone === undefined) continue;
          expect(gate.release(lane, 1, gone)).toBe(!wasOpen && gate.isOpen(lane));
        } else if (wasOpen) {
          own.push(bytes);
          gate.admit(lane, bytes);
        }
        const sum = own.reduce((total, n) => total + n, 0);
        expect([gate.records(lane), gate.bytes(lane)]).toEqual([own.length, sum]);
        if (own.length >= bounds.maxRecords || sum >= bounds.maxBytes) expect(gate.isOpen(lane)).toBe(false);
        if (own.length <= bounds.maxRecords * 0.75 && sum <= bounds.maxBytes * 0.75) {
          expect(gate.isOpen(lane)).toBe(true);
        }
      }
      expect(gate.totalRecords).toBe(held.flat().length);
      expect(gate.totalBytes).toBe(held.flat().reduce((total, n) => total + n, 0));
    }),
  );
});
