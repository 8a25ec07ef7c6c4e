// @ts-check
/**
 * The one user of the embedded engine in the owner process: runs the statements of HTTP requests one after the other,
 * each as if it came alone. Plain JavaScript, since Node 20 has to run it as it is.
 */
import { createClient } from '@clickhouse/client';
import { createChdbConnection } from 'chdb/connection';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';

/**
 * @typedef {object} Statement
 * @property {string} sql
 * @property {Buffer | undefined} body rows of an INSERT, when they came apart from the statement
 * @property {string} database
 * @property {string} format of the answer, where the statement names none
 * @property {Map<string, string>} settings
 * @property {Map<string, string>} params as they stand in the URL: the engine's own escaped text
 *
 * @typedef {{ bytes: Buffer, writtenRows: number }} Answer
 */

const INSERT =
  /^\s*INSERT\s+INTO\s+(?:TABLE\s+)?(?<table>[\w.`]+)\s*(?:\((?<columns>[\w\s,`]*)\)\s*)?(?:SETTINGS\s(?<settings>.+?)\s)?\s*FORMAT\s+(?<format>\w+)\s*;?\s*$/is;
const SETTING = /(\w+)\s*=\s*(?:'((?:[^'\\]|\\.|'')*)'|([\w.]+))/g;
/** What the engine takes as bytes, unchanged; it would take an INSERT's rows in any other format as UTF-8 text. */
const BYTES_FORMATS = /^(TSV|TabSeparated|CSV)(WithNames)?$|^JSON(Compact)?EachRow$/;
const BINARY_FORMATS = /^(RowBinary|Native|Arrow|Parquet|ORC|Avro|MsgPack|Protobuf|CapnProto|Npy|BSON)/;
/** What a parameter holds between requests, since none can be unset: a value that fits no type but Nullable, so a forgotten one shows. */
const NO_VALUE = "'\\\\N'";

export class Engine {
  #connection;
  #client;
  /** @type {Promise<unknown>} */
  #last = Promise.resolve();

  /** @param {string} directory of the data; one process at a time may have it */
  constructor(directory) {
    this.#connection = createChdbConnection({ path: directory });
    // The two packages type one connection apart: chdb brings the declarations of an older client.
    this.#client = createClient({ connection: /** @type {any} */ (this.#connection) });
  }

  /**
   * Runs the statement when those before it are done.
   *
   * @param {Statement} statement
   * @returns {Promise<Answer>}
   */
  run(statement) {
    const answer = this.#last.then(() => this.#runAlone(statement));
    this.#last = answer.catch(() => undefined);
    return answer;
  }

  async close() {
    await this.#last;
    await this.#client.close();
  }

  /**
   * @param {Statement} statement
   * @returns {Promise<Answer>}
   */
  async #runAlone(statement) {
    const insert = statement.body === undefined ? undefined : rowsInsert(statement);
    if (insert !== undefined && statement.params.size === 0) {
      const result = await this.#connection.chdb.rawInsert(insert);
      return { bytes: Buffer.alloc(0), writtenRows: result.rowsWritten ?? 0 };
    }
    // The engine is one session, in which settings stay: they are set before the statement and taken back after it.
    try {
      return await this.#runInSession(statement);
    } finally {
      await this.#takeBack(statement);
    }
  }

  /**
   * @param {Statement} statement
   * @returns {Promise<Answer>}
   */
  async #runInSession(statement) {
    if (statement.database !== 'default') await this.#command(`USE ${identifier(statement.database)}`);
    const values = [...statement.settings].map(([name, value]) => `${identifier(name)} = ${literal(value)}`);
    for (const [name, value] of statement.params)
      values.push(`param_${identifier(name)} = ${literal(value)}`);
    if (values.length > 0) await this.#command(`SET ${values.join(', ')}`);
    const result = await this.#client.exec({
      query: statement.sql,
      clickhouse_settings: { default_format: /** @type {'TabSeparated'} */ (statement.format) },
      ...(statement.body === undefined ? {} : { values: Readable.from([statement.body]) }),
    });
    return { bytes: await buffer(result.stream), writtenRows: 0 };
  }

  /** @param {Statement} statement */
  async #takeBack(statement) {
    if (statement.database !== 'default') await this.#command('USE default');
    const defaults = [
      ...[...statement.settings.keys()].map((name) => `${name} = DEFAULT`),
      ...[...statement.params.keys()].map((name) => `param_${name} = ${NO_VALUE}`),
    ];
    if (defaults.length === 0) return;
    await this.#command(`SET ${defaults.join(', ')}`).catch(async () => {
      // A name that is no setting was refused when it was set, and is refused here again; the others must go.
      for (const one of defaults) await this.#command(`SET ${one}`).catch(() => undefined);
    });
  }

  /** @param {string} query */
  async #command(query) {
    await this.#client.command({ query });
  }
}

/**
 * The INSERT as the engine's call for bytes, where it is a plain one.
 *
 * @param {Statement} statement
 * @throws {Error} for a binary format, which the engine would corrupt
 */
function rowsInsert(statement) {
  const groups = INSERT.exec(statement.sql)?.groups;
  if (groups === undefined || statement.body === undefined) return undefined;
  const { table = '', columns, settings = '', format = '' } = groups;
  if (BINARY_FORMATS.test(format)) {
    throw new Error(
      `Code: 48. DB::Exception: The embedded engine takes no rows in ${format}. (NOT_IMPLEMENTED)`,
    );
  }
  if (!BYTES_FORMATS.test(format)) return undefined;
  /** @type {Record<string, string>} */
  const all = Object.fromEntries(statement.settings);
  for (const [, name = '', quoted, bare] of settings.matchAll(SETTING)) {
    all[name] = bare ?? (quoted ?? '').replace(/''/g, "'").replace(/\\(.)/g, '$1');
  }
  const plainTable = table.replaceAll('`', '');
  return {
    table: plainTable.includes('.') ? plainTable : `${statement.database}.${plainTable}`,
    ...(columns === undefined
      ? {}
      : { columns: columns.split(',').map((name) => name.replaceAll('`', '').trim()) }),
    settings: all,
    format: /** @type {'TabSeparated'} */ (format),
    values: statement.body,
  };
}

/** @param {string} text */
function literal(text) {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** @param {string} name */
function identifier(name) {
  if (/^[A-Za-z_]\w*$/.test(name)) return name;
  throw new Error(`Code: 36. DB::Exception: Not a name: ${name}. (BAD_ARGUMENTS)`);
}
