import type { Command } from 'commander';
import { drop } from '../../dead/apply.ts';
import type { DeadLetterPlan } from '../../dead/plan.ts';
import { systemClock } from '../../domain/clock.ts';
import type { CommandContext } from '../command-context.ts';
import { configOf, configOption } from '../config-option.ts';
import { openDeadLetters } from '../dead/connect.ts';
import type { DeadLetters } from '../dead/connect.ts';
import { addFilterOptions, placesOf } from '../dead/options.ts';
import { openCountProgress } from '../dead/progress.ts';
import { agreedPlan } from '../dead/run-plan.ts';
import type { ChangeOptions } from '../dead/run-plan.ts';
import { lettersText } from '../dead/text.ts';
import { EXIT } from '../exit-codes.ts';
import { stopOnSignals } from '../produce/stop-on-signals.ts';

export function addDeadDrop(dead: Command, context: CommandContext): void {
  addFilterOptions(dead.command('drop'))
    .description('Let dead letters go for good: they are no longer listed, nor redriven.')
    .argument('[places...]', 'PARTITION:OFFSET of single ones; without any, all that the options describe')
    .option('-y, --yes', 'do it without asking')
    .addOption(configOption())
    .addHelpText(
      'after',
      `
It shows what it would drop and asks. The records stay in the topic until its retention takes them;
\`dead list --all\` still shows them. Exit code 0 when all of it was done.

Examples:
  $ eventdispatch dead drop 3:1207 3:1208
  $ eventdispatch dead drop --kind refused --until 30d
  $ eventdispatch dead drop --tenant former-customer --yes`,
    )
    .action((places: string[], options: ChangeOptions) => dropChosen(places, options, context));
}

async function dropChosen(
  placeTexts: readonly string[],
  options: ChangeOptions,
  context: CommandContext,
): Promise<void> {
  placesOf(placeTexts, options);
  const dead = await openDeadLetters(configOf(options, context.environment));
  try {
    const plan = await agreedPlan({ dead, placeTexts, options, verb: 'Drop', whyUnfit: () => null });
    if (plan === null) return;
    const dropped = await carryOut(plan, dead);
    console.log(`${lettersText(dropped.letters)} dropped`);
    if (dropped.isStopped) context.exitWith(EXIT.failed);
  } finally {
    await dead.close();
  }
}

async function carryOut(
  plan: DeadLetterPlan,
  dead: DeadLetters,
): Promise<{ readonly letters: number; readonly isStopped: boolean }> {
  const signals = stopOnSignals();
  const progress = openCountProgress(plan.places.size, process.stderr.isTTY, systemClock);
  try {
    const letters = await drop(plan, {
      letters: dead.letters,
      marks: dead.marks,
      mark: (batch, state) => dead.marks.mark(batch, state),
      stop: signals.stop,
      onProgress: (done) => progress.update(done),
    });
    return { letters, isStopped: signals.stop.aborted && letters < plan.places.size };
  } finally {
    progress.end();
    signals.release();
  }
}
