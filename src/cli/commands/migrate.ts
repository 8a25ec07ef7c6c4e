import type { Command } from 'commander';
import type { ClickHouseConfig } from '../../config/config.ts';
import { UserError } from '../../domain/errors.ts';
import type { CommandContext } from '../command-context.ts';
import { configOf, configOption } from '../config-option.ts';
import type { ConfigOptions } from '../config-option.ts';

export function addMigrate(program: Command, context: CommandContext): void {
  program
    .command('migrate')
    .description('Create the ledger tables in ClickHouse, or bring them up to date.')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
Running it again changes nothing. \`start\` does the same before it reads the first event; run this
beforehand where the dispatcher's ClickHouse user may not create tables.

Examples:
  $ eventdispatch migrate --config eventdispatch.yaml
  $ EVENTDISPATCH_CLICKHOUSE__USERNAME=admin eventdispatch migrate --config eventdispatch.yaml`,
    )
    .action(async (options: ConfigOptions) => {
      const { clickhouse } = configOf(options, context.environment);
      console.log(await migrateLedger(clickhouse));
    });
}

/** @returns what was done, in one line. */
async function migrateLedger(clickhouse: ClickHouseConfig): Promise<string> {
  if (clickhouse.url === null && clickhouse.embeddedPath === null) {
    throw new UserError([
      'nothing to migrate: set clickhouse.url or clickhouse.embeddedPath; without both the ledger is a new temporary one each time',
    ]);
  }
  const { openLedger } = await import('../../ledger/client.ts');
  const ledger = await openLedger(clickhouse);
  try {
    const applied = await ledger.migrate();
    const place = `ledger ${ledger.database} (${ledger.kind})`;
    if (applied.length === 0) return `${place}: up to date`;
    return `${place}: applied version ${applied.join(', ')}`;
  } finally {
    await ledger.close();
  }
}
