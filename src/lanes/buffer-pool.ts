/** Sizes are rounded up to this, so that buffers of about the same size can stand for one another. */
const GRAIN_BYTES = 64 * 1024;
/** What lies free is no more than this. */
const MAX_FREE_BYTES = 8 * 1024 * 1024;

/**
 * Buffers of one thread, used again: writing to memory that is fresh from the
 * system costs several times what the copy itself does, a page fault every 4 KiB.
 */
export class BufferPool {
  readonly #free = new Map<number, ArrayBuffer[]>();
  #freeBytes = 0;

  /** @returns a buffer of at least that size, whose content is whatever was in it. */
  take(bytes: number): ArrayBuffer {
    // Small ones come from the heap of the process, whose pages are there already.
    if (bytes < GRAIN_BYTES) return new ArrayBuffer(bytes);
    const size = Math.ceil(bytes / GRAIN_BYTES) * GRAIN_BYTES;
    const buffer = this.#free.get(size)?.pop();
    if (buffer === undefined) return new ArrayBuffer(size);
    this.#freeBytes -= size;
    return buffer;
  }

  /** Nothing may use it any more. */
  give(buffer: ArrayBuffer): void {
    const size = buffer.byteLength;
    if (size < GRAIN_BYTES || this.#freeBytes + size > MAX_FREE_BYTES) return;
    this.#freeBytes += size;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else free.push(buffer);
  }
}
