/** What became of one attempt: one class per decision that follows from it; see `CLASS_RULES`. */
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

/** What follows from a class. */
export interface ClassRule {
  /** Whether another attempt may go better. */
  readonly retried: boolean;
  /** Whether it uses up one of the delivery's attempts. */
  readonly charged: boolean;
  /** What the destination's breaker takes it for: `success` says the endpoint answers, `ignored` says nothing. */
  readonly breaker: 'success' | 'failure' | 'ignored';
  /** Whether the receiver may have taken the event although no 2xx was seen. */
  readonly ambiguous: 'never' | 'if_sent' | 'always';
}

export const CLASS_RULES: Readonly<Record<AttemptClass, ClassRule>> = {
  /** A 2xx was seen. */
  delivered: { retried: false, charged: true, breaker: 'success', ambiguous: 'never' },
  /** The receiver refused this event for good: 3xx, most 4xx. It answers, so the breaker has no reason to open. */
  rejected: { retried: false, charged: true, breaker: 'success', ambiguous: 'never' },
  /** 429, or 502/503/504 with Retry-After: the receiver is alive and says when. */
  throttled: { retried: true, charged: true, breaker: 'ignored', ambiguous: 'never' },
  /** Nothing left this machine: DNS, refused, TLS, connect. */
  failed_before_send: { retried: true, charged: true, breaker: 'failure', ambiguous: 'never' },
  /** Reset, deadline, garbage, 5xx. */
  failed_after_send: { retried: true, charged: true, breaker: 'failure', ambiguous: 'always' },
  /** The address may not be reached, or the request may not be sent: a decision of ours that stands. */
  blocked: { retried: false, charged: true, breaker: 'ignored', ambiguous: 'never' },
  /** Our own shortage or end: descriptors, ports, worker crash, shutdown. */
  local: { retried: true, charged: false, breaker: 'ignored', ambiguous: 'if_sent' },
};

/** What is known when an attempt ends. */
export interface AttemptEnd {
  /** HTTP status seen, 0 when none was. */
  readonly status: number;
  readonly hasRetryAfter: boolean;
  /** Its text as it came, '' when there was none or none that could mean anything; see `retry/retry-after.ts`. */
  readonly retryAfter: string;
  /** The error's code when it ended in one: undici's, Node's or the system's; '' otherwise. */
  readonly errorCode: string;
  /** Whether any byte of the request was written to a socket. */
  readonly requestSent: boolean;
}

export interface Verdict {
  readonly class: AttemptClass;
  /** Short, lower-case and of a closed vocabulary: a ledger column and a metric label may carry it. */
  readonly reason: string;
  /** Set when the receiver wants nothing any more, ever: a 410. */
  readonly disables?: true;
}

/** The code our own deadline ends an attempt with. */
export const DEADLINE_CODE = 'EVENTDISPATCH_DEADLINE';
/** The code of a target whose address may not be reached. */
export const BLOCKED_CODE = 'EVENTDISPATCH_BLOCKED';
/** The code of attempts that were under way on a lane thread that died. */
export const WORKER_CRASH_CODE = 'EVENTDISPATCH_WORKER_CRASH';

const GONE = 410;

const BLOCKED_CODES: ReadonlyMap<string, string> = new Map([
  [BLOCKED_CODE, 'address_blocked'],
  // undici refuses to write such a request, whoever made its headers so; it would refuse it again.
  ['UND_ERR_INVALID_ARG', 'request_blocked'],
  ['UND_ERR_NOT_SUPPORTED', 'request_blocked'],
]);

const LOCAL_CODES: ReadonlyMap<string, string> = new Map([
  ['EMFILE', 'no_descriptors'],
  ['ENFILE', 'no_descriptors'],
  ['EADDRNOTAVAIL', 'no_local_port'],
  ['ENOBUFS', 'no_buffers'],
  ['ENOMEM', 'no_memory'],
  [WORKER_CRASH_CODE, 'worker_crash'],
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

/** Statuses that HTTP can spell; their verdicts are made once, so that a delivery makes none. */
const STATUSES = 1_000;
const PLAIN: readonly Verdict[] = Array.from({ length: STATUSES }, (_, status) => ofStatus(status, false));
const WITH_RETRY_AFTER: readonly Verdict[] = Array.from({ length: STATUSES }, (_, status) =>
  ofStatus(status, true),
);

/** Total: every end of an attempt has exactly one verdict, and a status seen outranks what came after it. */
export function classify(end: AttemptEnd): Verdict {
  const { status, hasRetryAfter, errorCode } = end;
  if (status !== 0) {
    const known = hasRetryAfter ? WITH_RETRY_AFTER : PLAIN;
    return known[status] ?? ofStatus(status, hasRetryAfter);
  }
  const blocked = BLOCKED_CODES.get(errorCode);
  if (blocked !== undefined) return { class: 'blocked', reason: blocked };
  const local = LOCAL_CODES.get(errorCode);
  if (local !== undefined) return { class: 'local', reason: local };
  return {
    class: end.requestSent ? 'failed_after_send' : 'failed_before_send',
    reason: reasonOfError(errorCode),
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
  if (status === GONE) return { class: 'rejected', reason, disables: true };
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

/** Whether the receiver may have taken the event although its attempt did not end `delivered`. */
export function isAmbiguous(attemptClass: AttemptClass, requestSent: boolean): boolean {
  const { ambiguous } = CLASS_RULES[attemptClass];
  return ambiguous === 'always' || (ambiguous === 'if_sent' && requestSent);
}
