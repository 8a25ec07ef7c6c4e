import { readFileSync } from 'node:fs';
import path from 'node:path';
import { messageOf } from '../domain/errors.ts';
import type { Environment } from './environment.ts';
import { isRecord } from './fields.ts';
import type { Path } from './paths.ts';

/** `$${` stands for a literal `${`. */
const REFERENCE = /\$\$\{|\$\{([^}]*)\}/g;

export interface Resolved {
  /** A copy with every reference replaced. */
  readonly value: unknown;
  readonly problems: readonly { readonly path: Path; readonly text: string }[];
}

/**
 * Replaces `${env:NAME}` and `${file:/path}` inside text values, so that secrets
 * stay out of the file. A file's last line break does not count.
 */
export function resolveReferences(raw: unknown, environment: Environment, folder: string): Resolved {
  const problems: { path: Path; text: string }[] = [];
  const visit = (value: unknown, at: Path): unknown => {
    if (typeof value === 'string') return replaceIn(value, at);
    if (Array.isArray(value)) return value.map((item, index) => visit(item, [...at, index]));
    if (!isRecord(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, child]) => [key, visit(child, [...at, key])]));
  };
  const replaceIn = (text: string, at: Path): string =>
    text.replace(REFERENCE, (whole, reference: string | undefined) => {
      if (reference === undefined) return '${';
      const found = lookUp(reference, environment, folder);
      if (typeof found === 'string') return found;
      problems.push({ path: at, text: found.problem });
      return whole;
    });
  return { value: visit(raw, []), problems };
}

function lookUp(reference: string, environment: Environment, folder: string): string | { problem: string } {
  const [kind, name] = splitOnce(reference);
  if (kind === 'env' && name !== '') {
    return environment[name] ?? { problem: `needs the environment variable ${name}, which is not set` };
  }
  if (kind === 'file' && name !== '') return readSecret(path.resolve(folder, name));
  return { problem: `has an unknown reference \${${reference}}; allowed: \${env:NAME}, \${file:/path}` };
}

function splitOnce(reference: string): [string, string] {
  const colon = reference.indexOf(':');
  return colon < 0 ? [reference, ''] : [reference.slice(0, colon), reference.slice(colon + 1)];
}

function readSecret(file: string): string | { problem: string } {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    return { problem: `needs the file ${file}, which cannot be read: ${messageOf(error)}` };
  }
}
