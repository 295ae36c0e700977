import assert from 'node:assert/strict'
import {
  called,
  emptyBody,
  emptyLibrary,
  graphLowerings,
  loadGraph,
  lowered,
  type Body,
  type Graph,
  type Ref,
} from '../../../src/backend/graph/index.ts'
import { composites, node, placeholder, type Node } from '../../../src/tensor/index.ts'
import { randomFrom } from '../../support/op-subjects.ts'
import { nodeTest } from '../../support/native-library.ts'
import { native } from '../../support/graph-results.ts'

const largest = (body: Body, x: Ref, rank: number): Ref =>
  body.apply('Max', [x, body.constant([...Array(rank).keys()], 'i32')])

/** Makes an op of logits and what else it reads, constants of a function. */
interface Case {
  readonly name: string
  readonly sizes: readonly number[]
  readonly of: (logits: Node, body: Body) => { readonly root: Node; readonly given: readonly (readonly [Node, Ref])[] }
}
const rows = (count: number): Node => placeholder([count], 'i32')
const cases: readonly Case[] = [
  ...[
    [4608, 256],
    [128, 49152],
  ].map((sizes): Case => ({
    name: `softmax ${sizes.join(' × ')}`,
    sizes,
    of: logits => ({ root: node(composites.softmax, [logits], {}), given: [] }),
  })),
  {
    name: 'causalSoftmax',
    sizes: [9, 256, 256],
    of: (logits, body) => {
      const offset = placeholder([], 'i32')
      const root = node(composites.causalSoftmax, [logits, offset], {})
      return { root, given: [[offset, body.constant(0, 'i32')]] }
    },
  },
  {
    name: 'crossEntropyGrad',
    sizes: [128, 49152],
    of: (logits, body) => {
      const labels = rows(128)
      const dy = placeholder([128], 'f32')
      const zeros = body.apply('Fill', [body.constant([128], 'i32'), body.constant(0, 'i32')])
      const ones = body.cast(body.apply('Fill', [body.constant([128], 'i32'), body.constant(1, 'i32')]), 'f32')
      return {
        root: node(composites.crossEntropyGrad, [logits, labels, dy], {}),
        given: [
          [labels, zeros],
          [dy, ones],
        ],
      }
    },
  },
]

/** The largest distance of a result for logits in bf16 from the same in f32, relative to it, as a graph computes both. */
const comparison = ({ sizes, of }: Case, lowerings: typeof graphLowerings): Graph => {
  const main = emptyBody('graph')
  const library = emptyLibrary()
  const x = main.apply('Placeholder', [], { dtype: { type: 'f32' } }, { name: 'x' })
  const compare = library.define({
    name: 'compare',
    parameters: ['f32'],
    write: (body, [p]) => {
      const logits = body.cast(p!, 'bf16')
      const leaf = placeholder(sizes, 'f32')
      const { root, given } = of(leaf, body)
      const [exact, found] = [body.cast(logits, 'f32'), logits].map(value => {
        const all = new Map<Node, Ref>([[leaf, value], ...given])
        const size = (dim: unknown): number => Number(dim)
        return body.cast(lowered(lowerings, [root], all, { body, size, compute: 'bf16' })[0]!, 'f32')
      })
      const off = body.apply('Abs', [body.apply('Sub', [found!, exact!])])
      // a masked probability is 0 in both
      const scale = body.apply('Maximum', [body.apply('Abs', [exact!]), body.constant(1e-30, 'f32')])
      return [largest(body, body.apply('RealDiv', [off, scale]), sizes.length)]
    },
  })
  return {
    main,
    library,
    signatures: { compare: { inputs: { x }, outputs: { error: called(main, compare, [x]).outputs[0]! } } },
  }
}
const errorOf = async (one: Case, lowerings: typeof graphLowerings): Promise<number> => {
  const graph = await loadGraph(await native(), comparison(one, lowerings))
  try {
    const { sizes } = one
    const random = randomFrom(sizes[0]!)
    const data = Float32Array.from({ length: sizes.reduce((a, b) => a * b) }, () => 8 * (random() + random() - 1))
    return Number(graph.run('compare', { x: { sizes, dtype: 'f32', data } })['error']!.data[0])
  } finally {
    graph.dispose()
  }
}

for (const one of cases) {
  nodeTest(`${one.name} of bf16 is that of f32, rounded once, whatever the processor`, async () => {
    const error = await errorOf(one, graphLowerings)
    // half a unit of the last of 8 bits, and the error of f32
    assert.ok(error > 2 ** -10 && error <= 2 ** -8 + 1e-5, `${error}`)
  })
}
nodeTest('a softmax that is rounded twice is refuted', async () => {
  const twice: typeof graphLowerings = {
    ...graphLowerings,
    softmax: (_, [x], { body }) => {
      const p = body.apply('Softmax', [body.cast(x!, 'f32')])
      const half = (value: Ref): Ref => body.cast(body.cast(value, 'bf16'), 'f32')
      return x!.type === 'f32'
        ? p
        : body.cast(
            body.apply('Mul', [half(body.apply('Mul', [p, body.constant(3, 'f32')])), body.constant(1 / 3, 'f32')]),
            'bf16',
          )
    },
  }
  assert.ok((await errorOf(cases[0]!, twice)) > 2 ** -8 + 1e-5)
})
