import { createClient } from '@clickhouse/client';
import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const { createChdbConnection } = require('chdb/connection');
import { mkdtempSync, rmSync } from 'node:fs';
import { Readable } from 'node:stream';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { spawnSync } from 'node:child_process';
const dir = mkdtempSync('/tmp/w/ledger/probe-');
const connection = createChdbConnection({ path: dir });
const c = createClient({ connection });
const q = async (query, o={}) => (await (await c.query({ query, format: 'JSONEachRow', ...o })).json());
await c.command({ query: 'create database d1' });
await c.command({ query: 'use d1' });
await c.command({ query: `create table t (a String, b DateTime64(3,'UTC'), n Nullable(DateTime64(3,'UTC')), f Bool) engine=MergeTree order by a settings non_replicated_deduplication_window=1000` });
let i=0;
const ins = (rows, mode='basic') => connection.chdb.rawInsert({ table:'t', columns:['a','b','n','f'], format:'TabSeparated', values: Buffer.from(rows), settings:{insert_deduplication_token: 'k'+i++, async_insert:0, input_format_tsv_detect_header:0, date_time_input_format: mode}});
for (const mode of ['basic','best_effort']) {
for (const rows of ['a\tb\n', ...[0,1,1500,1234567,999999999999,1700000000123,9999999999999].map(t=>`x\t${String(Math.floor(t/1000)).padStart(10,'0')}.${String(t%1000).padStart(3,'0')}\t\\N\t1\n`), 'nul\0\\b\x01\t0000000001.000\t0000000001.000\t0\n']) {
  try { const r = await ins(rows,mode); console.log(JSON.stringify(rows), 'OK', r.rowsWritten) } catch (e) { console.log(JSON.stringify(rows), 'ERR', e.clickhouseCode, e.message.slice(0,100)) }
  console.log(JSON.stringify(await q('select *, toUnixTimestamp64Milli(b) ms from t'))); await c.command({query:'truncate table t'});
}}
console.log('params', JSON.stringify(await q('select {a:String} a, {n:UInt32} n, count() c, toInt64(5) i from t', {query_params:{a:"x' or 1 \\ \t\n é", n: 5}, clickhouse_settings:{output_format_json_quote_64bit_integers:0}})));
// second process
const r = spawnSync(process.execPath, ['-e', `try { require('chdb/connection').createChdbConnection({path:${JSON.stringify(dir)}}); console.log('opened?!') } catch (e) { console.log(e.constructor.name, e.code, e.clickhouseCode, e.message) }`], {encoding:'utf8'});
console.log('second:', r.status, r.signal, r.stdout.slice(0,400), r.stderr.slice(0,400));
try { createChdbConnection({path:'/tmp/w/ledger/other'}) } catch (e) { console.log('other dir:', e.constructor.name, e.code, e.message) }
process.on('SIGTERM', ()=>console.log('got SIGTERM in node'));
process.kill(process.pid,'SIGTERM'); await new Promise(r=>setTimeout(r,50));
await c.close();
await require('chdb').drainPending?.();
rmSync(dir,{recursive:true});
try { const x = createChdbConnection({path:'/tmp/w/ledger/other'}); console.log('other after close ok'); await x.close(); rmSync('/tmp/w/ledger/other',{recursive:true})} catch (e) { console.log('other dir:', e.constructor.name, e.code, e.message) }
