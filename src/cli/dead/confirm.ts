import { createInterface } from 'node:readline/promises';
import { UserError } from '../../domain/errors.ts';

export interface ConfirmOptions {
  /** `--yes` was given. */
  readonly yes: boolean;
  /** A person can be asked: standard input and error are terminals. */
  readonly isTerminal: boolean;
}

/**
 * Asks a person, unless `--yes` has answered already.
 * @returns whether to go on; anything but y or yes is no.
 * @throws UserError when nobody can be asked.
 */
export async function confirmed(question: string, { yes, isTerminal }: ConfirmOptions): Promise<boolean> {
  if (yes) return true;
  if (!isTerminal)
    throw new UserError([`${question} Nothing was done: there is no terminal to ask; give --yes`]);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const given = new AbortController();
  // Ctrl-C and Ctrl-D are answers too; readline leaves the question open at both.
  terminal.once('SIGINT', () => given.abort());
  terminal.once('close', () => given.abort());
  try {
    const answer = await terminal.question(`${question} [y/N] `, { signal: given.signal });
    return /^y(?:es)?$/i.test(answer.trim());
  } catch (error) {
    if (given.signal.aborted) return false;
    throw error;
  } finally {
    terminal.close();
  }
}
