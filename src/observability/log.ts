import { destination, pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from '../config/config.ts';
import { LOG_EVENTS } from './log-events.ts';
import type { LogEvent } from './log-events.ts';

/** Details of a log line. An `Error` under `err` is written with its type, message and stack. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  /** Writes one JSON line at the event's level: `{level, time, event, …fields, msg}`. */
  write(event: LogEvent, fields?: LogFields): void;
  /** Whether a line of this event would come out: for what happens too often to make a line in vain. */
  writes(event: LogEvent): boolean;
  /** A log that adds these fields to each line. */
  with(fields: LogFields): Log;
}

/** Where lines go; each call is one line with its line feed. */
export interface LineSink {
  write(line: string): void;
}

/**
 * Names that hold a secret or a payload wherever they occur, down to three levels;
 * pino's paths know no deeper wildcard. The dotted names are librdkafka properties.
 */
const SECRET_NAMES = [
  'password',
  'secret',
  'token',
  'authorization',
  'headers',
  'body',
  'payload',
  'value',
  'dataJson',
  '["sasl.password"]',
  '["ssl.key.password"]',
  '["ssl.key.pem"]',
  '["ssl.keystore.password"]',
  '["sasl.oauthbearer.client.secret"]',
] as const;
const REDACTED = '[redacted]';

/** @param sink standard output when left out. */
export function createLogger(level: LogLevel, sink: LineSink = standardOutput()): Log {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redactPaths(), censor: REDACTED },
    },
    sink,
  );
  const writer: Writer = {
    write: (eventLevel, fields, text) => {
      logger[eventLevel](fields, text);
    },
    isOn: (eventLevel) => logger.isLevelEnabled(eventLevel),
  };
  return logOver(writer, {});
}

type EventLevel = (typeof LOG_EVENTS)[LogEvent]['level'];
interface Writer {
  readonly write: (level: EventLevel, fields: object, text: string) => void;
  readonly isOn: (level: EventLevel) => boolean;
}

function logOver(writer: Writer, common: LogFields): Log {
  return {
    write: (event, fields) => {
      const { level, text } = LOG_EVENTS[event];
      writer.write(level, { ...common, ...fields, event }, text);
    },
    writes: (event) => writer.isOn(LOG_EVENTS[event].level),
    with: (fields) => logOver(writer, { ...common, ...fields }),
  };
}

/** Synchronous: lines of note are few, and the last ones before an exit are those that matter. */
function standardOutput(): LineSink {
  return destination({ dest: 1, sync: true });
}

function redactPaths(): string[] {
  return SECRET_NAMES.flatMap((name) => {
    const nested = name.startsWith('[') ? name : `.${name}`;
    return [name, `*${nested}`, `*.*${nested}`];
  });
}
