import type { Dice } from '../seeded.ts'

/** Changes valid JSON in its structure: values, keys, nesting, duplicates. What comes out may be no JSON at all. */

/** An object whose keys may repeat. */
class Members {
  readonly list: (readonly [key: string, value: Tree])[]
  constructor(list: (readonly [string, Tree])[]) {
    this.list = list
  }
}
/** A text that is written as it is. */
class Raw {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}
type Tree = null | boolean | number | string | Tree[] | Members | Raw

const treeOf = (value: unknown): Tree => {
  if (Array.isArray(value)) return value.map(treeOf)
  if (typeof value === 'object' && value !== null)
    return new Members(Object.entries(value).map(([key, inner]) => [key, treeOf(inner)] as const))
  return value as null | boolean | number | string
}

/** A copy: what is put into itself would have no end. */
const copied = (tree: Tree): Tree =>
  Array.isArray(tree)
    ? tree.map(copied)
    : tree instanceof Members
      ? new Members(tree.list.map(([key, value]) => [key, copied(value)] as const))
      : tree

const printed = (tree: Tree): string => {
  if (tree instanceof Raw) return tree.text
  if (Array.isArray(tree)) return `[${tree.map(printed).join(',')}]`
  if (tree instanceof Members)
    return `{${tree.list.map(([key, value]) => `${JSON.stringify(key)}:${printed(value)}`).join(',')}}`
  return JSON.stringify(tree)
}

/** Names that an object of JavaScript has already, and others that a program may stumble over. */
export const keys: readonly string[] = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  'length',
  '',
  '0',
  '-1',
  '..',
  '../../../etc/passwd',
  'a.b.c',
  'k'.repeat(70_000),
  'a\u0000b',
  '\u202e',
  '\ud800',
]

/** Values that no field expects, as they are written. */
const values: readonly string[] = [
  'null',
  'true',
  'false',
  '0',
  '-0',
  '1',
  '-1',
  '3',
  '0.5',
  '1e308',
  '1e999',
  '-1e999',
  '1e-400',
  '4294967295',
  '4294967296',
  '2147483648',
  '9007199254740991',
  '9007199254740993',
  '18446744073709551615',
  '9'.repeat(400),
  'NaN',
  'Infinity',
  'undefined',
  '""',
  '" "',
  '"."',
  '".."',
  '"../../../../../../etc/passwd"',
  '"../secret.safetensors"',
  '"/etc/passwd"',
  '"__proto__"',
  '"constructor"',
  '"toString"',
  '"[a-z]*"',
  '"(a+)+$"',
  '"(?<a>.)\\\\k<a>*"',
  '"\\ud800"',
  '"\\u0000"',
  '"\\u001b[31m\\n"',
  `"${'x'.repeat(70_000)}"`,
  '[]',
  '{}',
  '[[]]',
  '[null]',
  '[0]',
  '[-1,2]',
  '[1e999]',
  '["a","b"]',
  '[9007199254740991,9007199254740991]',
  '{"__proto__":{"polluted":1}}',
  '{"constructor":{"prototype":{"polluted":1}}}',
  `${'['.repeat(120)}${']'.repeat(120)}`,
  `${'['.repeat(5000)}${']'.repeat(5000)}`,
  `${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`,
  `[${'0,'.repeat(3000)}0]`,
  '[1,2',
  '{"a":1',
  '"open',
]

/** A place in a tree: what is there, and how to put something else there. */
interface Place {
  readonly at: Tree
  readonly put: (tree: Tree) => void
  readonly inside: Members | undefined
  readonly index: number
}

const placesOf = (root: Tree): readonly Place[] => {
  const found: Place[] = []
  const visit = (at: Tree): void => {
    if (Array.isArray(at))
      for (const [i, inner] of at.entries()) {
        found.push({ at: inner, put: tree => void (at[i] = tree), inside: undefined, index: i })
        visit(inner)
      }
    else if (at instanceof Members)
      for (const [i, [key, inner]] of at.list.entries()) {
        found.push({ at: inner, put: tree => void (at.list[i] = [key, tree]), inside: at, index: i })
        visit(inner)
      }
  }
  visit(root)
  return found
}

/** A number near another one, or far from it. */
const nudged = (x: number, dice: Dice): number =>
  dice.of([x + 1, x - 1, -x, 2 * x, x / 2, x * 1e9, x + 0.5, 2 ** 31 + x, 2 ** 53 - 1])

const changed = (place: Place, all: readonly Place[], dice: Dice): void => {
  const { at, put, inside, index } = place
  const members = inside?.list
  switch (dice.below(8)) {
    case 0: // a value of some other place
      return put(copied(dice.of(all).at))
    case 1: // deeper
      return put(dice.once(2) ? [at] : new Members([[dice.of(keys), at]]))
    case 2: // a key twice, under its own name or another
      if (members)
        members.push([dice.once(2) ? members[index]![0] : dice.of(keys), copied(dice.once(2) ? at : dice.of(all).at)])
      return
    case 3: // another key
      if (members) members[index] = [dice.of(keys), at]
      return
    case 4: // gone
      if (members) members.splice(index, 1)
      return
    case 5:
      if (typeof at === 'number') return put(nudged(at, dice))
      if (typeof at === 'string') return put(dice.once(2) ? at.slice(dice.below(at.length + 1)) : at + dice.of(keys))
      if (Array.isArray(at)) return put(dice.once(2) ? at.slice(1) : [...at, ...at.map(copied)])
      return put(new Raw(dice.of(values)))
    default:
      return put(new Raw(dice.of(values)))
  }
}

/** A changed copy of a JSON text. @example hostileJson('{"a": 1}', diceFrom(1)) */
export const hostileJson = (json: string, dice: Dice): string => {
  if (dice.once(30)) return dice.of(values)
  const root = [treeOf(JSON.parse(json))]
  for (let left = 1 + dice.below(3); left > 0; left--) {
    const all = placesOf(root)
    changed(dice.of(all), all, dice)
  }
  return printed(root[0] ?? null)
}
