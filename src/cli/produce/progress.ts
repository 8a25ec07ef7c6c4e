import { Presets, SingleBar } from 'cli-progress';
import type { Clock } from '../../domain/clock.ts';
import type { ProducePlan, ProduceTotals } from './produce-samples.ts';

const PLAIN_INTERVAL_MS = 2_000;
const BAR_STEPS = 1_000;

export interface Progress {
  update(totals: Readonly<ProduceTotals>): void;
  end(): void;
}

/** A bar where the end is known and standard error is a terminal; a plain line every 2 s otherwise. */
export function openProgress(plan: ProducePlan, isTerminal: boolean, clock: Clock): Progress {
  const hasEnd = plan.count !== null || plan.durationMs !== null;
  return isTerminal && hasEnd ? bar(plan) : plainLines(clock);
}

function bar(plan: ProducePlan): Progress {
  const single = new SingleBar(
    { format: '{bar} {percentage}%  {line}', hideCursor: true, clearOnComplete: false },
    Presets.shades_classic,
  );
  single.start(BAR_STEPS, 0, { line: '' });
  return {
    update: (totals) => {
      single.update(Math.floor(shareDone(plan, totals) * BAR_STEPS), { line: progressLine(totals) });
    },
    end: () => {
      single.stop();
    },
  };
}

/** The part of the plan that is done, 0 to 1: by count or by time, whichever is nearer its end. */
export function shareDone(plan: ProducePlan, totals: Readonly<ProduceTotals>): number {
  const byCount = plan.count === null ? 0 : totals.sent / plan.count;
  const byTime = plan.durationMs === null ? 0 : totals.elapsedMs / plan.durationMs;
  return Math.min(1, Math.max(byCount, byTime));
}

function plainLines(clock: Clock): Progress {
  let nextMs = clock.monotonicMs() + PLAIN_INTERVAL_MS;
  return {
    update: (totals) => {
      if (clock.monotonicMs() < nextMs) return;
      nextMs += PLAIN_INTERVAL_MS;
      console.error(progressLine(totals));
    },
    end: () => undefined,
  };
}

/** `12,000 sent, 11,980 acked, 0 failed, 2,000/s` */
export function progressLine({ sent, acked, failed, elapsedMs }: Readonly<ProduceTotals>): string {
  const rate = elapsedMs > 0 ? Math.round((sent / elapsedMs) * 1_000) : 0;
  return `${grouped(sent)} sent, ${grouped(acked)} acked, ${grouped(failed)} failed, ${grouped(rate)}/s`;
}

function grouped(count: number): string {
  return count.toLocaleString('en');
}
