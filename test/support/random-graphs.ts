import * as fc from 'fast-check'
import { call, placeholder, u, type Block, type Dim, type Node, type Numbers } from '../../src/tensor/index.ts'

/** Random programs over `[a, b]` matrices: products, takes, puts, views, blocks, values read many times. */
export interface Graph {
  readonly inputs: readonly Node[]
  readonly index: Node
  readonly outputs: readonly Node[]
}

export const sizes: Readonly<Record<string, number>> = { a: 3, b: 4, r: 2 }
export const size = (dim: Dim): number =>
  String(dim)
    .split('*')
    .reduce((n, factor) => n * (sizes[factor] ?? Number(factor)), 1)

const blockOf = (): Block => {
  const x = placeholder(['a', 'b'], 'f32')
  const y = placeholder(['a', 'b'], 'f32')
  const both = u.add(x, u.mul(y, 2))
  return { name: 'block', parameters: [x, y], outputs: [both, u.mul(both, x), x] }
}

/** Each number is a decision: which op, on which of the values made so far. */
export const graph: fc.Arbitrary<Graph> = fc
  .record({
    steps: fc.array(fc.tuple(fc.nat(9), fc.nat(), fc.nat()), { minLength: 1, maxLength: 14 }),
    outputs: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
  })
  .map(({ steps, outputs }) => {
    const inputs = [placeholder(['a', 'b'], 'f32'), placeholder(['a', 'b'], 'f32')]
    const index = placeholder(['r'], 'i32')
    const block = blockOf()
    const values: Node[] = [...inputs]
    const ops: readonly ((x: Node, y: Node) => readonly Node[])[] = [
      (x, y) => [u.add(x, y)],
      (x, y) => [u.mul(x, y)],
      x => [u.reshape(u.reshape(x, ['a*b']), ['a', 'b'])],
      x => [u.transpose(u.reshape(u.transpose(x, [1, 0]), ['b', 'a']), [1, 0])],
      (x, y) => [u.contract(u.contract(x, y, { a: 'mk', b: 'nk', out: 'mn' }), x, { a: 'mk', b: 'kn', out: 'mn' })],
      (x, y) => [u.put(x, index, u.take(y, index, 0), 0)],
      (x, y) => [u.add(x, u.sum(u.take(y, index, 1), [1], true))],
      (x, y) => [...call(block, [x, y])],
      (x, y) => [call(block, [x, y])[0]!],
      (x, y) => [u.put(u.mul(x, 1), index, u.take(y, index, 1), 1)],
    ]
    for (const [op, i, j] of steps) values.push(...ops[op]!(values[i % values.length]!, values[j % values.length]!))
    return { inputs, index, outputs: outputs.map(o => values[o % values.length]!) }
  })

/** Fixed data for the inputs of a graph. */
export const feedsOf = ({ inputs, index }: Graph): ReadonlyMap<Node, Numbers> =>
  new Map<Node, Numbers>([
    ...inputs.map((input, k): readonly [Node, Numbers] => [
      input,
      { sizes: input.shape.map(size), data: Float64Array.from({ length: 12 }, (_, i) => Math.sin(i + 7 * k)) },
    ]),
    [index, { sizes: [2], data: Float64Array.of(2, 0) }],
  ])
