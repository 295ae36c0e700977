import { changed, textOf, type Aligned, type AlignedCharacter, type Change } from './aligned.ts'
import { composesTo, standsApart } from './characters.ts'

type Form = 'NFC' | 'NFD' | 'NFKC' | 'NFKD'

const isMark = (character: string): boolean => /^\p{M}$/u.test(character)

/** U+0345, which has the largest combining class: a combining mark after it is moved in front of it. */
const largest = '\u0345'
const combines = (mark: string): boolean => mark === largest || (largest + mark).normalize('NFD') !== largest + mark
/** Tests whether one combining mark is ordered before another. */
const before = (a: string, b: string): boolean => (b + a).normalize('NFD') !== b + a

const composes = (a: string, b: string): boolean => (a + b).normalize('NFC') !== a.normalize('NFC') + b.normalize('NFC')

/**
 * Cuts a text into runs that can be normalized separately: a character and the marks after it. Hangul syllables of
 * several letters are one run too.
 */
const runs = (text: Aligned): readonly Aligned[] => {
  const found: AlignedCharacter[][] = []
  for (const character of text) {
    const run = found.at(-1)
    const last = run?.at(-1)?.text
    const joins =
      last !== undefined &&
      !standsApart(last) &&
      !standsApart(character.text) &&
      (isMark(character.text) || composes(textOf(run!), character.text))
    if (run !== undefined && joins) run.push(character)
    else found.push([character])
  }
  return found
}

/**
 * The decomposed characters in canonical order. The first character of each decomposition replaces the original; the
 * others are inserted.
 */
const decomposed = (run: Aligned, form: 'NFD' | 'NFKD'): readonly Change[] => {
  const changes = run.flatMap(({ text }) =>
    Array.from(text.normalize(form), (character, i): Change => [character, i === 0 ? 0 : 1]),
  )
  const ordered: Change[] = []
  for (const change of changes) {
    let at = ordered.length
    while (at > 0 && combines(change[0]) && combines(ordered[at - 1]![0]) && before(change[0], ordered[at - 1]![0]))
      at--
    ordered.splice(at, 0, change)
  }
  return ordered
}

/**
 * Composes decomposed characters, as the standard specifies; a composed character takes over the changes of its parts.
 */
const composed = (changes: readonly Change[]): readonly Change[] => {
  const result: Change[] = []
  let starter: number | undefined
  let blocking: string | undefined
  for (const [character, change] of changes) {
    const first = starter === undefined ? undefined : result[starter]
    if (first !== undefined) {
      const blocked = blocking !== undefined && !before(blocking, character)
      const joined = (first[0] + character).normalize('NFC')
      if (!blocked && Array.from(joined).length === 1 && composesTo(joined)) {
        result[starter!] = [joined, first[1] + change - 1]
        continue
      }
    }
    if (combines(character)) blocking = character
    else {
      starter = result.length
      blocking = undefined
    }
    result.push([character, change])
  }
  return result
}

/**
 * A text in a normal form of Unicode, as the crate `unicode-normalization-alignments` 0.1 computes it, with the origin
 * of its characters.
 * @example normalForm(aligned('e\u0301'), 'NFC') // [{ text: 'é', start: 0, end: 1 }], as `tokenizers` has it
 */
export const normalForm = (text: Aligned, form: Form): Aligned => {
  const plain = textOf(text)
  if (plain.normalize(form) === plain) return text
  return runs(text).flatMap(run => {
    const whole = textOf(run)
    if (whole.normalize(form) === whole || (run.length === 1 && standsApart(whole))) return run
    const apart = decomposed(run, form === 'NFC' || form === 'NFD' ? 'NFD' : 'NFKD')
    return changed(run, form === 'NFC' || form === 'NFKC' ? composed(apart) : apart)
  })
}
