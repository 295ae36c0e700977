import { bind } from './arguments.ts'
import { raise, unsupported } from './error.ts'
import type { Meter } from './meter.ts'
import { printed } from './print.ts'
import { strftime } from './strftime.ts'
import { Callable, Namespace, Range, isDict, iterate, keyOf, type Given, type Value } from './value.ts'
import { weigh } from './weigh.ts'

/** The longest range that transformers' sandbox allows. */
const longestRange = 100_000

const range = (given: Given, meter: Meter): Value => {
  const args = bind('range', ['start', 'stop?', 'step?'], given)
  const alone = args.get('stop') === undefined
  const start = alone ? 0 : args.integer('start')
  const stop = args.integer(alone ? 'start' : 'stop')
  const step = args.integer('step', 1)
  if (step === 0) return raise('range() arg 3 must not be zero')
  const length = Math.max(0, Math.ceil((stop - start) / step))
  if (length > longestRange) return raise(`Range too big. The sandbox blocks ranges larger than ${longestRange}.`)
  meter.spend(length)
  const shown = `range(${start}, ${stop}${step === 1 ? '' : `, ${step}`})`
  return new Range(
    shown,
    Array.from({ length }, (_, i) => BigInt(start + i * step)),
  )
}

/** The entries of a dict: those of another dict or of pairs, followed by the named ones. */
const entriesOf = (callee: string, { positional, named }: Given): ReadonlyMap<Value, Value> => {
  if (positional.length > 1) return raise(`${callee} expected at most 1 argument, got ${positional.length}`)
  const [from] = positional
  const pairs =
    from === undefined
      ? []
      : isDict(from)
        ? [...from]
        : iterate(from).map((pair): readonly [Value, Value] => {
            const [key, value, ...more] = iterate(pair)
            return key === undefined || value === undefined || more.length > 0
              ? raise(`${callee}: an entry must be a pair`)
              : [keyOf(key), value]
          })
  return new Map([...pairs, ...named])
}

const namespace = (given: Given): Value => {
  const entries = [...entriesOf('namespace', given)].map(([key, value]) => [printed(key), value] as const)
  return new Namespace(
    new Map(
      entries.map(([name, value]) =>
        name.startsWith('_') ? raise(`a namespace cannot hold "${name}"`) : [name, value],
      ),
    ),
  )
}

const cycler = ({ positional, named }: Given): Value => {
  if (positional.length === 0 || named.size > 0) return raise('at least one item has to be provided')
  let at = 0
  const current = (): Value => positional[at]!
  const next = (): Value => {
    const value = current()
    at = (at + 1) % positional.length
    return value
  }
  return new Callable(
    'cycler',
    () => raise("'Cycler' object is not callable"),
    name =>
      name === 'current'
        ? current()
        : name === 'next'
          ? new Callable('next', next)
          : name === 'reset'
            ? new Callable('reset', () => {
                at = 0
                return null
              })
            : undefined,
  )
}

const joiner = (given: Given): Value => {
  const by = bind('joiner', ['sep?'], given).text('sep', ', ')
  let used = false
  return new Callable('joiner', () => {
    const text = used ? by : ''
    used = true
    return text
  })
}

/** The functions that transformers offers to every template. */
export const globals = (meter: Meter, now: () => Date): ReadonlyMap<string, Value> =>
  new Map<string, Value>(
    Object.entries({
      range: (given: Given) => range(given, meter),
      dict: (given: Given) => entriesOf('dict', given),
      namespace,
      cycler,
      joiner,
      lipsum: () => unsupported('lipsum'),
      raise_exception: (given: Given) => {
        const message = bind('raise_exception', ['message'], given).get('message')!
        weigh(message, meter)
        return raise(printed(message))
      },
      strftime_now: (given: Given) => strftime(now(), bind('strftime_now', ['format'], given).text('format')),
    }).map(([name, call]) => [name, new Callable(name, call)]),
  )
