import type { Environment } from '../config/environment.ts';

/** What a command is given besides its options. */
export interface CommandContext {
  readonly environment: Environment;
  /** Sets the exit code of a command that ran to its end; 0 unless it is called. */
  exitWith(code: number): void;
}
