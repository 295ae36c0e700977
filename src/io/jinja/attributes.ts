import { bind, integerOf } from './arguments.ts'
import { raise, unsupported } from './error.ts'
import type { Meter } from './meter.ts'
import { printed, repr } from './print.ts'
import { stringMethods } from './strings.ts'
import {
  Callable,
  Group,
  Markup,
  Namespace,
  Tuple,
  Undefined,
  View,
  Range,
  characters,
  defined,
  equal,
  isDict,
  isList,
  isText,
  keyOf,
  numberOf,
  orElse,
  typeOf,
  type Dict,
  type Given,
  type Value,
} from './value.ts'
import { weigh } from './weigh.ts'

type Method = (given: Given) => Value

const dictMethods = (dict: Dict): Readonly<Record<string, Method>> => ({
  get: given => {
    const args = bind('get', ['key', 'default?'], given)
    return orElse(dict.get(keyOf(args.get('key')!)), () => orElse(args.get('default'), () => null))
  },
  items: given => {
    bind('items', [], given)
    return new View(
      'items',
      [...dict].map(entry => new Tuple(entry)),
    )
  },
  keys: given => {
    bind('keys', [], given)
    return new View('keys', [...dict.keys()])
  },
  values: given => {
    bind('values', [], given)
    return new View('values', [...dict.values()])
  },
  copy: given => {
    bind('copy', [], given)
    return new Map(dict)
  },
})

const listMethods = (items: readonly Value[], isTuple: boolean): Readonly<Record<string, Method>> => ({
  index: given => {
    const at = items.findIndex(item => equal(item, bind('index', ['value'], given).get('value')!))
    return at < 0 ? raise('the value is not in the list') : BigInt(at)
  },
  count: given => BigInt(items.filter(item => equal(item, bind('count', ['value'], given).get('value')!)).length),
  ...(isTuple
    ? {}
    : {
        copy: (given: Given) => {
          bind('copy', [], given)
          return items
        },
      }),
})

/** Methods that mutate a value: transformers' sandbox hides them. */
const unsafe: Readonly<Record<string, ReadonlySet<string>>> = {
  dict: new Set(['clear', 'pop', 'popitem', 'setdefault', 'update']),
  list: new Set(['append', 'clear', 'extend', 'insert', 'pop', 'remove', 'reverse', 'sort']),
}
/** Python's attributes that are not implemented here, by type. */
const missing: Readonly<Record<string, ReadonlySet<string>>> = {
  str: new Set([
    'casefold',
    'encode',
    'expandtabs',
    'format_map',
    'isidentifier',
    'isprintable',
    'istitle',
    'maketrans',
    'translate',
  ]),
  dict: new Set(['fromkeys']),
  int: new Set([
    'bit_length',
    'bit_count',
    'conjugate',
    'real',
    'imag',
    'numerator',
    'denominator',
    'to_bytes',
    'from_bytes',
    'as_integer_ratio',
    'is_integer',
  ]),
  float: new Set(['conjugate', 'real', 'imag', 'is_integer', 'as_integer_ratio', 'hex', 'fromhex']),
  range: new Set(['start', 'stop', 'step', 'index', 'count']),
}

/** A method or attribute of the value's type, as Python's getattr finds it; undefined if there is none. */
const own = (object: Value, name: string, meter: Meter): Value | undefined => {
  const type = object instanceof Markup ? 'str' : typeOf(object)
  const bound = (method: Method | undefined): Value | undefined =>
    method &&
    new Callable(name, given => {
      // A dict's entry is found at once; any other method may look at everything in its arguments.
      if (isDict(object)) meter.spend(name === 'get' ? 1 : object.size)
      else for (const part of [object, ...given.positional, ...given.named.values()]) weigh(part, meter)
      return method(given)
    })
  if (unsafe[type]?.has(name) === true)
    return new Undefined(`access to attribute '${name}' of '${type}' object is unsafe.`)
  if (missing[type]?.has(name) === true || (type === 'bool' && missing['int']!.has(name)))
    return unsupported(`the attribute "${name}" of ${type}`)
  if (typeof object === 'string') {
    const method = stringMethods.get(name)
    return bound(method && (given => method(object, given, meter)))
  }
  const at = <M extends Readonly<Record<string, Method>>>(methods: M): Value | undefined =>
    bound(Object.hasOwn(methods, name) ? methods[name] : undefined)
  if (object instanceof Markup) return stringMethods.has(name) ? unsupported(`"${name}" of an escaped text`) : undefined
  if (object instanceof Group && (name === 'grouper' || name === 'list'))
    return object.items[name === 'grouper' ? 0 : 1]
  if (isDict(object)) return at(dictMethods(object))
  if (isList(object)) return at(listMethods(object, false))
  if (object instanceof Tuple) return at(listMethods(object.items, true))
  return object instanceof Callable ? object.attribute(name) : undefined
}

/** The indices of Python's slice from `from` to `to` by `step`. */
const indices = (length: number, from: Value, to: Value, step: Value): readonly number[] => {
  const by = step === null ? 1 : integerOf(step)
  if (by === 0) return raise('slice step cannot be zero')
  const place = (value: Value, otherwise: number): number => {
    if (value === null) return otherwise
    const index = integerOf(value)
    const at = index < 0 ? index + length : index
    return by > 0 ? Math.min(Math.max(at, 0), length) : Math.min(Math.max(at, -1), length - 1)
  }
  const start = place(from, by > 0 ? 0 : length - 1)
  const end = place(to, by > 0 ? length : -1)
  const found: number[] = []
  for (let i = start; by > 0 ? i < end : i > end; i += by) found.push(i)
  return found
}

/** A slice of a text, list or tuple. */
export const slice = (object: Value, from: Value, to: Value, step: Value, meter: Meter): Value => {
  if (isText(object)) {
    const text = typeof object === 'string' ? object : unsupported('a part of an escaped text')
    const all = characters(text)
    meter.room(text.length)
    return indices(all.length, from, to, step)
      .map(i => all[i]!)
      .join('')
  }
  const items = isList(object) ? object : object instanceof Tuple ? object.items : undefined
  if (items === undefined)
    return object instanceof Range
      ? unsupported('a part of a range')
      : raise(`'${typeOf(defined(object))}' object is not subscriptable`)
  meter.spend(items.length)
  const part = indices(items.length, from, to, step).map(i => items[i]!)
  return object instanceof Tuple ? new Tuple(part) : part
}

/** An entry of a dict or an item of a sequence by its index; undefined if there is none. */
const itemOf = (object: Value, index: Value, meter: Meter): Value | undefined => {
  if (isDict(object)) return index instanceof Undefined || isList(index) ? undefined : object.get(keyOf(index))
  if (object instanceof Namespace) return typeof index === 'string' ? object.entries.get(index) : undefined
  const number = numberOf(index)
  if (typeof number !== 'bigint') return undefined
  if (typeof object === 'string') meter.spend(object.length / 64)
  const all =
    typeof object === 'string'
      ? characters(object)
      : isList(object)
        ? object
        : object instanceof Tuple || object instanceof Range
          ? object.items
          : undefined
  if (object instanceof Markup) return unsupported('a character of an escaped text')
  const at = Number(number)
  return all?.[at < 0 ? at + all.length : at]
}

const absent = (object: Value, name: Value): Undefined =>
  new Undefined(
    object === null
      ? `'None' has no attribute ${repr(name)}`
      : typeof name === 'string'
        ? `'${typeOf(object)} object' has no attribute '${name}'`
        : `${typeOf(object)} object has no element ${printed(name)}`,
  )

/** `object.name`: an attribute, or else an item. */
export const attribute = (object: Value, name: string, meter: Meter): Value =>
  orElse(own(defined(object), name, meter), () => orElse(itemOf(object, name, meter), () => absent(object, name)))

/** `object[index]`: an item, or else an attribute. */
export const item = (object: Value, index: Value, meter: Meter): Value =>
  orElse(itemOf(defined(object), index, meter), () =>
    orElse(isText(index) ? own(object, printed(index), meter) : undefined, () => absent(object, index)),
  )

/** An attribute only, as the filter `attr` takes it. */
export const attributeOnly = (object: Value, name: string, meter: Meter): Value =>
  orElse(own(defined(object), name, meter), () => absent(object, name))
