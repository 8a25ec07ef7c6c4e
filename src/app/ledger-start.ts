import type { Ledger } from '../ledger/client.ts';
import { toLedgerError } from '../ledger/errors.ts';
import type { LedgerNotices } from './ledger-notices.ts';

const ASK_EVERY_MS = 1_000;

export interface LedgerStartOptions {
  /** Goes on without a ledger that does not answer; its tables are made when it does. */
  readonly allowDuplicates: boolean;
  readonly notices: LedgerNotices;
  readonly onMigrated: () => void;
  /** The tables could not be made, of a ledger that was not waited for. */
  readonly onFailure: (error: Error) => void;
}

/**
 * Makes a ledger's tables, as soon as it answers. What does not pass by waiting, as a password that is wrong,
 * is told at once.
 *
 * @returns ends what goes on behind.
 * @throws UserError when the ledger can't be used.
 */
export async function startLedger(
  ledger: Ledger,
  { allowDuplicates, notices, onMigrated, onFailure }: LedgerStartOptions,
): Promise<() => void> {
  let isStopped = false;
  const migrate = async (): Promise<void> => {
    await ledger.migrate();
    onMigrated();
  };
  for (;;) {
    const error = await whyNoAnswer(ledger);
    if (error === null) break;
    if (allowDuplicates) {
      notices.skipped(error);
      void migrateLater(ledger, migrate, () => isStopped).catch(onFailure);
      return () => {
        isStopped = true;
      };
    }
    notices.awaited(error);
    await pause(ASK_EVERY_MS);
  }
  notices.answered();
  await migrate();
  return () => undefined;
}

async function migrateLater(
  ledger: Ledger,
  migrate: () => Promise<void>,
  isStopped: () => boolean,
): Promise<void> {
  while (!isStopped()) {
    if ((await whyNoAnswer(ledger)) === null) {
      if (!isStopped()) await migrate();
      return;
    }
    await pause(ASK_EVERY_MS);
  }
}

/** Null when it answers, be it by a refusal, which migrating says better. */
async function whyNoAnswer(ledger: Ledger): Promise<Error | null> {
  try {
    await ledger.ping();
    return null;
  } catch (error) {
    const known = toLedgerError(error);
    return known.kind === 'retryable' ? known : null;
  }
}

function pause(delayMs: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, delayMs));
}
