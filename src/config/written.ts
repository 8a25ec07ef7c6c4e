import type { Config } from './config.ts';

/** The raw values a configuration was made of, with its references as written and replaced. */
export interface Written {
  readonly written: unknown;
  readonly resolved: unknown;
}

/** Beside the configuration, not in it: only what shows it to people needs to know how it was written. */
const memory = new WeakMap<Config, Written>();

export function rememberWritten(config: Config, written: Written): void {
  memory.set(config, written);
}

/** Null for a configuration that no file or environment gave. */
export function writtenOf(config: Config): Written | null {
  return memory.get(config) ?? null;
}
