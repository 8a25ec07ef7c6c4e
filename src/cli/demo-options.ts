import { Command, InvalidArgumentError } from 'commander';

/** Options of the demo, `npm run demo -- …`. */
export interface DemoOptions {
  /** How long events are produced. */
  readonly seconds: number;
  /** Stays up afterwards, with a few events a second, until it is stopped. */
  readonly keep: boolean;
}

const MAX_SECONDS = 3_600;

/** @throws CommanderError after it has printed help or what is wrong. */
export function readDemoOptions(argv: readonly string[]): DemoOptions {
  return new Command('npm run demo --')
    .description(
      'Starts an embedded broker and ClickHouse, sample producers, three receivers and a dispatcher, and proves by SQL that every event arrived.',
    )
    .option('-s, --seconds <n>', 'how long events are produced', readSeconds, 30)
    .option('-k, --keep', 'stay up afterwards, until Ctrl-C', false)
    .addHelpText(
      'after',
      `
Exit code 0 only when every produced event has exactly one final outcome for each matching destination.

Examples:
  $ npm run demo
  $ npm run demo -- --seconds 10
  $ npm run demo -- --keep`,
    )
    .exitOverride()
    .parse(argv)
    .opts<DemoOptions>();
}

function readSeconds(text: string): number {
  const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (seconds < 1 || seconds > MAX_SECONDS) {
    throw new InvalidArgumentError(`Allowed: a whole number, 1 to ${MAX_SECONDS}.`);
  }
  return seconds;
}
