import { bind } from './arguments.ts'
import { item } from './attributes.ts'
import type { Meter } from './meter.ts'
import { printed } from './print.ts'
import { Undefined, compare, equal, type Given, type Value } from './value.ts'

/** A filter: a function of a value and arguments. */
export type Filter = (value: Value, given: Given, meter: Meter) => Value

export const shown = (value: Value): string => printed(value)
export const plain =
  (make: (value: Value) => Value): Filter =>
  (value, given) => {
    bind('the filter', [], given)
    return make(value)
  }
export const small = (value: Value): Value => (typeof value === 'string' ? value.toLowerCase() : value)

/** Reads an attribute, such as `user.name` or `0` in a filter's argument, from a value. */
export const taker =
  (path: Value | undefined, meter: Meter, otherwise?: Value) =>
  (value: Value): Value => {
    if (path === undefined || path === null) return value
    const steps =
      typeof path === 'bigint'
        ? [path]
        : printed(path)
            .split('.')
            .map(step => (/^\d+$/.test(step) ? BigInt(step) : step))
    return steps.reduce<Value>((inner, step) => {
      const found = item(inner, step, meter)
      return found instanceof Undefined && otherwise !== undefined && otherwise !== null ? otherwise : found
    }, value)
  }

export const sorted = (
  items: readonly Value[],
  keys: (value: Value) => readonly Value[],
  reversed: boolean,
  meter: Meter,
): readonly Value[] => {
  meter.spend(items.length * 8)
  const order = (a: readonly Value[], b: readonly Value[]): number => {
    const at = a.findIndex((key, i) => !equal(key, b[i]!))
    return at < 0 ? 0 : compare(a[at]!, b[at]!) * (reversed ? -1 : 1)
  }
  return items
    .map(value => [keys(value), value] as const)
    .sort(([a], [b]) => order(a, b))
    .map(([, value]) => value)
}
