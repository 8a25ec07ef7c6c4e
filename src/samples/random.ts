const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
const TWO_32 = 2 ** 32;

/** A seeded generator of pseudo-random values (sfc32): the same seed gives the same values on every machine. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed a whole number; its low 32 bits count. */
  constructor(seed: number) {
    this.#a = seed >>> 0;
    this.#b = 0x9e3779b9;
    this.#c = 0x85ebca6b;
    // Close seeds give unlike sequences only after the state has been stirred.
    for (let i = 0; i < 15; i++) this.bits();
  }

  /** 32 bits, as an unsigned number. */
  bits(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + result;
    return result >>> 0;
  }

  /** From 0 up to 1, 1 excluded. */
  fraction(): number {
    return this.bits() / TWO_32;
  }

  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.fraction() * list.length)] as T;
  }

  /** Eight hexadecimal digits. */
  hex8(): string {
    return hexOf(this.bits());
  }

  /** The text of a version 4 UUID. */
  uuid(): string {
    const [b, c] = [this.bits(), this.bits()];
    const version = hexOf((b & 0xffff0fff) | 0x4000);
    const variant = hexOf((c & 0x3fffffff) | 0x80000000);
    return `${this.hex8()}-${version.slice(0, 4)}-${version.slice(4)}-${variant.slice(0, 4)}-${variant.slice(4)}${this.hex8()}`;
  }
}

/** Eight hexadecimal digits of a number's low 32 bits. */
export function hexOf(bits: number): string {
  const byte = (shift: number): string => HEX[(bits >>> shift) & 0xff] as string;
  return byte(24) + byte(16) + byte(8) + byte(0);
}
