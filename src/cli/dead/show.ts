import { isUtf8 } from 'node:buffer';
import { placeText } from '../../dead/dead-letter.ts';
import type { DeadLetter } from '../../dead/dead-letter.ts';
import type { DeadState } from '../../dead/scan.ts';
import { tableText } from '../../demo/table.ts';
import { deliveryHistory } from '../../ledger/queries.ts';
import type { AttemptView, LedgerReader } from '../../ledger/queries.ts';
import { printable, timeText } from './text.ts';

const HEAD_BYTES = 64;
const HEX_PER_LINE = 32;

/** What the ledger knows of a dead letter's delivery. */
export interface Known {
  /** In the order of time. */
  readonly attempts: readonly AttemptView[];
  /** The event as JSON; null when the ledger does not have it. */
  readonly payload: string | null;
}

export async function askLedger(ledger: LedgerReader, letter: DeadLetter): Promise<Known> {
  const { tenant, eventId, deliveryId, source } = letter;
  const [history, events] = await Promise.all([
    deliveryHistory(ledger, tenant, eventId),
    ledger.query<{ data: string }>(
      `SELECT data FROM events
       WHERE tenant = {tenant:String} AND event_id = {eventId:String}
       ORDER BY topic = {topic:String} AND partition = {partition:Int64} AND offset = {offset:Int64} DESC
       LIMIT 1`,
      { tenant, eventId, topic: source.topic, partition: source.partition, offset: source.offset },
    ),
  ]);
  const attempts = history
    .filter((attempt) => attempt.deliveryId === deliveryId)
    .sort((a, b) => a.attemptedAtMs - b.attemptedAtMs);
  return { attempts, payload: events[0]?.data ?? null };
}

/** Everything about one dead letter, for a person. */
export function showLines(letter: DeadLetter, state: DeadState, { attempts, payload }: Known): string[] {
  const { source } = letter;
  return [
    `dead letter ${placeText(letter.place)}, ${state}, died ${timeText(letter.diedAtMs)}`,
    `  delivery     ${printable(letter.deliveryId)} of event ${printable(letter.eventId)} (${printable(letter.eventType)})`,
    `  to           ${printable(letter.destinationId)} of tenant ${printable(letter.tenant)}`,
    `  ended        ${printable(letter.outcome)}, ${printable(letter.reason)} (${letter.kind}) after ${letter.attempts} attempts`,
    `  record       ${printable(source.topic)} ${placeText(source)}, ${timeText(source.timestampMs)}`,
    `  key          ${letter.key === null ? '(none)' : bytesText(letter.key)}`,
    '',
    'headers',
    ...letter.headers.map(([name, value]) => `  ${printable(name)}: ${bytesText(Buffer.from(value))}`),
    '',
    ...attemptLines(attempts),
    '',
    ...payloadLines(letter.value, payload),
  ];
}

function attemptLines(attempts: readonly AttemptView[]): string[] {
  if (attempts.length === 0) return ['attempts: the ledger has none'];
  const table = tableText(
    [
      ['when', 'left'],
      ['attempt', 'right'],
      ['outcome', 'left'],
      ['reason', 'left'],
      ['ms', 'right'],
      ['response', 'left'],
    ],
    attempts.map(({ attemptedAtMs, attempt, outcome, reason, durationMs, response }) => [
      timeText(attemptedAtMs),
      attempt === 0 ? '–' : attempt,
      outcome,
      printable(reason),
      attempt === 0 ? '–' : durationMs.toFixed(0),
      printable(response.slice(0, HEAD_BYTES)),
    ]),
  );
  return ['attempts', ...table.split('\n')];
}

function payloadLines(value: Buffer | null, payload: string | null): string[] {
  if (payload !== null)
    return ['payload, as the ledger has it', ...prettyJson(payload).split('\n').map(printable)];
  if (value === null) return ['payload: left out, being too large for the dead-letter topic'];
  const shown = value.length > HEAD_BYTES ? `, the first ${HEAD_BYTES}` : '';
  return [
    `payload: ${value.length} bytes of Avro${shown} in hex; the ledger has no JSON of it`,
    ...hexLines(value.subarray(0, HEAD_BYTES)),
  ];
}

function prettyJson(text: string): string {
  // Numbers beyond 2^53 would change, and text that is no JSON would fail: both are shown as they are.
  if (/\d{16}/.test(text)) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function bytesText(bytes: Buffer): string {
  return isUtf8(bytes) ? printable(bytes.toString('utf8')) : `0x${bytes.toString('hex')}`;
}

function hexLines(bytes: Buffer): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += HEX_PER_LINE) {
    const pairs = bytes.toString('hex', at, at + HEX_PER_LINE).match(/../g) ?? [];
    lines.push(`  ${pairs.join(' ')}`);
  }
  return lines;
}
