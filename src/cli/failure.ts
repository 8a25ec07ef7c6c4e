import { CommanderError } from 'commander';
import { messageOf, UserError } from '../domain/errors.ts';
import { EXIT } from './exit-codes.ts';

export interface Failure {
  /** For standard error. */
  readonly lines: readonly string[];
  readonly exitCode: number;
}

/**
 * What to say about whatever a command threw: a line per problem for the user's
 * own mistakes; one line and where to find the stack for all else.
 */
export function failureOf(error: unknown, wantsStack: boolean): Failure {
  if (error instanceof CommanderError) {
    // Commander has said it already; help and version come this way too.
    return { lines: [], exitCode: error.exitCode === 0 ? EXIT.ok : EXIT.usage };
  }
  if (error instanceof UserError) {
    return { lines: error.problems.map((problem) => `error: ${problem}`), exitCode: EXIT.usage };
  }
  if (wantsStack && error instanceof Error)
    return { lines: [`error: ${error.stack ?? error.message}`], exitCode: EXIT.failed };
  const oneLine = messageOf(error).replace(/\s*\n\s*/g, ' ');
  return { lines: [`error: ${oneLine} (EVENTDISPATCH_DEBUG=1 shows the stack)`], exitCode: EXIT.failed };
}
