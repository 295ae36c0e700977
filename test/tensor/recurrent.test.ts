import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equal as same, f32, factors, i32, nn, u, type Dim, type Node, type Tensor } from '../../src/tensor/index.ts'
import { allEqual, noise, run } from '../support/calculus.ts'

const sizes: Readonly<Record<string, number>> = { batch: 2, time: 3, in: 2, hidden: 3 }
const size = (dim: Dim): number =>
  factors(dim).reduce<number>((n, factor) => n * (typeof factor === 'number' ? factor : sizes[factor]!), 1)
const layers = { rnn: nn.Rnn('in', 'hidden'), gru: nn.Gru('in', 'hidden'), lstm: nn.Lstm('in', 'hidden') }
const xs = f32('batch', 'time', 'in')
const major = f32('time', 'batch', 'in')
const single = f32('time', 'in')
const exists = i32('batch', 'time')
const data = noise([2, 3, 2], 1)
/** The same sequences with time first, and the first of them alone. */
const at = (t: number, b: number, i: number): number => data.data[(b * 3 + t) * 2 + i]!
const feeds = new Map<Node, ReturnType<typeof noise>>([
  [xs, data],
  [
    major,
    { sizes: [3, 2, 2], data: Float64Array.from({ length: 12 }, (_, k) => at(Math.floor(k / 4), (k >> 1) & 1, k & 1)) },
  ],
  [single, { sizes: [3, 2], data: data.data.slice(0, 6) }],
  // the second sequence is shorter
  [exists, { sizes: [2, 3], data: Float64Array.of(1, 1, 1, 1, 0, 0) }],
  ...Object.values(layers).flatMap((p, k) =>
    (Object.values(p) as readonly Node[]).map((leaf, i) => [leaf, noise(leaf.shape.map(size), 10 * k + i)] as const),
  ),
])
const values = (...roots: readonly Node[]) => run({ feeds, size }, roots)

interface Applied {
  readonly outputs: Node
  readonly last: Node
}
type Options = { readonly axis?: 0; readonly reverse?: boolean; readonly mask?: Node }
const apply = {
  rnn: (x: Node, options?: Options): Applied => nn.rnn(x as never, layers.rnn as never, options as never),
  gru: (x: Node, options?: Options): Applied => nn.gru(x as never, layers.gru as never, options as never),
  lstm: (x: Node, options?: Options): Applied => {
    const { outputs, last } = nn.lstm(x as never, layers.lstm as never, options as never)
    return { outputs, last: (last as { readonly cell: Node }).cell }
  },
}

for (const [name, layer] of Object.entries(apply)) {
  test(`${name}: time may be the first axis, or there may be no batch`, () => {
    const { outputs, last } = layer(xs)
    const first = layer(major, { axis: 0 })
    assert.ok(allEqual(values(u.transpose(first.outputs, [1, 0, 2]), first.last), values(outputs, last)))
    const alone = layer(single)
    const [all] = values(outputs)
    assert.deepEqual(values(alone.outputs)[0]!.data, all!.data.slice(0, 9))
  })
  test(`${name}: through padding the state is held, in both directions`, () => {
    const mask = same(exists, 1)
    const forth = layer(xs, { mask })
    const back = layer(xs, { mask, reverse: true })
    const [cut, whole] = [u.slice(xs, 1, { as: 1 }), xs]
    const due = values(layer(cut).last, layer(whole).last, layer(cut, { reverse: true }).last)
    const found = values(forth.last, back.last)
    const second = (row: ArrayLike<number>): readonly number[] => Array.from(row).slice(3)
    assert.deepEqual(second(found[0]!.data), second(due[0]!.data))
    assert.deepEqual(second(found[1]!.data), second(due[2]!.data))
    assert.deepEqual(found[0]!.data.slice(0, 3), due[1]!.data.slice(0, 3))
    assert.notDeepEqual(second(found[0]!.data), second(due[1]!.data), 'the padding is no input')
  })
  test(`${name}: other features, states and masks are refused in one sentence`, () => {
    assert.throws(() => layer(f32('batch', 'time', 'hidden')), /: the inputs have hidden features, not in$/)
    assert.throws(
      () =>
        layer(xs, { initial: f32('hidden'), ...(name === 'lstm' && { initial: { hidden: f32('hidden') } }) } as never),
      /: the initial state is \[hidden\] f32, not \[batch, hidden\] f32$/,
    )
    assert.throws(
      () => layer(xs, { mask: same(i32('time'), 1) }),
      /: the mask is \[time\] bool, not \[batch, time\] bool$/,
    )
    assert.throws(() => layer(xs, { axis: -1 } as never), /: axis -1 has the features of \[batch, time, in\]$/)
  })
}

test('shapes of recurrent layers are types', () => {
  const { outputs, last } = nn.gru(major, layers.gru, { axis: 0 })
  const all: Tensor<readonly ['time', 'batch', 'hidden']> = outputs
  const state: Tensor<readonly ['batch', 'hidden']> = last
  const of64: Tensor<readonly ['in', 192]> = nn.Gru('in', 64).input
  const { cell }: { readonly cell: Tensor<readonly ['batch', 'hidden']> } = nn.lstm(xs, layers.lstm).last
  assert.deepEqual([all.shape.length, state.shape.length, of64.shape[1], cell.shape.length], [3, 2, 192, 2])
})
