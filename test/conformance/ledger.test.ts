/** The embedded ledger keeps what `ledger.suite.ts` says. */
import { openLedger } from '../../src/ledger/client.ts';
import { describeLedger } from './ledger.suite.ts';

describeLedger('embedded ledger', () =>
  openLedger({
    url: null,
    username: 'default',
    password: '',
    database: 'eventdispatch',
    embeddedPath: null,
    requestTimeoutMs: 30_000,
  }),
);
