import { readFileSync, statSync } from 'node:fs';
import { isAbsolute, join, normalize } from 'node:path';
import { UserError, messageOf } from '../domain/errors.ts';
import { limits } from '../domain/limits.ts';
import { avroType } from './avro-type.ts';
import { parseSchemas } from './schema-parser.ts';

export interface FolderSchema {
  readonly id: number;
  readonly subject: string;
  readonly version: number;
  /** The schema's text. */
  readonly text: string;
}

/** Schemas by the id that the Confluent header carries. */
export type SchemaFolder = ReadonlyMap<number, FolderSchema>;

const INDEX = 'index.json';
const MOST_ID = 0xffff_ffff;

/**
 * Reads a folder of `.avsc` files with the `index.json` that numbers them:
 * `{"schemas": [{"id": 1, "file": "a.avsc", "subject": "a-value", "version": 1}]}`.
 * Every schema must be usable and define all it refers to.
 *
 * @throws UserError with one line per problem.
 */
export function readSchemaFolder(folder: string): SchemaFolder {
  const schemas = new Map<number, FolderSchema>();
  const problems: string[] = [];
  for (const [place, entry] of indexEntries(folder).entries()) {
    try {
      const schema = readSchema(folder, entry);
      if (schemas.has(schema.id)) throw new Error(`the id ${schema.id} is used twice`);
      schemas.set(schema.id, schema);
    } catch (error) {
      problems.push(`${join(folder, INDEX)}: schemas[${place}]: ${messageOf(error)}`);
    }
  }
  if (problems.length > 0) throw new UserError(problems);
  return schemas;
}

function indexEntries(folder: string): readonly unknown[] {
  const file = join(folder, INDEX);
  try {
    const index: unknown = JSON.parse(readBounded(file));
    const entries: unknown = (index as { schemas?: unknown } | null)?.schemas;
    if (!Array.isArray(entries)) throw new Error('a list "schemas" was expected');
    return entries;
  } catch (error) {
    throw new UserError([`${file}: ${messageOf(error)}`]);
  }
}

function readSchema(folder: string, entry: unknown): FolderSchema {
  const { id, file, subject, version } = (entry ?? {}) as Partial<Record<string, unknown>>;
  if (!isWhole(id) || id > MOST_ID) throw new Error(`id must be a whole number, 0 to ${MOST_ID}`);
  if (typeof file !== 'string' || !isInside(file)) throw new Error('file must be a path inside the folder');
  if (typeof subject !== 'string') throw new Error('subject must be text');
  if (!isWhole(version)) throw new Error('version must be a whole number');
  const text = readBounded(join(folder, file));
  try {
    parseSchemas([text]);
    avroType(text);
  } catch (error) {
    throw new Error(`${file}: ${messageOf(error)}`, { cause: error });
  }
  return { id, subject, version, text };
}

function isWhole(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0;
}

function isInside(file: string): boolean {
  return file !== '' && !isAbsolute(file) && !normalize(file).startsWith('..');
}

function readBounded(file: string): string {
  if (statSync(file).size > limits.schemaMaxBytes)
    throw new Error(`longer than ${limits.schemaMaxBytes} bytes`);
  return readFileSync(file, 'utf8');
}
