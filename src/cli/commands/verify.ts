import type { Command } from 'commander';
import { verify } from '../../verify/verify.ts';
import type { Verdict } from '../../verify/verify.ts';
import type { CommandContext } from '../command-context.ts';
import { EXIT } from '../exit-codes.ts';
import { readHistory } from '../verify/read-history.ts';
import { verdictJson, verdictLines } from '../verify/show.ts';

interface Options {
  readonly histories: string;
  readonly json?: true;
}

const EXIT_CODE: Readonly<Record<Verdict['state'], number>> = {
  held: EXIT.ok,
  violated: EXIT.invariantViolated,
  invalid: EXIT.historyInvalid,
};

export function addVerify(program: Command, context: CommandContext): void {
  program
    .command('verify')
    .description('Judge the recorded histories of a run by the invariants I1 to I16.')
    .requiredOption('--histories <dir>', 'folder with run.json and a file of JSON lines per recorder')
    .option('--json', 'one JSON document instead of tables')
    .addHelpText(
      'after',
      `
Recorders are independent: the producer, the receivers, the dispatchers' logs, the ledger, and whoever made the
faults; docs/reconcile.md says what their files hold. Exit code 0 when every invariant held, 4 when one is
violated, 5 when the run did not see the faults that it was to survive.

Examples:
  $ eventdispatch verify --histories .cache/chaos/7
  $ eventdispatch verify --histories .cache/chaos/7 --json | jq '.findings[] | select(.state != "held")'`,
    )
    .action(async (options: Options) => {
      const verdict = verify(await readHistory(options.histories));
      if (options.json === true) console.log(JSON.stringify(verdictJson(verdict), null, 2));
      else for (const line of verdictLines(verdict)) console.log(line);
      context.exitWith(EXIT_CODE[verdict.state]);
    });
}
