import { InvalidArgumentError } from 'commander';
import { parseDurationMs } from '../../config/units.ts';

/** Where a reconciled range begins or ends in each partition: an offset, a time, or how long ago. */
export type Bound = { readonly offset: number } | { readonly atMs: number } | { readonly agoMs: number };

/** A date, or a date and time with its zone; a time without one could be meant in several. */
const DATE = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
const MAX_LIST = 10_000;
const MAX_PARTITION = 2 ** 31 - 1;

/** Each reader turns an option's text into its value. @throws InvalidArgumentError saying what is allowed. */
export const readReconcileOption = {
  bound: (text: string): Bound => {
    if (/^\d{1,15}$/.test(text)) return { offset: Number(text) };
    const agoMs = parseDurationMs(text);
    if (agoMs !== null) return { agoMs };
    const atMs = DATE.test(text) ? Date.parse(text) : NaN;
    if (Number.isNaN(atMs))
      throw new InvalidArgumentError(
        'Allowed: an offset (1200), a time (2026-08-01, 2026-08-01T10:00Z), or how long ago (30m, 2h, 7d).',
      );
    return { atMs };
  },

  partition: (text: string): number => {
    const partition = /^\d{1,10}$/.test(text) ? Number(text) : -1;
    if (partition < 0 || partition > MAX_PARTITION)
      throw new InvalidArgumentError('Allowed: the number of a partition, from 0.');
    return partition;
  },

  list: (text: string): number => {
    const list = /^\d{1,6}$/.test(text) ? Number(text) : -1;
    if (list < 0 || list > MAX_LIST)
      throw new InvalidArgumentError(`Allowed: a whole number, 0 to ${MAX_LIST}.`);
    return list;
  },
};
