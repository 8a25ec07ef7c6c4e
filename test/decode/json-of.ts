import { JsonOutput } from '../../src/decode/json-output.ts';
import { JsonTranscoder } from '../../src/decode/json-transcoder.ts';
import { parseSchemas } from '../../src/decode/schema-parser.ts';

/** The JSON that the lanes make of a record; proves on the way that it ends where the record does. */
export function jsonOf(schema: unknown, record: Buffer, output = new JsonOutput()): Buffer {
  const before = 3;
  const source = Buffer.concat([Buffer.alloc(before, 0xff), record, Buffer.alloc(4, 0x02)]);
  const transcoder = new JsonTranscoder(parseSchemas([JSON.stringify(schema)]), output);
  const { json, end } = transcoder.transcode(source, before);
  if (end !== before + record.length) throw new Error(`it ended ${end - before - record.length} bytes off`);
  return json;
}

/** Strict: bytes that are not UTF-8 and text that is not JSON are errors. */
export function parseJson(json: Uint8Array): unknown {
  return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(json));
}
