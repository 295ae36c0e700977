import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { ours } from '../measure.ts'
import { bytesFigure, comparison, type Figure } from '../table.ts'
import type { Case } from './case.ts'

const few = 4
const many = 30
const nameOf = (layers: number): string => `graph of ${layers} layers`

/** Measures whether the written graph grows with the number of layers. */
export const graph: Case = {
  name: 'graph',
  about: 'the size of the written graph of SmolLM2 with 4 and with 30 layers',
  run: async ({ alternate }) => {
    const found = await alternate(
      [few, many].map(layers => ours(nameOf(layers), 'graph-size', { layers })),
      1,
    )
    const bytes = (layers: number): Figure =>
      pipe(
        found.get(nameOf(layers)) ?? E.left('not measured'),
        E.flatMap(({ facts, peakMegabytes }) => bytesFigure(Number(facts['bytes']), peakMegabytes)),
      )
    return {
      rows: [
        comparison(
          `SmolLM2: ${nameOf(many)}`,
          bytes(many),
          nameOf(few),
          bytes(few),
          'within 5%',
          ratio => Math.abs(ratio - 1) <= 0.05,
        ),
      ],
      tables: [],
    }
  },
}
