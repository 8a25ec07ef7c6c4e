/** Proves that what is due comes out by its time, each thing once, and nothing before its time. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DueQueue } from '../../src/limit/due-queue.ts';

test('over any adds and takes it behaves as a sorted list', () => {
  const step = fc.oneof(
    fc.record({ add: fc.integer({ min: 0, max: 50 }) }),
    fc.record({ takeAt: fc.integer({ min: 0, max: 50 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const queue = new DueQueue<{ dueMs: number }>();
      const model: { dueMs: number }[] = [];
      for (const one of steps) {
        if ('add' in one) {
          const item = { dueMs: one.add };
          queue.add(item, item.dueMs);
          model.push(item);
        } else {
          const taken = queue.takeDue(one.takeAt);
          const earliest = Math.min(...model.map(({ dueMs }) => dueMs));
          if (earliest > one.takeAt) expect(taken).toBeUndefined();
          else {
            expect(taken?.dueMs).toBe(earliest);
            model.splice(model.indexOf(taken!), 1);
          }
        }
        expect(queue.size).toBe(model.length);
        expect(queue.nextDueMs).toBe(Math.min(...model.map(({ dueMs }) => dueMs)));
      }
    }),
    { numRuns: 300 },
  );
});

test('all that was added comes out, once, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ noNaN: true })), (times) => {
      const queue = new DueQueue<number>();
      times.forEach((dueMs, index) => {
        queue.add(index, dueMs);
      });
      const taken: number[] = [];
      for (let index = queue.takeDue(Infinity); index !== undefined; index = queue.takeDue(Infinity))
        taken.push(index);
      expect(taken.map((index) => times[index])).toEqual(times.toSorted((a, b) => a - b));
      expect(new Set(taken).size).toBe(times.length);
    }),
  );
});

test('an empty queue has nothing due, ever', () => {
  const queue = new DueQueue<string>();
  expect(queue.nextDueMs).toBe(Infinity);
  expect(queue.takeDue(1e12)).toBeUndefined();
});
