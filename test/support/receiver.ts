import { startNodeChild } from './process.ts';
import type { Child } from './process.ts';
import { supportFile } from './repository.ts';

/** How a receiver answers; 200 with no body at once, when nothing is said. */
export interface Behaviour {
  readonly status?: number;
  /** Statuses by how often the same webhook-id came; the last one stays. Wins over `status` and `failPercent`. */
  readonly statuses?: readonly number[];
  /** Share of requests, at random from the port's seed, that get `failStatus` (503). */
  readonly failPercent?: number;
  readonly failStatus?: number;
  /** Of answers with `failStatus` alone, added to `headers`. */
  readonly failHeaders?: Readonly<Record<string, string>>;
  readonly delayMs?: number;
  /** Of the answer, e.g. `{ 'retry-after': '1' }`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Adds a `Retry-After` with the date that is so far ahead of the request, cut to whole seconds. */
  readonly retryAfterDateMs?: number;
  readonly body?: string;
  /** Read the request and never answer. */
  readonly hang?: boolean;
}

/** What a receiver keeps of each request, before it answers. */
export interface Recording {
  /** `none` only counts; together with an empty behaviour it is the cheapest sink there is. */
  readonly rows: 'all' | 'none';
  readonly body: 'none' | 'sha256' | 'text';
  /** Names in lower case. */
  readonly headers: readonly string[] | 'all';
}

/** Defaults: `{ rows: 'all', body: 'sha256', headers: [] }`. */
export type RecordingOptions = Partial<Recording>;

/**
 * Ways to break HTTP on a raw socket. The request is read to its end first, except by the three that have no
 * connection to read from: `refuse` (nobody listens on the port), `reset-on-connect`, `close-on-connect`.
 */
export type SocketFault =
  | 'refuse'
  | 'reset-on-connect'
  | 'close-on-connect'
  | 'reset-after-request'
  | 'close-after-request'
  | 'hang'
  | 'header-drip'
  | 'body-drip'
  /** With a 500 before it. */
  | 'error-body-drip'
  | 'endless-body'
  /** One every 100 ms. */
  | 'informational-drip'
  /** As fast as they are taken. */
  | 'informational-flood'
  | 'garbage'
  | 'oversize-headers'
  | 'length-and-chunked'
  | 'truncated-body'
  | 'extra-response';

export interface PortOptions {
  readonly name: string;
  /** Of 127.0.0.1; any free one by default. */
  readonly port?: number;
  readonly behaviour?: Behaviour;
  readonly recording?: RecordingOptions;
  /** For `failPercent`; the same requests in the same order fail for the same seed. */
  readonly seed?: number;
  /** Makes this a raw socket that breaks HTTP so, instead of an HTTP server. */
  readonly fault?: SocketFault;
}

export interface ReceivedRequest {
  /** Of the machine's monotonic clock, the same as `process.hrtime` in any process. */
  readonly monotonicUs: number;
  /** Since 1970. */
  readonly wallUs: number;
  readonly path: string;
  /** Header webhook-id, or ''. */
  readonly webhookId: string;
  /** The status it was going to be answered with; 0: no answer, or one of a fault receiver. */
  readonly status: number;
  readonly bodyBytes: number;
  /** SHA-256 in hex or the text, as the recording says. */
  readonly body: string | null;
  /** The headers that were selected and present. */
  readonly headers: Readonly<Record<string, string>> | null;
}

/** Receivers in one process of their own, each on a port of 127.0.0.1. Every request is recorded before it is answered. */
export interface Receiver {
  readonly pid: number;
  /** `http://127.0.0.1:port` of a receiver. */
  url(name: string): string;
  /** Requests so far, recorded or only counted. */
  count(name: string): Promise<number>;
  counts(): Promise<Record<string, number>>;
  /** Recorded requests by path. */
  pathCounts(name: string): Promise<Record<string, number>>;
  /** Connections a fault receiver accepted. */
  connections(name: string): Promise<number>;
  /** Recorded requests in order of arrival, from the given index on. */
  requests(name: string, from?: number): Promise<ReceivedRequest[]>;
  /** The recorded headers of the request that is answered next with 2xx, right after its answer. */
  nextAnswered(name: string): Promise<Readonly<Record<string, string>>>;
  /** Replaces the behaviour of a receiver, or of one path of it, for requests from now on. */
  setBehaviour(name: string, behaviour: Behaviour, path?: string): Promise<void>;
  setRecording(name: string, recording: RecordingOptions): Promise<void>;
  /** Forgets all requests, and the times each webhook-id came. */
  clear(): Promise<void>;
  /** SIGSTOP. */
  pause(): void;
  /** SIGCONT. */
  resume(): void;
  /** SIGKILL: every port refuses from now on. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a receiver process and waits until all of its ports listen. @throws Error with its output. */
export async function startReceiver(options: { readonly ports: readonly PortOptions[] }): Promise<Receiver> {
  const { child, ready } = await startNodeChild(supportFile('receiver-process.mjs'), {
    name: 'receiver',
    args: [JSON.stringify(options.ports)],
    ready: /^receiver ready (.+)$/,
  });
  const { control, ports } = JSON.parse(ready[1] ?? '') as { control: number; ports: Record<string, number> };
  return new ReceiverProcess(child, control, ports);
}

type Row = [number, number, string, string, number, number, string | null, Record<string, string> | null];

class ReceiverProcess implements Receiver {
  readonly #child: Child;
  readonly #control: string;
  readonly #ports: Readonly<Record<string, number>>;

  constructor(child: Child, controlPort: number, ports: Readonly<Record<string, number>>) {
    this.#child = child;
    this.#control = `http://127.0.0.1:${controlPort}`;
    this.#ports = ports;
  }

  get pid(): number {
    return this.#child.pid;
  }

  url(name: string): string {
    const port = this.#ports[name];
    if (port === undefined) throw new Error(`no receiver ${name}`);
    return `http://127.0.0.1:${port}`;
  }

  async count(name: string): Promise<number> {
    const count = (await this.counts())[name];
    if (count === undefined) throw new Error(`no receiver ${name}`);
    return count;
  }

  async counts(): Promise<Record<string, number>> {
    return (await (await this.#ask('/counts')).json()) as Record<string, number>;
  }

  async pathCounts(name: string): Promise<Record<string, number>> {
    return (await (await this.#ask(`/paths?${search({ name })}`)).json()) as Record<string, number>;
  }

  async connections(name: string): Promise<number> {
    return (await (await this.#ask(`/connections?${search({ name })}`)).json()) as number;
  }

  async requests(name: string, from = 0): Promise<ReceivedRequest[]> {
    const response = await this.#ask(`/requests?${search({ name, from: String(from) })}`);
    const requests: ReceivedRequest[] = [];
    for await (const line of linesOf(response)) {
      const [monotonicUs, wallUs, path, webhookId, status, bodyBytes, body, headers] = JSON.parse(
        line,
      ) as Row;
      requests.push({ monotonicUs, wallUs, path, webhookId, status, bodyBytes, body, headers });
    }
    return requests;
  }

  async nextAnswered(name: string): Promise<Readonly<Record<string, string>>> {
    return (await (await this.#ask(`/next-answered?${search({ name })}`)).json()) as Record<string, string>;
  }

  async setBehaviour(name: string, behaviour: Behaviour, path?: string): Promise<void> {
    await this.#tell(`/behaviour?${search(path === undefined ? { name } : { name, path })}`, behaviour);
  }

  async setRecording(name: string, recording: RecordingOptions): Promise<void> {
    await this.#tell(`/recording?${search({ name })}`, recording);
  }

  async clear(): Promise<void> {
    await this.#tell('/clear', {});
  }

  pause(): void {
    this.#child.pause();
  }

  resume(): void {
    this.#child.resume();
  }

  async kill(): Promise<void> {
    await this.#child.kill();
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }

  async #tell(path: string, body: object): Promise<void> {
    const response = await this.#ask(path, { method: 'POST', body: JSON.stringify(body) });
    await response.body?.cancel();
  }

  async #ask(path: string, init?: RequestInit): Promise<Response> {
    const response = await fetch(this.#control + path, init);
    if (!response.ok)
      throw new Error(`receiver control ${path}: ${response.status} ${await response.text()}`);
    return response;
  }
}

/** A body of a million lines is more than one string may hold, so it is cut as it comes. */
async function* linesOf(response: Response): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response.body ?? []) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

function search(parameters: Record<string, string>): string {
  return new URLSearchParams(parameters).toString();
}
