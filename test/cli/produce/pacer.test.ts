/** Proves that the pacer keeps a rate whatever the slices, and does not make up for a stall in one burst. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Pacer } from '../../../src/cli/produce/pacer.ts';
import { HandClock } from './hand-clock.ts';

test('sends rate × time, whatever the slices', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.01, max: 50_000, noNaN: true }),
      fc.array(fc.integer({ min: 1, max: 900 }), { minLength: 1, maxLength: 100 }),
      (rate, slices) => {
        const clock = new HandClock();
        const pacer = new Pacer(rate, clock);
        let sent = pacer.due();
        for (const sliceMs of slices) {
          clock.advance(sliceMs);
          const due = pacer.due();
          pacer.took(due);
          sent += due;
        }
        const exact = (rate * clock.monotonicMs()) / 1_000;
        expect(sent).toBeLessThanOrEqual(exact + 1e-6);
        expect(sent).toBeGreaterThan(exact - 1 - 1e-6);
      },
    ),
  );
});

test('catches up with one second of a stall (and the event that was due), no more', () => {
  const clock = new HandClock();
  const pacer = new Pacer(100, clock);
  expect(pacer.due()).toBe(0);
  clock.advance(60_000);
  expect(pacer.due()).toBe(101);
});

test('what was due and not taken stays due', () => {
  const clock = new HandClock();
  const pacer = new Pacer(1_000, clock);
  pacer.due();
  clock.advance(10);
  expect(pacer.due()).toBe(10);
  pacer.took(4);
  expect(pacer.due()).toBe(6);
});

test('no rate is no limit', () => {
  const pacer = new Pacer(null, new HandClock());
  pacer.took(1_000_000);
  expect(pacer.due()).toBe(Infinity);
});
