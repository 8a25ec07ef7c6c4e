import type { Command } from 'commander';
import { placeText } from '../../dead/dead-letter.ts';
import { scanDeadLetters } from '../../dead/scan.ts';
import type { CommandContext } from '../command-context.ts';
import { UserError } from '../../domain/errors.ts';
import { configOf, configOption } from '../config-option.ts';
import type { ConfigOptions } from '../config-option.ts';
import { openDeadLetters } from '../dead/connect.ts';
import { placeOf } from '../dead/options.ts';
import { askLedger, showLines } from '../dead/show.ts';

export function addDeadShow(dead: Command, context: CommandContext): void {
  dead
    .command('show')
    .description('Show one dead letter: headers, attempts and payload.')
    .argument('<place>', 'PARTITION:OFFSET, as `dead list` shows it')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Examples:
  $ eventdispatch dead show 3:1207
  $ eventdispatch dead show 3:1207 --config eventdispatch.yaml | less`,
    )
    .action((place: string, options: ConfigOptions) => show(place, options, context));
}

async function show(text: string, options: ConfigOptions, { environment }: CommandContext): Promise<void> {
  const place = placeOf(text);
  const dead = await openDeadLetters(configOf(options, environment));
  let lines: string[] = [];
  try {
    await scanDeadLetters(await dead.spansOf([place]), dead, async (letter, state) => {
      lines = showLines(letter, state, await askLedger(dead.ledger, letter));
      return false;
    });
  } finally {
    await dead.close();
  }
  if (lines.length === 0)
    throw new UserError([`${placeText(place)}: the record there is no dead letter of eventdispatch`]);
  console.log(lines.join('\n'));
}
