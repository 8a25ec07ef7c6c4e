/** What the program's exit code says. */
export const EXIT = {
  ok: 0,
  /** Something failed; no fault of the command line or the configuration. */
  failed: 1,
  /** The command line or the configuration is wrong; nothing was started. */
  usage: 2,
  /** A second Ctrl-C: what a shell reports for an interrupt. */
  interrupted: 130,
} as const;
