/** The sample receiver of docker-compose.yml: reads each webhook, answers 204, and counts by path. */
import { createServer } from 'node:http';

const PORT = 8080;
const REPORT_MS = 10_000;
const received = {};

const server = createServer((request, response) => {
  request.resume().on('end', () => {
    received[request.url] = (received[request.url] ?? 0) + 1;
    response.writeHead(204).end();
  });
});
server.listen(PORT);

const report = setInterval(() => console.log(JSON.stringify({ received })), REPORT_MS);

process.once('SIGTERM', () => {
  clearInterval(report);
  server.close();
  server.closeAllConnections();
});
