import { readFileSync } from 'node:fs';
import { isMap, isScalar, LineCounter, parseDocument, parse } from 'yaml';
import type { Document } from 'yaml';
import { messageOf, UserError } from '../domain/errors.ts';
import { isRecord } from './fields.ts';
import type { Path } from './paths.ts';

/** A YAML file as plain values, with the lines they stand on. */
export interface YamlFile {
  readonly name: string;
  readonly raw: Record<string, unknown>;
  /** The line of the key at a path, or of its nearest ancestor that is there; null for none. */
  lineOf(path: Path): number | null;
}

/** @throws UserError when the file cannot be read or is no YAML map: every syntax error with its line. */
export function readYamlFile(name: string): YamlFile {
  return parseYamlText(name, readText(name));
}

function readText(name: string): string {
  try {
    return readFileSync(name, 'utf8');
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new UserError([
      isMissing
        ? `${name}: no such file; give the configuration with --config FILE (eventdispatch.example.yaml is one to start from)`
        : `${name}: cannot be read: ${messageOf(error)}`,
    ]);
  }
}

function parseYamlText(name: string, text: string): YamlFile {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  if (document.errors.length > 0) {
    throw new UserError(
      document.errors.map(
        ({ pos, message }) => `${name}:${lines.linePos(pos[0]).line} not valid YAML: ${message}`,
      ),
    );
  }
  const raw = plainValues(name, document) ?? {};
  if (!isRecord(raw))
    throw new UserError([`${name}:1 must be a map of keys such as kafka: and destinations:`]);
  return {
    name,
    raw,
    lineOf(path) {
      const offset = offsetOf(document, path);
      return offset === null ? null : lines.linePos(offset).line;
    },
  };
}

function plainValues(name: string, document: Document.Parsed): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw new UserError([`${name}: not valid YAML: ${messageOf(error)}`]);
  }
}

function offsetOf(document: Document.Parsed, path: Path): number | null {
  for (let depth = path.length; depth > 0; depth--) {
    const parent: unknown = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    const key = path[depth - 1];
    const pair = isMap(parent)
      ? parent.items.find((item) => isScalar(item.key) && item.key.value === key)
      : null;
    if (isScalar(pair?.key) && pair.key.range) return pair.key.range[0];
    const node = document.getIn(path.slice(0, depth), true) as
      { range?: [number, number, number] } | undefined;
    if (node?.range) return node.range[0];
  }
  return null;
}

/** One YAML value, as an environment variable holds it. @throws Error when it is none. */
export function parseYamlValue(text: string): unknown {
  return parse(text);
}
