/** The embedded ledger keeps what `ledger.suite.ts` says. */
import { describeLedgerAnalysis } from './ledger-analysis.suite.ts';
import { describeLedger } from './ledger.suite.ts';
import { openTestLedger } from '../support/ledger.ts';

describeLedger('embedded ledger', openTestLedger);
describeLedgerAnalysis('analysis in the embedded ledger', openTestLedger);
