import { readFile, writeFile } from 'node:fs/promises'
import { places } from './cases/memory.ts'
import { curveOf } from './curve.ts'
import type { Recorded } from './drawing.ts'
import { pictureOf } from './picture.ts'

/**
 * Draws a picture of recorded results: of `npm run bench -- --only methods-graph` the README's, and of `memory-graph` or
 * `memory-wasm`, whose target is named then, time against memory.
 * Examples: node --import tsx bench/draw.ts bench/results/2026-11-24-methods-graph.json docs/beside-peft.svg
 *           node --import tsx bench/draw.ts bench/results/2026-12-01-memory-graph.json docs/memory-graph.svg graph
 */
const [results, out, target] = process.argv.slice(2)
if (results === undefined || out === undefined) throw new Error('draw.ts takes a file of results and a file to write')
const place = places.find(({ name }) => name === target)
if (target !== undefined && place === undefined)
  throw new Error(`draw.ts knows ${places.map(({ name }) => name).join(' and ')}, not ${target}`)
// the file is one that `main.ts` wrote
const recorded = JSON.parse(await readFile(results, 'utf8')) as Recorded
await writeFile(out, await (place === undefined ? pictureOf(recorded) : curveOf(recorded, place)))
