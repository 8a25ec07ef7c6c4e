/**
 * The demo's receivers, in a process of their own: three ports, and every 2xx on
 * record before it is sent. It ends when the demo does, since its channel closes.
 */
import {
  loadUws,
  listenExclusively,
  type HttpRequest,
  type HttpResponse,
  type UwsModule,
} from '../api/uws.ts';
import { messageOf } from '../domain/errors.ts';
import { DEMO_DESTINATIONS, type DemoDestination } from './destinations.ts';
import { ReceiptsFile, Receptionist } from './receipts.ts';
import type { FromReceivers, ToReceivers } from './receiver-messages.ts';

const COUNTS_INTERVAL_MS = 500;

const [, , receiptsFile] = process.argv;
if (receiptsFile === undefined || process.send === undefined) {
  throw new Error('a part of the demo; it is started by it');
}

// Ctrl-C reaches the whole group, while the dispatcher still has deliveries to finish.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);
process.on('disconnect', () => process.exit());

try {
  await serve(new ReceiptsFile(receiptsFile));
} catch (error) {
  send({ kind: 'failed', reason: messageOf(error) });
  process.disconnect();
}

async function serve(receipts: ReceiptsFile): Promise<void> {
  const uws = await loadUws();
  const receivers = DEMO_DESTINATIONS.map((destination) => {
    const receptionist = new Receptionist(destination.id, destination.receiver, receipts);
    return { destination, receptionist, port: listen(uws, destination, receptionist) };
  });
  const tell = (kind: 'counts' | 'flushed'): void => {
    send({ kind, counts: receivers.map(({ receptionist }) => receptionist.counts) });
  };
  process.on('message', (_message: ToReceivers) => {
    receipts.flush();
    tell('flushed');
  });
  setInterval(() => {
    tell('counts');
  }, COUNTS_INTERVAL_MS);
  const ports = Object.fromEntries(receivers.map(({ destination, port }) => [destination.id, port]));
  send({ kind: 'listening', ports });
}

function listen(uws: UwsModule, { id, receiver }: DemoDestination, receptionist: Receptionist): number {
  const app = uws.App();
  app.post('/*', (response, request) => {
    receive(response, request, receiver.delayMs, receptionist);
  });
  const port = listenExclusively(uws, app, '127.0.0.1', 0);
  if (port === null) throw new Error(`the receiver ${id} cannot listen on 127.0.0.1`);
  return port;
}

function receive(
  response: HttpResponse,
  request: HttpRequest,
  delayMs: number,
  receptionist: Receptionist,
): void {
  // The request object is gone once this function returns.
  const webhookId = request.getHeader('webhook-id');
  let aborted = false;
  response.onAborted(() => {
    aborted = true;
  });
  const answer = (): void => {
    if (!aborted)
      response.cork(() => response.writeStatus(receptionist.accepts(webhookId) ? '204' : '503').end());
  };
  response.onData((_chunk, isLast) => {
    if (!isLast) return;
    if (delayMs > 0) setTimeout(answer, delayMs);
    else answer();
  });
}

function send(message: FromReceivers): void {
  process.send?.(message);
}
