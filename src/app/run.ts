import type { Config } from '../config/config.ts';
import { UserError } from '../domain/errors.ts';
import { createLogger } from '../observability/log.ts';
import { startDispatcher, type Dispatcher } from './dispatcher.ts';
import type { RunOptions } from './run-options.ts';

const EXIT_OK = 0;
const EXIT_FAILED = 1;
/** What a shell reports for an interrupt: the second signal, which waits for nothing. */
const EXIT_INTERRUPTED = 130;

/**
 * Runs a dispatcher until SIGTERM, SIGINT or a failure it cannot go on from, and
 * drains it. A second signal ends the process at once: nothing is lost by that,
 * since what was not committed is read again.
 *
 * @returns the exit code: 0 only when nothing was left open.
 * @throws UserError when it cannot start.
 */
export async function runDispatcher(config: Config, options: RunOptions): Promise<number> {
  const log = createLogger(config.log.level);
  log.write('starting');
  const dispatcher = await startDispatcher(config, log, options);
  log.write('started', {
    brokers: dispatcher.brokers,
    httpPort: dispatcher.httpPort,
    ledger: dispatcher.ledger.kind,
  });
  const signal = stopSignal();
  const reason = await Promise.race([signal, dispatcher.failed]);
  const code = reason instanceof Error ? EXIT_FAILED : await drain(dispatcher, config.shutdown.deadlineMs);
  if (reason instanceof UserError) for (const problem of reason.problems) log.write('unfit', { problem });
  else if (reason instanceof Error) log.write('fatal', { err: reason });
  else await dispatcher.close();
  log.write('stopped', { code });
  return code;
}

async function drain(dispatcher: Dispatcher, deadlineMs: number): Promise<number> {
  return (await dispatcher.drain(deadlineMs)) ? EXIT_OK : EXIT_FAILED;
}

/** Resolves at the first stop signal; the second exits. */
function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(EXIT_INTERRUPTED);
      asked = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
