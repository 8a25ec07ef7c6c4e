import type { Outcome } from '../domain/outcome.ts';

/**
 * What became of one attempt. One class per decision that follows from it:
 *
 * | class                | means                                                   | tried again |
 * |----------------------|---------------------------------------------------------|-------------|
 * | `delivered`          | a 2xx was seen                                          | no          |
 * | `rejected`           | the receiver refused it for good: 3xx, most 4xx          | no          |
 * | `throttled`          | 429, or 502/503/504 with Retry-After                    | yes         |
 * | `failed_before_send` | nothing left this machine: DNS, refused, TLS, connect   | yes         |
 * | `failed_after_send`  | ambiguous: reset, deadline, garbage, 5xx                | yes         |
 * | `blocked`            | the address may not be reached                          | no          |
 * | `local`              | our own shortage: descriptors, ports, shutdown          | yes         |
 */
export const ATTEMPT_CLASSES = [
  'delivered',
  'rejected',
  'throttled',
  'failed_before_send',
  'failed_after_send',
  'blocked',
  'local',
] as const;
export type AttemptClass = (typeof ATTEMPT_CLASSES)[number];

/** What is known when an attempt ends. */
export interface AttemptEnd {
  /** HTTP status seen, 0 when none was. */
  readonly status: number;
  readonly hasRetryAfter: boolean;
  /** The error's code when it ended in one: undici's, Node's or the system's; '' otherwise. */
  readonly errorCode: string;
  /** Whether any byte of the request was written to a socket. */
  readonly requestSent: boolean;
}

export interface Verdict {
  readonly class: AttemptClass;
  /** Short, lower-case and of a closed vocabulary: a ledger column and a metric label may carry it. */
  readonly reason: string;
}

/** The code our own deadline ends an attempt with. */
export const DEADLINE_CODE = 'EVENTDISPATCH_DEADLINE';
/** The code of a target whose address may not be reached. */
export const BLOCKED_CODE = 'EVENTDISPATCH_BLOCKED';

const LOCAL_CODES: ReadonlyMap<string, string> = new Map([
  ['EMFILE', 'no_descriptors'],
  ['ENFILE', 'no_descriptors'],
  ['EADDRNOTAVAIL', 'no_local_port'],
  ['ENOBUFS', 'no_buffers'],
  ['ENOMEM', 'no_memory'],
  ['UND_ERR_DESTROYED', 'shutdown'],
  ['UND_ERR_CLOSED', 'shutdown'],
]);

const ERROR_REASONS: ReadonlyMap<string, string> = new Map([
  [DEADLINE_CODE, 'deadline'],
  ['ECONNREFUSED', 'connect_refused'],
  ['ECONNRESET', 'reset'],
  ['EPIPE', 'reset'],
  ['UND_ERR_SOCKET', 'closed'],
  ['ETIMEDOUT', 'connect_timeout'],
  ['UND_ERR_CONNECT_TIMEOUT', 'connect_timeout'],
  ['EHOSTUNREACH', 'unreachable'],
  ['ENETUNREACH', 'unreachable'],
  ['ENOTFOUND', 'dns_not_found'],
  ['ENODATA', 'dns_not_found'],
  ['ESERVFAIL', 'dns_failed'],
  ['EREFUSED', 'dns_failed'],
  ['ECONNABORTED', 'reset'],
  ['EAI_AGAIN', 'dns_failed'],
  ['ETIMEOUT', 'dns_timeout'],
  // undici's parser error has no code in this version; then its name is what there is.
  ['HTTPParserError', 'response_malformed'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'response_malformed'],
  ['UND_ERR_HEADERS_OVERFLOW', 'response_headers_too_large'],
  ['CERT_HAS_EXPIRED', 'tls_expired'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls_wrong_name'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls_untrusted'],
  ['SELF_SIGNED_CERT_IN_CHAIN', 'tls_untrusted'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls_untrusted'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'tls_untrusted'],
]);

/** Total: every end of an attempt has exactly one verdict, and a status seen outranks what came after it. */
export function classify(end: AttemptEnd): Verdict {
  if (end.status !== 0) return ofStatus(end.status, end.hasRetryAfter);
  if (end.errorCode === BLOCKED_CODE) return { class: 'blocked', reason: 'address_blocked' };
  const local = LOCAL_CODES.get(end.errorCode);
  if (local !== undefined) return { class: 'local', reason: local };
  return {
    class: end.requestSent ? 'failed_after_send' : 'failed_before_send',
    reason: reasonOfError(end.errorCode),
  };
}

function ofStatus(status: number, hasRetryAfter: boolean): Verdict {
  const reason = `http_${status}`;
  if (status >= 200 && status <= 299) return { class: 'delivered', reason };
  if (status === 429) return { class: 'throttled', reason };
  if (hasRetryAfter && (status === 502 || status === 503 || status === 504))
    return { class: 'throttled', reason };
  // 408 and 425 say "try again" by their definition (RFC 9110 §15.5.9, RFC 8470 §5.2).
  if (status === 408 || status === 425) return { class: 'failed_after_send', reason };
  if (status >= 300 && status <= 499) return { class: 'rejected', reason };
  return { class: 'failed_after_send', reason };
}

function reasonOfError(code: string): string {
  const known = ERROR_REASONS.get(code);
  if (known !== undefined) return known;
  if (code.startsWith('HPE_')) return 'response_malformed';
  if (code.startsWith('ERR_SSL') || code.startsWith('ERR_TLS') || code === 'EPROTO') return 'tls_failed';
  return 'failed';
}

const RETRIED: ReadonlySet<AttemptClass> = new Set([
  'throttled',
  'failed_before_send',
  'failed_after_send',
  'local',
]);

/** What an attempt's verdict makes of its delivery, given whether attempts are left. */
export function outcomeOf(attemptClass: AttemptClass, attemptsLeft: boolean): Outcome {
  if (attemptClass === 'delivered') return 'delivered';
  if (attemptClass === 'rejected') return 'rejected';
  return RETRIED.has(attemptClass) && attemptsLeft ? 'retrying' : 'dead';
}
