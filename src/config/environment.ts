import type { z } from 'zod';
import { infoOf } from './fields.ts';
import type { FieldInfo } from './fields.ts';
import { nearest } from './nearest.ts';
import { parseYamlValue } from './yaml-file.ts';

/** Environment variables as given to the process. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process; nothing else in src/ reads it. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Whether unexpected errors show their stack. */
export function wantsDebug(environment: Environment): boolean {
  return (environment['EVENTDISPATCH_DEBUG'] ?? '') !== '';
}

/** The configuration file that the environment names, for when no option does. */
export function configFileOf(environment: Environment): string | null {
  const file = environment['EVENTDISPATCH_CONFIG'] ?? '';
  return file === '' ? null : file;
}

const PREFIX = 'EVENTDISPATCH_';

/** Variables with the prefix that are no configuration keys; those of the tests reach the programs they start. */
const OTHERS = /^EVENTDISPATCH_(?:DEBUG|CONFIG|TEST_.*)$/;

/**
 * Kubernetes gives every container variables for each service of its namespace:
 * a service called `eventdispatch` makes EVENTDISPATCH_PORT and the like.
 */
const SERVICE_LINK =
  /_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_[A-Z]+(?:_(?:PROTO|PORT|ADDR))?)?)$/;

export interface EnvironmentSetting {
  readonly variable: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

export interface EnvironmentSettings {
  readonly settings: readonly EnvironmentSetting[];
  /** One line each, naming the variable. */
  readonly problems: readonly string[];
}

/** `groupId` → `GROUP_ID`: how a key is spelled in a variable. Levels are joined by two underscores. */
export function variableName(path: readonly string[]): string {
  return PREFIX + path.map((key) => key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()).join('__');
}

/**
 * What the environment sets, for the schema `root`. Empty variables count as not set.
 * Values are literal: `${env:…}` means something in the file only.
 */
export function environmentSettings(environment: Environment, root: z.ZodType): EnvironmentSettings {
  const settings: EnvironmentSetting[] = [];
  const problems: string[] = [];
  for (const [variable, text] of Object.entries(environment).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (text === undefined || text === '' || !isSetting(variable)) continue;
    const found = resolve(variable, root);
    if (found === null) {
      problems.push(unknownVariable(variable, root));
      continue;
    }
    try {
      settings.push({ variable, path: found.path, value: valueOf(text, found.info) });
    } catch {
      problems.push(`${variable}: not a valid YAML value, as a list or a map in a variable must be`);
    }
  }
  return { settings, problems };
}

function isSetting(variable: string): boolean {
  if (!variable.startsWith(PREFIX) || OTHERS.test(variable)) return false;
  return variable.includes('__') || !SERVICE_LINK.test(variable);
}

function resolve(variable: string, root: z.ZodType): { path: string[]; info: FieldInfo } | null {
  const path: string[] = [];
  let info = infoOf(root);
  for (const word of variable.slice(PREFIX.length).split('__')) {
    if (info.kind !== 'section') return null;
    const key = Object.keys(info.shape).find((name) => variableName([name]) === PREFIX + word);
    const child = key === undefined ? undefined : info.shape[key];
    if (key === undefined || child === undefined) return null;
    path.push(key);
    info = infoOf(child);
  }
  return { path, info };
}

function valueOf(text: string, info: FieldInfo): unknown {
  if (info.kind === 'section' && text === info.word) return text;
  const form = info.kind === 'leaf' ? info.textForm : 'yaml';
  switch (form) {
    case 'text':
      return text;
    case 'number':
      return /^-?\d+$/.test(text) ? Number(text) : text;
    case 'list':
      return text.startsWith('[') ? parseYamlValue(text) : text.split(',').map((item) => item.trim());
    case 'yaml':
      return parseYamlValue(text);
  }
}

function unknownVariable(variable: string, root: z.ZodType): string {
  const known = nearest(variable, variablesOf(root, []));
  const hint = known === null ? 'docs/configuration.md lists them all' : `did you mean ${known}?`;
  return `${variable}: no such setting; ${hint}`;
}

function variablesOf(schema: z.ZodType, path: readonly string[]): string[] {
  const info = infoOf(schema);
  const own = path.length === 0 ? [] : [variableName(path)];
  if (info.kind !== 'section') return own;
  return [
    ...own,
    ...Object.entries(info.shape).flatMap(([key, child]) => variablesOf(child, [...path, key])),
  ];
}
