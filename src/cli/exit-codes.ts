/** What the program's exit code says. */
export const EXIT = {
  ok: 0,
  /** Something failed; no fault of the command line or the configuration. */
  failed: 1,
  /** The command line or the configuration is wrong; nothing was started. */
  usage: 2,
  /** `reconcile` found records that the ledger should know an end of, and does not. */
  recordsMissing: 3,
  /** `verify` found an invariant violated. */
  invariantViolated: 4,
  /** `verify`: nothing is violated, but the run did not see the faults it was to survive. */
  historyInvalid: 5,
  /** A second Ctrl-C: what a shell reports for an interrupt. */
  interrupted: 130,
} as const;
