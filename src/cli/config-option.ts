import { Option } from 'commander';
import type { Config } from '../config/config.ts';
import { configFileOf } from '../config/environment.ts';
import type { Environment } from '../config/environment.ts';
import { loadConfig } from '../config/load.ts';

/** Options of a command that needs the configuration. */
export interface ConfigOptions {
  readonly config?: string;
}

export function configOption(): Option {
  return new Option('-c, --config <file>', 'configuration file (or set EVENTDISPATCH_CONFIG)');
}

/** @throws UserError with every problem at once. */
export function configOf(options: ConfigOptions, env: Environment): Config {
  return loadConfig({ file: options.config ?? configFileOf(env), env });
}
