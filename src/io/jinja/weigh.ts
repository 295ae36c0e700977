import type { Meter } from './meter.ts'
import { Generator, Range, Tuple, View, isDict, isList, isText, textOf, type Value } from './value.ts'

/**
 * Counts a walk through a value before the value is printed or compared: nested lists that repeat one list are small to
 * store but take very long to walk.
 */
export const weigh = (value: Value, meter: Meter): void => {
  meter.spend(isText(value) ? textOf(value).length / 64 : 1)
  const items = isList(value)
    ? value
    : isDict(value)
      ? value.values()
      : value instanceof Generator
        ? value.peek()
        : value instanceof Tuple || value instanceof View || value instanceof Range
          ? value.items
          : []
  for (const item of items) weigh(item, meter)
}
