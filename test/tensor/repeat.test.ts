import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  add,
  blockOf,
  callOp,
  count,
  f32,
  gradients,
  i32,
  inlined,
  is,
  matmul,
  mul,
  node,
  placeholder,
  rebuild,
  repeat,
  resultOp,
  rmsNorm,
  scalar,
  scan,
  silu,
  sub,
  sum,
  tanh,
  topological,
  typed,
  whole,
  u,
  type Block,
  type Dim,
  type Node,
  type Partition,
  type Tensor,
  type Wanted,
} from '../../src/tensor/index.ts'
import { allEqual, noise, run } from '../support/calculus.ts'

type Hidden = Tensor<readonly ['batch', 'hidden']>
const size = (dim: Dim): number =>
  typeof dim === 'number' ? dim : ({ batch: 2, hidden: 3, ffn: 4, few: 2 } as Record<string, number>)[dim]!
const bytes = (n: Node): number => 4 * count(n.shape.map(size))
const data = (leaves: readonly Node[]) =>
  new Map(
    leaves.map((leaf, i) => [
      leaf,
      leaf.dtype === 'i32'
        ? {
            sizes: leaf.shape.map(size),
            data: Float64Array.from({ length: count(leaf.shape.map(size)) }, (_, k) => (i + 2 * k) % 3),
          }
        : noise(leaf.shape.map(size), i),
    ]),
  )

/** Every call replaced by the body of its block. */
const expanded = (roots: readonly Node[]): readonly Node[] => {
  const bodies = new Map<Node, readonly Node[]>()
  return roots.map(
    rebuild(roots, rebuilt => {
      const block = blockOf(rebuilt)
      if (block) bodies.set(rebuilt, expanded(inlined(block, rebuilt.inputs)))
      return is(rebuilt, resultOp) ? bodies.get(rebuilt.inputs[0]!)![rebuilt.attributes.index]! : rebuilt
    }),
  )
}
const blocksOf = (roots: readonly Node[]): ReadonlySet<Block> =>
  new Set(topological(roots).flatMap(n => blockOf(n) ?? []))

interface Layer {
  readonly norm: Tensor<readonly ['hidden']>
  readonly up: Tensor<readonly ['hidden', 'ffn']>
  readonly down: Tensor<readonly ['ffn', 'hidden']>
  readonly bias?: Tensor<readonly ['hidden']>
}
const layer = (bias: boolean): Layer => ({
  norm: f32('hidden'),
  up: f32('hidden', 'ffn'),
  down: f32('ffn', 'hidden'),
  ...(bias && { bias: f32('hidden') }),
})
const leavesOf = (layers: readonly Layer[]): readonly Node[] => layers.flatMap(l => Object.values(l) as readonly Node[])
const mlp = (x: Hidden, l: Layer): Hidden => {
  const y = add(x, matmul(silu(matmul(rmsNorm(x, l.norm, 1e-5), l.up)), l.down))
  return l.bias ? add(y, l.bias) : y
}

const x = f32('batch', 'hidden')
const gain = f32('hidden')
const dy = placeholder(['batch', 'hidden'], 'f32')
/** Read by every layer, and computed outside of them. */
const captured = tanh(gain)

type Network = (layers: readonly Layer[]) => readonly Node[]
const networks: Readonly<Record<string, Network>> = {
  'a repeated layer': layers => [repeat(layers, x, mlp)],
  'a layer that reads from outside': layers => [repeat(layers, x, (h, l) => mul(mlp(h, l), captured))],
  'a layer that reads the input of the first': layers => [repeat(layers, x, (h, l) => sub(mlp(h, l), x))],
  'a nested repeat': layers => [
    repeat([0, 1], x, h =>
      mul(
        repeat(layers, h, (g, l) => mul(mlp(g, l), captured)),
        0.5,
      ),
    ),
  ],
  'layers of layers': layers => [repeat([layers, layers.toReversed()], x, (h, inner) => repeat(inner, h, mlp))],
  'a layer that yields': layers => {
    const [last, yields] = scan(layers, x, (h, l) => {
      const y = mlp(h, l)
      return [tanh(y), [mul(y, captured), h]]
    })
    return [yields.flat().reduce<Node>(u.add, last)]
  },
  'a layer whose yields alone are read': layers => {
    const [, yields] = scan(layers, x, (h, l) => [mlp(h, l), [matmul(h, l.up)]])
    return [yields.reduce<Node>((total, [y]) => u.add(total, sum(y)), dy)]
  },
}

const modes: readonly Partition[] = [
  { recompute: 'none' },
  {},
  { recompute: 'cheap', bytes },
  { recompute: 'all', bytes },
]
const counts = fc.integer({ min: 1, max: 4 })
const biases = fc.array(fc.boolean(), { minLength: 4, maxLength: 4 })
const index = i32('few')
const columns = (leaf: Node, of: Node): Wanted => ({
  leaf,
  kind: `columns ${leaf.shape.length}`,
  index: [of],
  get: (cotangent, [i]) => u.take(cotangent, i!, 0),
})

/** Differentiated through blocks, and with every call inlined before. */
const agrees = (
  network: Network,
  wantedOf: (leaf: Node, i: number) => Wanted | undefined,
  partition: Partition,
  layers: readonly Layer[],
  indices: readonly Node[] = [index],
  spoil = (n: Node) => n,
): boolean => {
  const leaves = [...leavesOf(layers), x, gain]
  const wanted = leaves.flatMap((leaf, i) => wantedOf(leaf, i) ?? [])
  const roots = network(layers)
  const of = { feeds: data([...leaves, dy, ...indices]), size }
  const blocks = gradients(roots, [dy], wanted, partition)
  const flat = gradients(expanded(roots), [dy], wanted)
  return allEqual(
    run(of, [...blocks.outputs, ...blocks.gradients.map(spoil)]),
    run(of, [...flat.outputs, ...flat.gradients]),
  )
}

for (const [name, network] of Object.entries(networks)) {
  test(`${name}: gradients through blocks are those of the inlined expression, however much is recomputed`, () => {
    fc.assert(
      fc.property(
        counts,
        biases,
        fc.constantFrom(...modes),
        fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }),
        (n, bias, partition, frozen) => {
          const layers = Array.from({ length: n }, (_, i) => layer(bias[i]!))
          return agrees(network, (leaf, i) => (frozen[i] ? undefined : whole(leaf)), partition, layers)
        },
      ),
      { numRuns: 40 },
    )
  })
  test(`${name}: wanted columns are those of the inlined expression, each leaf with an index of its own`, () => {
    fc.assert(
      fc.property(counts, fc.constantFrom(...modes), (n, partition) => {
        const layers = Array.from({ length: n }, () => layer(true))
        const indices = leavesOf(layers).map(() => i32('few'))
        return agrees(
          network,
          (leaf, i) => (indices[i] ? columns(leaf, indices[i]) : whole(leaf)),
          partition,
          layers,
          indices,
        )
      }),
      { numRuns: 20 },
    )
  })
}
test('gradients that differ are refuted', () => {
  assert.equal(
    agrees(networks['a repeated layer']!, whole, {}, [layer(false), layer(true)], [index], g => u.add(g, scalar(1e-3))),
    false,
  )
})

test('a repeated layer is what its layers are, one after the other', () => {
  const layers = [layer(true), layer(false), layer(true)]
  const of = { feeds: data([...leavesOf(layers), x, gain]), size }
  assert.ok(allEqual(run(of, [repeat(layers, x, mlp)]), run(of, [layers.reduce(mlp, x)])))
  assert.ok(!allEqual(run(of, [repeat(layers, x, mlp)]), run(of, [layers.toReversed().reduce(mlp, x)])))
})

/** An input that is no leaf: every layer owes it the same, a cotangent. */
const embedded = tanh(x)
const differentiated = (n: number, wanted: (layers: readonly Layer[]) => readonly Wanted[]): readonly Node[] => {
  const layers = Array.from({ length: n }, () => layer(false))
  const { outputs, gradients: g } = gradients([repeat(layers, embedded, mlp)], [dy], wanted(layers))
  return [...outputs, ...g]
}
for (const n of [2, 3, 12]) {
  test(`${n} layers of one kind share a forward and a backward block`, () => {
    const blocks = [...blocksOf(differentiated(n, layers => [...leavesOf(layers), x].map(whole)))].map(
      block => block.name,
    )
    assert.deepEqual(blocks.sort(), ['layer.backward', 'layer.forward'])
  })
  test(`${n} layers whose columns differ only in their index share blocks`, () => {
    const indexed = (layers: readonly Layer[]) => [...layers.map(l => columns(l.up, i32('few'))), whole(x)]
    assert.equal(blocksOf(differentiated(n, indexed)).size, 2)
  })
  test(`${n} layers on a frozen input: the first owes it no cotangent, the others share their blocks`, () => {
    const roots = differentiated(n, layers => leavesOf(layers).map(whole))
    assert.equal(blocksOf(roots).size, 4)
    const calls = topological(roots).filter(c => c.op === callOp && blockOf(c)!.name === 'layer.backward')
    const of = calls.map(c => blockOf(c)!.outputs.length)
    assert.deepEqual(of.sort(), [3, ...Array.from({ length: n - 1 }, () => 4)])
  })
}
test('layers whose masks differ in kind form groups', () => {
  const roots = differentiated(6, layers => [
    whole(x),
    ...layers.map((l, i) => (i < 3 ? whole(l.up) : columns(l.up, i32('few')))),
  ])
  assert.equal(blocksOf(roots).size, 4)
})
test('layers of two structures have two blocks, in whatever order they come', () => {
  const layers = [true, false, true, true, false].map(layer)
  assert.equal(blocksOf([repeat(layers, x, mlp)]).size, 2)
})
test('layers that differ in a constant have blocks of their own', () => {
  const constants = [1, 2, Infinity, -Infinity, 0, -0]
  const y = repeat(constants, x, (h, c) => mul(h, c))
  assert.equal(blocksOf([y]).size, constants.length)
})

const residuals = (partition: Partition): number => {
  const layers = [layer(false), layer(false)]
  const { gradients: g } = gradients([repeat(layers, x, mlp)], [dy], [...leavesOf(layers), x].map(whole), partition)
  const [forward] = [...blocksOf(g)].filter(block => block.name === 'layer.forward')
  return forward!.outputs.slice(1).reduce((total, n) => total + bytes(n), 0)
}
test('what lives from forward to backward: nothing with full recomputation, fewest bytes with cheap recomputation, all without', () => {
  const [everything, cheap, none] = [
    residuals({ recompute: 'none', bytes }),
    residuals({ bytes }),
    residuals({ recompute: 'all', bytes }),
  ]
  assert.equal(none, 0)
  assert.ok(0 < cheap && cheap < everything, `${cheap} of ${everything} bytes`)
})

test('a block is called with what it reads from outside, and computes it no second time', () => {
  const blocks = [...blocksOf([repeat([layer(false), layer(false)], x, (h, l) => mul(mlp(h, l), captured))])]
  assert.equal(blocks.length, 1)
  assert.ok(!topological(blocks[0]!.outputs).some(n => n.op.name === 'tanh'))
})
test('a call refuses arguments of another shape', () => {
  const [block] = [...blocksOf([repeat([layer(false)], x, mlp)])]
  const wrong = typed<readonly ['batch', 'ffn'], 'f32'>(placeholder(['batch', 'ffn'], 'f32'))
  assert.throws(
    () => node(callOp, [wrong, ...block!.parameters.slice(1)], { block: block! }),
    /^ShapeMismatch: call layer: argument 0 is \[batch, ffn\], not \[batch, hidden\]$/,
  )
})
