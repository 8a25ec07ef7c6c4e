import { EXIT } from '../cli/exit-codes.ts';
import { failureOf } from '../cli/failure.ts';
import { readDemoOptions } from '../cli/demo-options.ts';
import { stopOnSignals } from '../cli/produce/stop-on-signals.ts';
import { processEnvironment, wantsDebug } from '../config/environment.ts';
import { openDemoFolder } from './demo-folder.ts';
import { runDemo } from './demo.ts';

/** What may linger after the work is done (a broker's thread, say) is not waited for any longer. */
const LINGER_MS = 2_000;

process.exitCode = await main(process.argv);
setTimeout(() => process.exit(), LINGER_MS).unref();

async function main(argv: readonly string[]): Promise<number> {
  try {
    return await demo(argv);
  } catch (error) {
    const failure = failureOf(error, wantsDebug(processEnvironment()));
    for (const line of failure.lines) console.error(line);
    return failure.exitCode;
  }
}

/** The folder stays when something went wrong, since the logs in it say what. */
async function demo(argv: readonly string[]): Promise<number> {
  const options = readDemoOptions(argv);
  const signals = stopOnSignals();
  const folder = await openDemoFolder();
  let holds = false;
  try {
    holds = await runDemo(options, folder, signals.stop);
  } finally {
    signals.release();
    folder.close();
    if (holds) await folder.remove();
    else console.error(`the logs are kept: ${folder.logFile}, ${folder.childrenLogFile}`);
  }
  return holds ? EXIT.ok : EXIT.failed;
}
