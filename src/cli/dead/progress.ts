import { Presets, SingleBar } from 'cli-progress';
import type { Clock } from '../../domain/clock.ts';
import { grouped } from './text.ts';

const PLAIN_INTERVAL_MS = 2_000;

export interface CountProgress {
  update(done: number): void;
  end(): void;
}

/** On standard error: a bar on a terminal, a plain line every 2 s elsewhere. */
export function openCountProgress(total: number, isTerminal: boolean, clock: Clock): CountProgress {
  return isTerminal ? bar(total) : plainLines(total, clock);
}

function bar(total: number): CountProgress {
  const single = new SingleBar(
    {
      format: '{bar} {percentage}%  {value} of {total}, {eta_formatted} left',
      hideCursor: true,
      clearOnComplete: false,
    },
    Presets.shades_classic,
  );
  single.start(total, 0);
  return {
    update: (done) => {
      single.update(done);
    },
    end: () => {
      single.stop();
    },
  };
}

function plainLines(total: number, clock: Clock): CountProgress {
  let nextMs = clock.monotonicMs() + PLAIN_INTERVAL_MS;
  return {
    update: (done) => {
      if (clock.monotonicMs() < nextMs) return;
      nextMs = clock.monotonicMs() + PLAIN_INTERVAL_MS;
      console.error(`${grouped(done)} of ${grouped(total)}`);
    },
    end: () => undefined,
  };
}
