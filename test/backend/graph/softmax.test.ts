import assert from 'node:assert/strict'
import {
  called,
  emptyBody,
  emptyLibrary,
  loadGraph,
  type Body,
  type Graph,
  type Ref,
} from '../../../src/backend/graph/index.ts'
import { randomFrom } from '../../support/op-subjects.ts'
import { nodeTest } from '../../support/native-library.ts'
import { native } from '../../support/graph-results.ts'

const largest = (body: Body, x: Ref): Ref => body.apply('Max', [x, body.constant([0, 1], 'i32')])

/** The relative distance of a probability in bf16 from the one in f32. */
const comparison = (): Graph => {
  const main = emptyBody('graph')
  const library = emptyLibrary()
  const x = main.apply('Placeholder', [], { dtype: { type: 'f32' } }, { name: 'x' })
  const compare = library.define({
    name: 'compare',
    parameters: ['f32'],
    write: (body, [p]) => {
      const logits = body.cast(p!, 'bf16')
      const exact = body.apply('Softmax', [body.cast(logits, 'f32')])
      const found = body.cast(body.apply('Softmax', [logits]), 'f32')
      return [largest(body, body.apply('RealDiv', [body.apply('Abs', [body.apply('Sub', [found, exact])]), exact]))]
    },
  })
  return {
    main,
    library,
    signatures: { compare: { inputs: { x }, outputs: { error: called(main, compare, [x]).outputs[0]! } } },
  }
}

nodeTest('Softmax of bf16 is that of f32, rounded once', async () => {
  const graph = await loadGraph(await native(), comparison())
  try {
    for (const [rows, columns] of [
      [4608, 256],
      [128, 49152],
    ] as const) {
      const random = randomFrom(rows)
      const data = Float32Array.from({ length: rows * columns }, () => 8 * (random() + random() - 1))
      const [error] = graph.run('compare', { x: { sizes: [rows, columns], dtype: 'f32', data } })['error']!.data
      // half a unit of the last of 8 bits, and the error of f32
      assert.ok(Number(error) > 2 ** -10 && Number(error) <= 2 ** -8 + 1e-5, `${rows} × ${columns}: ${error}`)
    }
  } finally {
    graph.dispose()
  }
})
