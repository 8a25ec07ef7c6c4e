import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { configOf, configOption } from '../config-option.ts';
import type { ConfigOptions } from '../config-option.ts';
import { embeddedNotice } from '../embedded-notice.ts';

interface StartOptions extends ConfigOptions {
  readonly allowDuplicates?: boolean;
}

export function addStart(program: Command, context: CommandContext): void {
  program
    .command('start')
    .description('Run the dispatcher until SIGTERM or Ctrl-C, which drain it; a second one exits at once.')
    .addOption(configOption())
    .option(
      '--allow-duplicates',
      'go on while the ledger does not answer: what it holds and offsets do not say yet is delivered again',
    )
    .addHelpText(
      'after',
      `
Without kafka.brokers or clickhouse.url it runs them embedded, and says what that means.

Examples:
  $ eventdispatch start --config eventdispatch.yaml
  $ EVENTDISPATCH_KAFKA__BROKERS=localhost:9092 eventdispatch start --config eventdispatch.yaml
  $ eventdispatch start --allow-duplicates   ClickHouse is down for long, and late is worse than twice`,
    )
    .action(async (options: StartOptions) => {
      const config = configOf(options, context.environment);
      for (const line of embeddedNotice(config)) console.error(line);
      // Loaded only now: the other commands need none of its native modules.
      const { runDispatcher } = await import('../../app/run.ts');
      context.exitWith(await runDispatcher(config, { allowDuplicates: options.allowDuplicates === true }));
    });
}
