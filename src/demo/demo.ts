import { startDispatcher } from '../app/dispatcher.ts';
import type { DemoOptions } from '../cli/demo-options.ts';
import { messageOf } from '../domain/errors.ts';
import { createLogger } from '../observability/log.ts';
import { Receivers } from './children.ts';
import { writeDemoConfig } from './demo-config.ts';
import type { DemoFolder } from './demo-folder.ts';
import { DemoRun } from './demo-run.ts';

/**
 * Starts receivers and a dispatcher on embedded parts, runs the demo on them, and
 * stops everything it started, whatever happens.
 *
 * @param stop ends the producing early; the rest of the run follows.
 * @returns whether everything that must hold did.
 */
export async function runDemo(options: DemoOptions, folder: DemoFolder, stop: AbortSignal): Promise<boolean> {
  const closers: (() => Promise<unknown>)[] = [];
  try {
    const receivers = await Receivers.start(folder.receiptsFile, folder.childrenLogFile);
    closers.push(() => receivers.stop());
    const config = writeDemoConfig(folder, receivers.ports);
    const dispatcher = await startDispatcher(config, createLogger(config.log.level, folder.log));
    closers.push(() => dispatcher.close());
    const run = new DemoRun({ dispatcher, receivers, folder, stop });
    closers.push(() => run.close());
    return await run.play(options);
  } finally {
    for (const close of closers.reverse()) await quietly(close, folder);
  }
}

/** What fails while closing must not hide what failed before it. */
async function quietly(close: () => Promise<unknown>, folder: DemoFolder): Promise<void> {
  try {
    await close();
  } catch (error) {
    folder.log.write(`closing failed: ${messageOf(error)}\n`);
  }
}
