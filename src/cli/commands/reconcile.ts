import type { Command } from 'commander';
import { systemClock } from '../../domain/clock.ts';
import { reconcile } from '../../reconcile/reconcile.ts';
import { ReconcileReport } from '../../reconcile/report.ts';
import type { CommandContext } from '../command-context.ts';
import { configOf, configOption } from '../config-option.ts';
import type { ConfigOptions } from '../config-option.ts';
import { openCountProgress } from '../dead/progress.ts';
import { EXIT } from '../exit-codes.ts';
import { stopOnSignals } from '../produce/stop-on-signals.ts';
import { openReconciled } from '../reconcile/connect.ts';
import type { Reconciled } from '../reconcile/connect.ts';
import { readReconcileOption } from '../reconcile/options.ts';
import type { Bound } from '../reconcile/options.ts';
import { reportJson, reportLines } from '../reconcile/show.ts';

interface Options extends ConfigOptions {
  readonly topic: string;
  readonly partition?: number;
  readonly from?: Bound;
  readonly to?: Bound;
  readonly list: number;
  readonly json?: true;
}

export function addReconcile(program: Command, context: CommandContext): void {
  program
    .command('reconcile')
    .description('Compare what is on a source topic with what the ledger says became of it.')
    .requiredOption('-t, --topic <name>', 'source topic')
    .option('-p, --partition <n>', 'this partition only', readReconcileOption.partition)
    .option(
      '--from <bound>',
      'offset or time to begin at (default: the first record)',
      readReconcileOption.bound,
    )
    .option(
      '--to <bound>',
      'offset or time to end before (default: the end as it is now)',
      readReconcileOption.bound,
    )
    .option('--list <n>', 'list the first so many of each kind', readReconcileOption.list, 20)
    .option('--json', 'one JSON document instead of tables')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
It reads the topic without joining the group, and may run while dispatchers do. Exit code 0 when nothing is
missing (pending is not missing), 3 when something is, 1 when it was stopped or could not be told.

Examples:
  $ eventdispatch reconcile --topic events --config eventdispatch.yaml
  $ eventdispatch reconcile --topic events --from 2h --to 30m
  $ eventdispatch reconcile --topic events --partition 3 --from 120000 --to 130000 --json | jq .totals`,
    )
    .action((options: Options) => run(options, context));
}

async function run(options: Options, context: CommandContext): Promise<void> {
  const { topic } = options;
  const reconciled = await openReconciled(configOf(options, context.environment), topic);
  try {
    const report = new ReconcileReport(options.list);
    const isWhole = await compare(reconciled, options, report);
    if (options.json === true) console.log(reportJson(topic, report, isWhole));
    else for (const line of reportLines(topic, report)) console.log(line);
    if (report.missing > 0) context.exitWith(EXIT.recordsMissing);
    else if (!isWhole) context.exitWith(EXIT.failed);
  } finally {
    await reconciled.close();
  }
}

async function compare(
  reconciled: Reconciled,
  { topic, partition, from, to }: Options,
  report: ReconcileReport,
): Promise<boolean> {
  const plans = await reconciled.plans({
    topic,
    partition: partition ?? null,
    from: from ?? null,
    to: to ?? null,
    nowMs: systemClock.wallMs(),
  });
  const total = plans.reduce((sum, plan) => sum + plan.end - plan.from, 0);
  const signals = stopOnSignals();
  const progress = openCountProgress(total, process.stderr.isTTY, systemClock);
  try {
    return await reconcile(
      plans,
      {
        ...reconciled,
        stop: signals.stop,
        onProgress: (done) => {
          progress.update(done);
        },
      },
      report,
    );
  } finally {
    progress.end();
    signals.release();
  }
}
