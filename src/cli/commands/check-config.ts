import type { Command } from 'commander';
import { describeConfig } from '../../config/mask.ts';
import { configurationReference } from '../../config/reference.ts';
import type { CommandContext } from '../command-context.ts';
import { configOf, configOption } from '../config-option.ts';
import type { ConfigOptions } from '../config-option.ts';

interface Options extends ConfigOptions {
  readonly reference?: true;
}

export function addCheckConfig(program: Command, context: CommandContext): void {
  program
    .command('check-config')
    .description('Print the effective configuration with secrets masked, or every problem at once.')
    .addOption(configOption())
    .option('--reference', 'print what every key means instead, as Markdown')
    .addHelpText(
      'after',
      `
Exit code 0 when the configuration is usable, 2 when it is not.

Examples:
  $ eventdispatch check-config --config eventdispatch.yaml
  $ eventdispatch check-config --reference | less`,
    )
    .action((options: Options) => {
      const shown =
        options.reference === true
          ? configurationReference()
          : describeConfig(configOf(options, context.environment));
      process.stdout.write(shown);
    });
}
