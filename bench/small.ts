import {
  adam,
  add,
  compile,
  crossEntropy,
  f32,
  i32,
  init,
  model,
  nn,
  relu,
  repeat,
  tensor,
  trainStep,
  uniform,
  type AnyValue,
  type CompilerOptions,
  type Model,
  type TargetOptions,
  type Tree,
  type Values,
} from '../src/index.ts'

/** A session that trains a program on its one batch: each step returns the loss before it. */
interface Opened {
  readonly step: () => Promise<number>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}
/** A target, and what its backward pass computes again (default: what is cheap). */
export type Target = TargetOptions & { readonly compiler?: CompilerOptions }
/** A small program that is trained: its first weights and its batch, which its peers get too, and its steps. */
export interface SmallProgram {
  readonly values: () => { readonly params: Tree<AnyValue>; readonly batch: Tree<AnyValue> }
  /** Makes the same values, and then what opens a session on them. */
  readonly opening: () => (target: Target) => Promise<Opened>
}

export const learningRate = 1e-3
const transform = adam({ lr: learningRate })

/** First weights; biases that are not 0 show that each contender has them. */
const firstOf = <P, B, O, K extends string>(of: Model<P, B, O, K>): Values<P> =>
  init.params(of, { seed: 0, leaves: { '**.bias': init.normal({ std: 0.1 }) } })

interface Trains<B> extends AsyncDisposable {
  readonly step: (batch: B) => Promise<{ readonly loss: number }>
}
const onBatch = async <B>(opening: Promise<Trains<B>>, batch: B): Promise<Opened> => {
  const session = await opening
  return {
    step: async () => (await session.step(batch)).loss,
    [Symbol.asyncDispose]: () => Promise.resolve(session[Symbol.asyncDispose]()),
  }
}

const reals = (stream: number, n: number): Float32Array => uniform(0, stream, n).map(u => 2 * u - 1)
const integers = (stream: number, n: number, below: number): Int32Array =>
  Int32Array.from(uniform(0, stream, n), u => Math.floor(below * u))

const perceptron = model({
  params: { up: nn.Linear('pixels', 'hidden'), down: nn.Linear('hidden', 'classes') },
  batch: { x: f32('batch', 'pixels'), y: i32('batch') },
  dims: { pixels: 784, hidden: 128, classes: 10 },
  forward: (p, b) => nn.linear(relu(nn.linear(b.x, p.up)), p.down),
  loss: (logits, b) => crossEntropy(logits, b.y),
})
const digits = () => ({
  x: tensor(reals(0, 32 * 784), ['batch', 'pixels'], { sizes: [32, 784] }),
  y: tensor(integers(1, 32, 10), ['batch']),
})

const recurrent = model({
  params: { gru: nn.Gru('features', 'hidden'), head: nn.Linear('hidden', 'classes') },
  batch: { x: f32('batch', 'time', 'features'), y: i32('batch') },
  dims: { features: 32, hidden: 64, classes: 10 },
  forward: (p, b) => nn.linear(nn.gru(b.x, p.gru).last, p.head),
  loss: (logits, b) => crossEntropy(logits, b.y),
})
const sequences = () => ({
  x: tensor(reals(0, 32 * 100 * 32), ['batch', 'time', 'features'], { sizes: [32, 100, 32] }),
  y: tensor(integers(1, 32, 10), ['batch']),
})

const heads = { heads: 'heads', headDim: 'headDim' } as const
const layer = () => ({
  attendNorm: nn.LayerNorm('hidden'),
  attend: nn.MultiHeadAttention('hidden', heads),
  mlpNorm: nn.LayerNorm('hidden'),
  mlp: nn.Mlp('hidden', 'ffn', 'hidden'),
})
const causal = model({
  params: {
    words: nn.Embedding('vocab', 'hidden'),
    places: nn.Position('most', 'hidden'),
    layers: [layer(), layer(), layer(), layer()],
    norm: nn.LayerNorm('hidden'),
    head: nn.Linear('hidden', 'vocab'),
  },
  batch: { ids: i32('batch', 'seq'), next: i32('batch', 'seq') },
  dims: { vocab: 64, most: 64, hidden: 128, heads: 4, headDim: 32, ffn: 512 },
  forward: (p, b) => {
    const read = nn.position(nn.embedding(b.ids, p.words), p.places)
    const written = repeat(p.layers, read, (x, l) => {
      const attended = nn.multiHeadAttention(nn.layerNorm(x, l.attendNorm), l.attend, { ...heads, causal: true })
      const y = add(x, attended)
      return add(y, nn.mlp(nn.layerNorm(y, l.mlpNorm), l.mlp, relu))
    })
    return nn.linear(nn.layerNorm(written, p.norm), p.head)
  },
  loss: (logits, b) => crossEntropy(logits, b.next),
})
const tokens = () => ({
  ids: tensor(integers(0, 16 * 64, 64), ['batch', 'seq'], { sizes: [16, 64] }),
  next: tensor(integers(1, 16 * 64, 64), ['batch', 'seq'], { sizes: [16, 64] }),
})

/** The small programs by name. */
export const smallPrograms = {
  mlp: {
    values: () => ({ params: firstOf(perceptron), batch: digits() }),
    opening: () => {
      const [weights, batch] = [firstOf(perceptron), digits()]
      return target => onBatch(compile(trainStep(perceptron, transform), { ...target, weights }), batch)
    },
  },
  gru: {
    values: () => ({ params: firstOf(recurrent), batch: sequences() }),
    opening: () => {
      const [weights, batch] = [firstOf(recurrent), sequences()]
      return target => onBatch(compile(trainStep(recurrent, transform), { ...target, weights }), batch)
    },
  },
  transformer: {
    values: () => ({ params: firstOf(causal), batch: tokens() }),
    opening: () => {
      const [weights, batch] = [firstOf(causal), tokens()]
      return target => onBatch(compile(trainStep(causal, transform), { ...target, weights }), batch)
    },
  },
} as const satisfies Readonly<Record<string, SmallProgram>>
export type SmallName = keyof typeof smallPrograms
