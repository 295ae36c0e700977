import { bind } from './arguments.ts'
import { raise } from './error.ts'
import { isLower, isUpper } from './letters.ts'
import type { Meter } from './meter.ts'
import { operate } from './operators.ts'
import { printed } from './print.ts'
import {
  Callable,
  Generator,
  Markup,
  Namespace,
  Range,
  Tuple,
  Undefined,
  View,
  compare,
  contains,
  equal,
  isDict,
  isList,
  isText,
  numberOf,
  type Given,
  type Value,
} from './value.ts'
import { weigh } from './weigh.ts'

type Test = (value: Value, given: Given, meter: Meter) => boolean

const is =
  (check: (value: Value) => boolean): Test =>
  (value, given) => {
    bind('the test', [], given)
    return check(value)
  }
const beside =
  (check: (value: Value, other: Value, meter: Meter) => boolean): Test =>
  (value, given, meter) =>
    check(value, bind('the test', ['other'], given).get('other')!, meter)
const ordered = (check: (order: number) => boolean): Test => beside((value, other) => check(compare(value, other)))
const remainder = (value: Value, by: Value, meter: Meter): Value => operate('%', value, by, meter)

const [equals, differs] = [beside((a, b) => equal(a, b)), beside((a, b) => !equal(a, b))]
const [less, most, more, least] = [ordered(o => o < 0), ordered(o => o <= 0), ordered(o => o > 0), ordered(o => o >= 0)]
const isSequence = (value: Value): boolean =>
  isText(value) ||
  isList(value) ||
  isDict(value) ||
  value instanceof Tuple ||
  value instanceof Range ||
  value instanceof Undefined

/** Jinja's tests. */
const tests: ReadonlyMap<string, Test> = new Map<string, Test>([
  ['defined', is(value => !(value instanceof Undefined))],
  ['undefined', is(value => value instanceof Undefined)],
  ['none', is(value => value === null)],
  ['boolean', is(value => typeof value === 'boolean')],
  ['true', is(value => value === true)],
  ['false', is(value => value === false)],
  ['integer', is(value => typeof value === 'bigint')],
  ['float', is(value => typeof value === 'number')],
  ['number', is(value => numberOf(value) !== undefined)],
  ['string', is(isText)],
  ['mapping', is(isDict)],
  ['sequence', is(isSequence)],
  ['iterable', is(value => isSequence(value) || value instanceof View || value instanceof Generator)],
  ['callable', is(value => value instanceof Callable)],
  ['escaped', is(value => value instanceof Markup)],
  ['odd', (value, given, meter) => (bind('odd', [], given), equal(remainder(value, 2n, meter), 1n))],
  ['even', (value, given, meter) => (bind('even', [], given), equal(remainder(value, 2n, meter), 0n))],
  ['divisibleby', beside((value, by, meter) => equal(remainder(value, by, meter), 0n))],
  ['lower', is(value => isLower(printed(value)))],
  ['upper', is(value => isUpper(printed(value)))],
  ['in', beside((value, container) => contains(container, value))],
  [
    'sameas',
    beside(
      (value, other) =>
        value === other ||
        (isText(value) && typeof value === typeof other && raise('"sameas" of two texts is not supported')),
    ),
  ],
  ...['eq', '==', 'equalto'].map(name => [name, equals] as const),
  ...['ne', '!='].map(name => [name, differs] as const),
  ...['lt', '<', 'lessthan'].map(name => [name, less] as const),
  ...['le', '<='].map(name => [name, most] as const),
  ...['gt', '>', 'greaterthan'].map(name => [name, more] as const),
  ...['ge', '>='].map(name => [name, least] as const),
])

/** Applies a test to a value. Ends the rendering if Jinja does not know the test. */
export const passes = (name: string, value: Value, given: Given, meter: Meter): boolean => {
  const test = tests.get(name)
  if (test === undefined) return raise(`No test named '${name}'.`)
  if (value instanceof Namespace && name === 'mapping') return false
  if (given.positional.length > 0) for (const part of [value, ...given.positional]) weigh(part, meter)
  return test(value, given, meter)
}

/** Tests whether a value is in a container, for `in` and `not in`. */
export const isIn = (value: Value, container: Value): boolean =>
  contains(container instanceof Undefined ? [] : container, value)
