import { InvalidArgumentError } from 'commander';
import { parseDurationMs, parseRatePerSecond } from '../../config/units.ts';

/** Options of `produce`, as commander gives them. */
export interface ProduceOptions {
  readonly brokers?: string;
  readonly topic: string;
  /** Events per second, or as fast as the broker takes them. */
  readonly rate?: number | 'max';
  readonly count?: number;
  readonly duration?: number;
  readonly tenants: number;
  readonly skew: number;
  readonly seed?: number;
  readonly types?: readonly string[];
  readonly manifest?: string;
  readonly config?: string;
}

/** Each reader turns an option's text into its value. @throws InvalidArgumentError saying what is allowed. */
export const readOption = {
  rate: (text: string): number | 'max' => {
    if (text === 'max') return text;
    const rate = parseRatePerSecond(text);
    if (rate === null || rate <= 0) throw new InvalidArgumentError('Allowed: 500/s, 6000/m, 10/h, max.');
    return rate;
  },

  duration: (text: string): number => {
    const durationMs = parseDurationMs(text);
    if (durationMs === null || durationMs === 0)
      throw new InvalidArgumentError('Allowed: 500ms, 30s, 5m, 1h.');
    return durationMs;
  },

  count: (text: string): number => {
    const count = /^\d{1,15}$/.test(text) ? Number(text) : 0;
    if (count < 1) throw new InvalidArgumentError('Allowed: a whole number from 1.');
    return count;
  },

  tenants: (text: string): number => {
    const tenants = /^\d{1,7}$/.test(text) ? Number(text) : 0;
    if (tenants < 1 || tenants > 1_000_000)
      throw new InvalidArgumentError('Allowed: a whole number, 1 to 1000000.');
    return tenants;
  },

  skew: (text: string): number => {
    const skew = /^\d{1,2}(?:\.\d+)?$/.test(text) ? Number(text) : Infinity;
    if (skew > 10) throw new InvalidArgumentError('Allowed: a number, 0 (uniform) to 10.');
    return skew;
  },

  seed: (text: string): number => {
    const seed = /^\d{1,10}$/.test(text) ? Number(text) : Infinity;
    if (seed > 0xffff_ffff) throw new InvalidArgumentError('Allowed: a whole number, 0 to 4294967295.');
    return seed;
  },

  types: (text: string): readonly string[] => {
    return text.split(',').map((glob) => glob.trim());
  },
};
