import { DataMismatch } from '../node.ts'
import { isInteger } from '../op/integer.ts'

const shown = (x: unknown): string =>
  typeof x === 'string' ? JSON.stringify(x.slice(0, 40)) : typeof x === 'object' && x !== null ? 'an object' : String(x)

const refuse = (x: unknown, where: () => string, what: string): never => {
  throw new DataMismatch(`tensor: ${where()} is ${shown(x)}, ${what}`)
}

/**
 * The conversion of a number or a truth value to an element type; `where` names its place in a refusal.
 * @throws {DataMismatch} for a fraction or NaN as i32, a number beyond the type's range, anything but 0 and 1 as bool
 */
export const converterTo =
  (dtype: 'f32' | 'i32' | 'bool') =>
  (x: unknown, where: () => string): number => {
    if (typeof x !== 'number' && typeof x !== 'boolean') return refuse(x, where, 'not a number')
    const n = Number(x)
    switch (dtype) {
      case 'f32':
        return Number.isFinite(n) && !Number.isFinite(Math.fround(n)) ? refuse(x, where, 'beyond float32') : n
      case 'i32':
        return isInteger(n) ? n : refuse(x, where, 'not a 32-bit integer')
      case 'bool':
        return n === 0 || n === 1 ? n : refuse(x, where, 'neither a truth value nor 0 or 1')
    }
  }
