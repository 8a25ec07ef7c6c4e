import { readFileSync, readdirSync } from 'node:fs';

/** Linux counts CPU time in these; USER_HZ is 100 on every architecture that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU time of a process in microseconds, thread by thread: main is the one whose id is the process's. */
export function cpuMicrosByThread(pid: number): ReadonlyMap<number, number> {
  const threads = readdirSync(`/proc/${pid}/task`).map(Number);
  return new Map(threads.map((thread) => [thread, cpuMicrosOf(`/proc/${pid}/task/${thread}/stat`)]));
}

function cpuMicrosOf(statFile: string): number {
  // Fields 14 and 15 of proc(5)'s stat, counted after the name, which may contain spaces.
  const fields = readFileSync(statFile, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6;
}

/** Highest resident memory of a process so far, in bytes. */
export function peakResidentBytesOf(pid: number): number {
  return statusBytesOf(pid, /^VmHWM:\s+(\d+) kB/m);
}

/** Resident memory of a process now, in bytes. */
export function residentBytesOf(pid: number): number {
  return statusBytesOf(pid, /^VmRSS:\s+(\d+) kB/m);
}

function statusBytesOf(pid: number, line: RegExp): number {
  return Number(line.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
}
