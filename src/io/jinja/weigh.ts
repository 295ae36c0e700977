import type { Meter } from './meter.ts'
import { Generator, Range, Tuple, View, isDict, isList, isText, textOf, type Value } from './value.ts'

/**
 * Pays for a walk through a value, before it is printed or compared: lists that hold one list many times are small to
 * keep and endless to
 * walk through.
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
