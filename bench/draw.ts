import { readFile, writeFile } from 'node:fs/promises'
import { pictureOf, type Recorded } from './picture.ts'

/**
 * Draws the README's picture from the recorded results of `npm run bench -- --only methods-graph`.
 * Example: node --import tsx bench/draw.ts bench/results/2026-11-24-methods-graph.json docs/beside-peft.svg
 */
const [results, out] = process.argv.slice(2)
if (results === undefined || out === undefined) throw new Error('draw.ts takes a file of results and a file to write')
// the file is one that `main.ts` wrote
await writeFile(out, await pictureOf(JSON.parse(await readFile(results, 'utf8')) as Recorded))
