import { Command } from 'commander';
import { programVersion } from '../app/version.ts';
import { wantsDebug } from '../config/environment.ts';
import type { Environment } from '../config/environment.ts';
import type { CommandContext } from './command-context.ts';
import { addCheckConfig } from './commands/check-config.ts';
import { addDead } from './commands/dead.ts';
import { addMigrate } from './commands/migrate.ts';
import { addProduce } from './commands/produce.ts';
import { addQuery } from './commands/query.ts';
import { addReconcile } from './commands/reconcile.ts';
import { addStart } from './commands/start.ts';
import { addVerify } from './commands/verify.ts';
import { EXIT } from './exit-codes.ts';
import { failureOf } from './failure.ts';

/** Runs one command to its end. @returns the exit code; see `exit-codes.ts`. */
export async function runProgram(argv: readonly string[], environment: Environment): Promise<number> {
  let exitCode: number = EXIT.ok;
  const context: CommandContext = {
    environment,
    exitWith: (code) => {
      exitCode = code;
    },
  };
  try {
    await buildProgram(context).parseAsync(argv);
    return exitCode;
  } catch (error) {
    const failure = failureOf(error, wantsDebug(environment));
    for (const line of failure.lines) console.error(line);
    return failure.exitCode;
  }
}

function buildProgram(context: CommandContext): Command {
  const program = new Command('eventdispatch')
    .description(
      'Delivers Avro events from Kafka over HTTP, per tenant, and writes every attempt into a ledger in ClickHouse.',
    )
    .version(programVersion(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .exitOverride()
    .showHelpAfterError('(--help shows what is allowed)')
    .addHelpText(
      'after',
      `
Examples:
  $ eventdispatch check-config --config eventdispatch.yaml
  $ eventdispatch start --config eventdispatch.yaml
  $ eventdispatch produce --brokers localhost:9092 --rate 500/s --duration 30s

Each command has its own --help.`,
    );
  addStart(program, context);
  addCheckConfig(program, context);
  addMigrate(program, context);
  addProduce(program, context);
  addDead(program, context);
  addQuery(program, context);
  addReconcile(program, context);
  addVerify(program, context);
  return program;
}
