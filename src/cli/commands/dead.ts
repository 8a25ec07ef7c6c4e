import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { addDeadDrop } from './dead-drop.ts';
import { addDeadList } from './dead-list.ts';
import { addDeadRedrive } from './dead-redrive.ts';
import { addDeadShow } from './dead-show.ts';

export function addDead(program: Command, context: CommandContext): void {
  const dead = program
    .command('dead')
    .description('See the deliveries that were given up, and try them again or let them go.')
    .addHelpText(
      'after',
      `
A dead letter is named by its place in the dead-letter topic, PARTITION:OFFSET. It stays there; that
it was redriven or dropped is written into the ledger. Each command has its own --help.

Examples:
  $ eventdispatch dead list --since 2h
  $ eventdispatch dead show 3:1207
  $ eventdispatch dead redrive --destination crm --kind endpoint --rate 20/s
  $ eventdispatch dead drop --tenant acme --status 410`,
    );
  addDeadList(dead, context);
  addDeadShow(dead, context);
  addDeadRedrive(dead, context);
  addDeadDrop(dead, context);
}
