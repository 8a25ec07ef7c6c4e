import { processEnvironment } from '../config/environment.ts';
import { runProgram } from './program.ts';

/** What may linger after the work is done (a broker's thread, say) is not waited for any longer. */
const LINGER_MS = 2_000;

// `eventdispatch check-config | head` closes the pipe early; that is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  throw error;
});

process.exitCode = await runProgram(process.argv, processEnvironment());
setTimeout(() => process.exit(), LINGER_MS).unref();
