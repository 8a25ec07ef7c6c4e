/** What is said on the command line, and in no configuration. */
export interface RunOptions {
  /** Goes on while the ledger does not answer; what it holds beyond the committed offsets is then delivered again. */
  readonly allowDuplicates: boolean;
}
