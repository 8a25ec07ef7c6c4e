/** The embedded ledger keeps what `ledger.suite.ts` says. */
import { openLedger } from '../../src/ledger/client.ts';
import { describeLedgerAnalysis } from './ledger-analysis.suite.ts';
import { describeLedger } from './ledger.suite.ts';

const open = () =>
  openLedger({
    url: null,
    username: 'default',
    password: '',
    database: 'eventdispatch',
    embeddedPath: null,
    requestTimeoutMs: 30_000,
    cluster: null,
    ttl: { eventsMs: null, attemptsMs: null, rollupsMs: null },
  });

describeLedger('embedded ledger', open);
describeLedgerAnalysis('analysis in the embedded ledger', open);
