import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { orThrow } from '../src/index.ts'
import { definitionMessages, splitBySeed, wordnetNouns, type Definition } from '../examples/wordnet.ts'

/**
 * Writes the data of the comparison of methods: WordNet's glosses as conversations, `train.jsonl` and `held-out.jsonl`.
 * Example: node --import tsx bench/definitions.ts words 640 128
 */
const [directory = 'words', train = '640', heldOut = '128'] = process.argv.slice(2)
const rows = (definitions: readonly Definition[]): string =>
  definitions.map(of => `${JSON.stringify({ messages: definitionMessages(of) })}\n`).join('')
const words = splitBySeed(await orThrow(wordnetNouns()), { seed: 0, heldOut: Number(heldOut), train: Number(train) })
await mkdir(directory, { recursive: true })
await writeFile(join(directory, 'train.jsonl'), rows(words.train))
await writeFile(join(directory, 'held-out.jsonl'), rows(words.heldOut))
console.log(`${words.train.length} rows to train on, ${words.heldOut.length} held out, in ${directory}`)
