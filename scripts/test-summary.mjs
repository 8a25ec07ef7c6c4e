/**
 * `node scripts/test-summary.mjs REPORT` prints one line, `N passed, N failed, N skipped`,
 * from vitest's JSON report. Exit 1 when anything failed, when no test ran, or when
 * there is no report to read: a run that ended before its first test is a failure.
 */
import { readFileSync } from 'node:fs';

/**
 * Counts of a report. A file that failed outside its tests (an import, a hook,
 * the leak check) has no failed test of its own and counts as one, and so does a
 * run that failed outside its files (the global setup).
 */
function countsOf(report) {
  const failedFiles = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
  );
  const failed = report.numFailedTests + failedFiles.length;
  return {
    passed: report.numPassedTests,
    failed: report.success ? failed : Math.max(failed, 1),
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

function readCounts(file) {
  try {
    return countsOf(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    console.error(`no test report: ${error.message}`);
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

const { passed, failed, skipped } = readCounts(process.argv[2] ?? '');
if (passed === 0) console.error('no test passed');
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
