import { limits } from '../domain/limits.ts';
import { UnusableSchema } from './errors.ts';
import type { AvroEnum, AvroRecord, AvroType } from './schema-model.ts';

/**
 * What the walker executes: instructions in one flat Int32Array, each an opcode
 * and its operands. The record's own program starts at 0; types that are used
 * from several places, or repeatedly, are subroutines that end with `RETURN`.
 */
export interface WalkProgram {
  readonly code: Int32Array;
  /** Slot of each path asked for, in order; −1 for one the schema does not have. */
  readonly slotOfPath: readonly number[];
  readonly slots: number;
  /** Symbols of the enums that paths lead to, one after the other. */
  readonly symbols: readonly string[];
}

export const RETURN = 0;
/** Length and as many bytes. */
export const TEXT = 1;
/** `[most bytes, most the last byte may hold]`: a varint of an int or a long. */
export const INTEGER = 2;
/** `[bytes]` */
export const SKIP = 3;
/** `[branches, address of each]` */
export const UNION = 4;
/** `[address]` */
export const JUMP = 5;
/** `[slot]`: as TEXT, and its range is kept. */
export const TEXT_AT = 6;
export const BOOLEAN = 7;
/** `[symbols]` */
export const ENUM = 8;
/** `[address of the item, its values when it takes no bytes, else 0]`: blocks of an array or a map. */
export const ITEMS = 9;
/** `[address]` */
export const CALL = 10;
/** `[slot, most bytes, most the last byte may hold]` */
export const INTEGER_AT = 11;
/** `[slot, symbols, index of the first symbol]` */
export const ENUM_AT = 12;
/** `[values]`: a record brings so many values that take no bytes. */
export const CHARGE = 13;

/** Words that follow each opcode, by opcode; UNION's are as many as it has branches. */
export const OPERANDS = [0, 0, 2, 1, NaN, 1, 1, 0, 1, 2, 1, 3, 3, 1] as const;

/** A varint carries 7 bits a byte: 32 bits take 5 bytes, the last with 4 of them; 64 bits take 10, the last with 1. */
const INTEGER_BOUNDS = { int: [5, 0x0f], long: [10, 0x01] } as const;

/** A path that a part of the schema may satisfy: `rest` is what is left of it there. */
interface Want {
  readonly slot: number;
  readonly rest: readonly string[];
}

/**
 * @param paths of field names from the record down, through nested records and unions.
 * @throws UnusableSchema for a record that contains itself without end, or would decode to a flood of nothing.
 */
export function compileProgram(record: AvroRecord, paths: readonly (readonly string[])[]): WalkProgram {
  return new ProgramCompiler(paths).compile(record);
}

class ProgramCompiler {
  readonly #code: number[] = [];
  readonly #symbols: string[] = [];
  readonly #sizes = new Sizes();
  /** Where subroutines begin, and where their addresses must be filled in. */
  readonly #entries = new Map<AvroType, number>();
  readonly #calls: { readonly at: number; readonly type: AvroType }[] = [];
  readonly #slotOfPath: number[];
  readonly #wants: Want[] = [];

  constructor(paths: readonly (readonly string[])[]) {
    const slotOfText = new Map<string, number>();
    this.#slotOfPath = paths.map((path) => {
      const text = path.join('.');
      const known = slotOfText.get(text);
      if (known !== undefined) return known;
      const slot = this.#wants.push({ slot: this.#wants.length, rest: path }) - 1;
      slotOfText.set(text, slot);
      return slot;
    });
  }

  compile(record: AvroRecord): WalkProgram {
    this.#sizes.of(record);
    this.#emitFields(record, this.#wants);
    this.#code.push(RETURN);
    // The list grows while subroutines are emitted that call others.
    for (const { type } of this.#calls) this.#emitSubroutine(type);
    for (const { at, type } of this.#calls) this.#code[at] = this.#entries.get(type) as number;
    return {
      code: Int32Array.from(this.#code),
      slotOfPath: this.#slotOfPath,
      slots: this.#wants.length,
      symbols: this.#symbols,
    };
  }

  #emitSubroutine(type: AvroType): void {
    if (this.#entries.has(type)) return;
    this.#entries.set(type, this.#code.length);
    if (type.kind === 'record') this.#emitFields(type, []);
    else if (type.kind === 'array') this.#emit(type.items, []);
    else if (type.kind === 'map') {
      this.#code.push(TEXT);
      this.#emit(type.items, []);
    }
    this.#code.push(RETURN);
  }

  #emit(type: AvroType, wants: readonly Want[]): void {
    switch (type.kind) {
      case 'null':
        return;
      case 'boolean':
        this.#code.push(BOOLEAN);
        return;
      case 'float':
        this.#code.push(SKIP, 4);
        return;
      case 'double':
        this.#code.push(SKIP, 8);
        return;
      case 'fixed':
        this.#code.push(SKIP, type.sizeBytes);
        return;
      case 'bytes':
        this.#code.push(TEXT);
        return;
      case 'string':
        this.#emitString(slotEndingHere(wants));
        return;
      case 'int':
      case 'long':
        this.#emitInteger(type.kind, slotEndingHere(wants));
        return;
      case 'enum':
        this.#emitEnum(type, slotEndingHere(wants));
        return;
      case 'array':
      case 'map':
        this.#code.push(ITEMS, this.#addressOf(type, 1), this.#freeValuesOfItem(type));
        return;
      case 'union':
        this.#emitUnion(type.branches, wants);
        return;
      case 'record':
        this.#emitRecord(type, wants);
    }
  }

  #emitString(slot: number): void {
    if (slot < 0) this.#code.push(TEXT);
    else this.#code.push(TEXT_AT, slot);
  }

  #emitInteger(kind: 'int' | 'long', slot: number): void {
    if (slot < 0) this.#code.push(INTEGER, ...INTEGER_BOUNDS[kind]);
    else this.#code.push(INTEGER_AT, slot, ...INTEGER_BOUNDS[kind]);
  }

  #emitEnum(type: AvroEnum, slot: number): void {
    if (slot < 0) {
      this.#code.push(ENUM, type.symbols.length);
    } else {
      this.#code.push(ENUM_AT, slot, type.symbols.length, this.#symbols.length);
      this.#symbols.push(...type.symbols);
    }
  }

  #emitUnion(branches: readonly AvroType[], wants: readonly Want[]): void {
    const code = this.#code;
    const table = code.push(UNION, branches.length);
    code.length += branches.length;
    const jumps = branches.map((branch, index) => {
      code[table + index] = code.length;
      this.#emit(branch, wants);
      return code.push(JUMP, 0) - 1;
    });
    for (const jump of jumps) code[jump] = code.length;
  }

  /** A record that a path leads into is laid out in place; the others are called, so that a schema's code stays as small as its text. */
  #emitRecord(record: AvroRecord, wants: readonly Want[]): void {
    if (wants.length > 0) this.#emitFields(record, wants);
    else if (this.#needsWalk(record)) this.#code.push(CALL, this.#addressOf(record, 1));
  }

  #needsWalk(record: AvroRecord): boolean {
    const { takesBytes, freeValues } = this.#sizes.of(record);
    return takesBytes || freeValues > UNCHARGED_FREE_VALUES;
  }

  #emitFields(record: AvroRecord, wants: readonly Want[]): void {
    const { freeValues } = this.#sizes.of(record);
    if (freeValues > UNCHARGED_FREE_VALUES) this.#code.push(CHARGE, freeValues);
    for (const field of record.fields) {
      const inside = wants.filter((want) => want.rest[0] === field.name);
      this.#emit(
        field.type,
        inside.map((want) => ({ slot: want.slot, rest: want.rest.slice(1) })),
      );
    }
  }

  /** A placeholder `ahead` words after the code's end, filled in once the subroutine's address is known. */
  #addressOf(type: AvroType, ahead: number): number {
    this.#calls.push({ at: this.#code.length + ahead, type });
    return 0;
  }

  /** Zero where an item takes bytes, as a map's always do for their keys. */
  #freeValuesOfItem(type: AvroType & { kind: 'array' | 'map' }): number {
    const { takesBytes, freeValues } = this.#sizes.of(type.items);
    return type.kind === 'map' || takesBytes ? 0 : freeValues;
  }
}

function slotEndingHere(wants: readonly Want[]): number {
  return wants.find((want) => want.rest.length === 0)?.slot ?? -1;
}

/** A record with more values of no bytes than any sensible one has pays for them, wherever it occurs. */
const UNCHARGED_FREE_VALUES = 16;

interface Size {
  /** Whether every value takes a byte at least. */
  readonly takesBytes: boolean;
  /** Values that come with every value without taking a byte. */
  readonly freeValues: number;
}

const TAKES_BYTES: Size = { takesBytes: true, freeValues: 0 };
const TAKES_NONE: Size = { takesBytes: false, freeValues: 1 };

/** Sizes of types, and the refusal of records that would cost far more to decode than they have bytes. */
class Sizes {
  readonly #records = new Map<AvroRecord, Size | 'open'>();

  of(type: AvroType): Size {
    if (type.kind === 'record') return this.#ofRecord(type);
    const isFree = type.kind === 'null' || (type.kind === 'fixed' && type.sizeBytes === 0);
    return isFree ? TAKES_NONE : TAKES_BYTES;
  }

  #ofRecord(record: AvroRecord): Size {
    const known = this.#records.get(record);
    if (known === 'open') throw new UnusableSchema(`the record ${record.name} contains itself without end`);
    if (known !== undefined) return known;
    this.#records.set(record, 'open');
    const sizes = record.fields.map((field) => this.of(field.type));
    const takesBytes = sizes.some((size) => size.takesBytes);
    const freeValues = sizes.reduce((sum, size) => sum + size.freeValues, takesBytes ? 0 : 1);
    if (freeValues > limits.zeroWidthItems) {
      throw new UnusableSchema(
        `the record ${record.name} has more than ${limits.zeroWidthItems} values of no bytes`,
      );
    }
    const size = { takesBytes, freeValues };
    this.#records.set(record, size);
    return size;
  }
}
