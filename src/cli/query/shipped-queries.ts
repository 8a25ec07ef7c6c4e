import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../domain/errors.ts';
import { parseNamedQuery } from '../../ledger/named-query.ts';
import type { NamedQuery } from '../../ledger/named-query.ts';

/** The SQL that comes with EventDispatch; the path is the same from src/ and from dist/. */
const FOLDER = fileURLToPath(new URL('../../../queries', import.meta.url));
const ENDING = '.sql';

/** In the order of their names. */
export function shippedQueries(): NamedQuery[] {
  return names().map(read);
}

/** @throws UserError for a name that there is not, with those there are. */
export function shippedQuery(name: string): NamedQuery {
  const all = names();
  if (!all.includes(name))
    throw new UserError([`query "${name}": there is none of that name; allowed: ${all.join(', ')}`]);
  return read(name);
}

function names(): string[] {
  const files = readdirSync(FOLDER).filter((file) => file.endsWith(ENDING));
  return files.map((file) => file.slice(0, -ENDING.length)).sort();
}

function read(name: string): NamedQuery {
  return parseNamedQuery(name, readFileSync(path.join(FOLDER, name + ENDING), 'utf8'));
}
