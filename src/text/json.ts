import { refusal } from './error.ts'
import { quoted } from './quote.ts'

/** The deepest nesting of JSON that is accepted: far deeper than any real file, and far from overflowing the stack. */
const deepest = 128

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const openList = 0x5b
const closeList = 0x5d
const openObject = 0x7b
const closeObject = 0x7d

/**
 * The most bytes of memory that a document's values may take, besides twice its length: a few million of them. Without
 * a limit, `[[],[],…]` takes twenty times its length.
 */
const mostMemory = 64e6
/** The bytes that V8 keeps for a value and for its place, and, for a name, those of the set that finds duplicates. */
const memoryOf = { object: 56, list: 48, name: 128, text: 32, place: 12 } as const

/**
 * The index at which the text that opens with the quotation mark at `at` ends: its closing mark, or the end of the
 * source if there is none.
 */
const endOfText = (json: string, at: number): number => {
  for (let i = at + 1; i < json.length; i++) {
    const code = json.charCodeAt(i)
    if (code === quote) return i
    if (code === backslash) i++
  }
  return json.length
}

/** The name between two quotation marks, with its escapes resolved, so that two spellings of one name are equal. */
const nameOf = (json: string, start: number, end: number): string => {
  const written = json.slice(start + 1, end)
  try {
    return written.includes('\\') ? String(JSON.parse(`"${written}"`)) : written
  } catch {
    return written
  }
}

/**
 * Refuses what `JSON.parse` silently accepts: a name that occurs twice in an object, of which only the last would be
 * kept; `__proto__`, which an object does not keep like other names; nesting so deep that walking the value overflows
 * the stack; and so many values that they take many times the memory of the text. The text need not be valid otherwise. Throws a refusal that begins with `subject`.
 * @example checkNames('config.json', '{"a": 1, "a": 2}') // config.json: the key "a" occurs twice in one object
 */
export const checkNames = (subject: string, json: string): void => {
  const open: (Set<string> | undefined)[] = []
  let memory = 0
  const most = mostMemory + 2 * json.length
  let named = false // the next text is a name
  const enter = (names: Set<string> | undefined): void => {
    if (open.length === deepest) throw refusal(`${subject}: its JSON nests deeper than ${deepest}`)
    open.push(names)
    named = names !== undefined
  }
  for (let i = 0; i < json.length && memory <= most; i++) {
    switch (json.charCodeAt(i)) {
      case quote: {
        const end = endOfText(json, i)
        memory += end - i + (named ? memoryOf.name : memoryOf.text)
        if (named) {
          const name = nameOf(json, i, end)
          const names = open.at(-1)
          if (names?.has(name) === true) throw refusal(`${subject}: the key ${quoted(name)} occurs twice in one object`)
          if (name === '__proto__') throw refusal(`${subject}: the key "__proto__" is not read`)
          names?.add(name)
          named = false
        }
        i = end
        break
      }
      case openObject:
        memory += memoryOf.object
        enter(new Set())
        break
      case openList:
        memory += memoryOf.list
        enter(undefined)
        break
      case closeObject:
      case closeList:
        open.pop()
        named = false
        break
      case comma:
        memory += memoryOf.place
        named = open.at(-1) !== undefined
        break
    }
  }
  if (memory > most)
    throw refusal(`${subject}: its JSON holds so many values that they take more than ${most} bytes of memory`)
}
