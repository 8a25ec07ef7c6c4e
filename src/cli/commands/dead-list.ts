import type { Command } from 'commander';
import { isMeant } from '../../dead/filter.ts';
import { factsOf } from '../../dead/dead-letter.ts';
import { scanDeadLetters } from '../../dead/scan.ts';
import { Newest, Tally } from '../../dead/tally.ts';
import { systemClock } from '../../domain/clock.ts';
import type { CommandContext } from '../command-context.ts';
import { configOf, configOption } from '../config-option.ts';
import { openDeadLetters } from '../dead/connect.ts';
import { addFilterOptions, filterOf, readDeadOption } from '../dead/options.ts';
import type { FilterOptions } from '../dead/options.ts';
import { closingLine, letterJson, lettersTable } from '../dead/text.ts';

interface Options extends FilterOptions {
  readonly all?: true;
  readonly limit: number;
  readonly json?: true;
}

export function addDeadList(dead: Command, context: CommandContext): void {
  addFilterOptions(dead.command('list'))
    .description('List dead letters, the newest last, and how many there are for which reason.')
    .option('--all', 'those redriven and dropped too')
    .option('--limit <n>', 'show the newest so many', readDeadOption.limit, 50)
    .option('--json', 'one JSON document instead of a table')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
The kind tells whom it is about: "refused" was answered with 3xx or 4xx and will be again, "endpoint" is
a receiver that failed, "pipeline" never reached a receiver.

Examples:
  $ eventdispatch dead list
  $ eventdispatch dead list --kind pipeline --since 1d
  $ eventdispatch dead list --tenant acme --type 'contact.*' --json | jq '.deadLetters[].place'`,
    )
    .action((options: Options) => list(options, context));
}

async function list(options: Options, { environment }: CommandContext): Promise<void> {
  const filter = filterOf(options, systemClock.wallMs());
  const dead = await openDeadLetters(configOf(options, environment));
  const tally = new Tally();
  const newest = new Newest(options.limit);
  try {
    await scanDeadLetters(await dead.spans(), dead, (letter, state) => {
      if ((state === 'open' || options.all === true) && isMeant(letter, filter)) {
        const facts = factsOf(letter);
        tally.add(facts);
        newest.offer({ letter: facts, state });
      }
      return true;
    });
  } finally {
    await dead.close();
  }
  const shown = newest.list();
  if (options.json === true) {
    const reasons = Object.fromEntries(tally.reasons());
    console.log(JSON.stringify({ total: tally.total, reasons, deadLetters: shown.map(letterJson) }, null, 2));
    return;
  }
  if (shown.length > 0) console.log(lettersTable(shown, options.all === true));
  console.log(closingLine(tally, shown.length));
}
