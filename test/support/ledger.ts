import type { ClickHouseConfig } from '../../src/config/config.ts';
import { openLedger, type Ledger } from '../../src/ledger/client.ts';

const LEDGER_CONFIG: ClickHouseConfig = {
  url: null,
  username: 'default',
  password: '',
  database: 'eventdispatch',
  embeddedPath: null,
  requestTimeoutMs: 30_000,
  cluster: null,
  ttl: { eventsMs: null, attemptsMs: null, rollupsMs: null },
};

/** An embedded ledger that is gone when it is closed, unless `given` says otherwise; without tables. */
export function openTestLedger(given: Partial<ClickHouseConfig> = {}): Promise<Ledger> {
  return openLedger({ ...LEDGER_CONFIG, ...given });
}

/** The same, with its tables. */
export async function migratedLedger(given: Partial<ClickHouseConfig> = {}): Promise<Ledger> {
  const ledger = await openTestLedger(given);
  await ledger.migrate();
  return ledger;
}
