import { messageOf } from '../domain/errors.ts';

/**
 * What the ledger's engine may answer, and what follows from it. `retryable`
 * passes by itself; `fatal` needs a human (the schema, the rights or the
 * program), and is retried too, rarely, because nothing may be dropped.
 */
export type LedgerErrorKind = 'retryable' | 'fatal';

interface KnownError {
  readonly kind: LedgerErrorKind;
  readonly name: string;
}

/** By ClickHouse's own error code (src/Common/ErrorCodes.cpp). */
const KNOWN_ERRORS: Readonly<Record<number, KnownError>> = {
  3: { kind: 'retryable', name: 'UNEXPECTED_END_OF_FILE' },
  16: { kind: 'fatal', name: 'NO_SUCH_COLUMN_IN_TABLE' },
  27: { kind: 'fatal', name: 'CANNOT_PARSE_INPUT_ASSERTION_FAILED' },
  36: { kind: 'fatal', name: 'BAD_ARGUMENTS' },
  41: { kind: 'fatal', name: 'CANNOT_PARSE_DATETIME' },
  47: { kind: 'fatal', name: 'UNKNOWN_IDENTIFIER' },
  53: { kind: 'fatal', name: 'TYPE_MISMATCH' },
  60: { kind: 'fatal', name: 'UNKNOWN_TABLE' },
  62: { kind: 'fatal', name: 'SYNTAX_ERROR' },
  81: { kind: 'fatal', name: 'UNKNOWN_DATABASE' },
  115: { kind: 'fatal', name: 'UNKNOWN_SETTING' },
  117: { kind: 'fatal', name: 'INCORRECT_DATA' },
  159: { kind: 'retryable', name: 'TIMEOUT_EXCEEDED' },
  160: { kind: 'retryable', name: 'TOO_SLOW' },
  164: { kind: 'fatal', name: 'READONLY' },
  202: { kind: 'retryable', name: 'TOO_MANY_SIMULTANEOUS_QUERIES' },
  203: { kind: 'retryable', name: 'NO_FREE_CONNECTION' },
  209: { kind: 'retryable', name: 'SOCKET_TIMEOUT' },
  210: { kind: 'retryable', name: 'NETWORK_ERROR' },
  236: { kind: 'retryable', name: 'ABORTED' },
  241: { kind: 'retryable', name: 'MEMORY_LIMIT_EXCEEDED' },
  242: { kind: 'retryable', name: 'TABLE_IS_READ_ONLY' },
  243: { kind: 'retryable', name: 'NOT_ENOUGH_SPACE' },
  252: { kind: 'retryable', name: 'TOO_MANY_PARTS' },
  319: { kind: 'retryable', name: 'UNKNOWN_STATUS_OF_INSERT' },
  394: { kind: 'retryable', name: 'QUERY_WAS_CANCELLED' },
  425: { kind: 'retryable', name: 'SYSTEM_ERROR' },
  497: { kind: 'fatal', name: 'ACCESS_DENIED' },
  516: { kind: 'fatal', name: 'AUTHENTICATION_FAILED' },
  999: { kind: 'retryable', name: 'KEEPER_EXCEPTION' },
};

/** What any call of a ledger rejects with. */
export class LedgerError extends Error {
  readonly kind: LedgerErrorKind;
  /** ClickHouse's error code; null when the failure lies before it: network, time limit, proxy. */
  readonly code: number | null;

  constructor(message: string, kind: LedgerErrorKind, code: number | null, cause: unknown) {
    super(message, { cause });
    this.name = 'LedgerError';
    this.kind = kind;
    this.code = code;
  }
}

const CODE_IN_MESSAGE = /^Code: (\d+)\./;
/** The engine repeats the offending rows in what it says; those may hold payloads. */
const MAX_MESSAGE_LENGTH = 300;

/** Whatever a client threw, as a `LedgerError`. An unknown code counts as fatal: a human must look. */
export function toLedgerError(error: unknown): LedgerError {
  if (error instanceof LedgerError) return error;
  const message = textOf(error);
  const code = codeOf(error, message);
  const kind = code === null ? 'retryable' : (KNOWN_ERRORS[code]?.kind ?? 'fatal');
  return new LedgerError(describe(message, code), kind, code, error);
}

/** A refused connection to a name with two addresses is an AggregateError without a message. */
function textOf(error: unknown): string {
  const message = messageOf(error);
  if (message !== '') return message;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : 'failed without a message';
}

/** The first line of what was thrown, kept short. */
export function firstLineOf(error: unknown): string {
  return firstLine(textOf(error));
}

function firstLine(text: string): string {
  return (text.split('\n', 1)[0] as string).slice(0, MAX_MESSAGE_LENGTH);
}

function describe(message: string, code: number | null): string {
  if (code === null) return firstLine(message);
  const known = KNOWN_ERRORS[code];
  return `ClickHouse error ${code}${known === undefined ? '' : ` (${known.name})`}: ${firstLine(message)}`;
}

/** The official client has the code as a string, the embedded engine as a number of another name. */
function codeOf(error: unknown, message: string): number | null {
  if (typeof error === 'object' && error !== null) {
    const { code, clickhouseCode } = error as { code?: unknown; clickhouseCode?: unknown };
    if (typeof clickhouseCode === 'number') return clickhouseCode;
    if (typeof code === 'string' && /^\d+$/.test(code)) return Number(code);
  }
  const found = CODE_IN_MESSAGE.exec(message);
  return found === null ? null : Number(found[1]);
}
