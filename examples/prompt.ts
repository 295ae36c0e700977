/**
 * Prompt tuning: a frozen transformer follows instructions, such as "the largest" or "the first", that are its first
 * token. Two learned vectors in the place of an instruction make it do what examples show.
 */
import {
  adamw, adapt, add, batches, broadcastTo, compile, concat, crossEntropy, f32, full, gelu, i32, init, metric, model, nn, repeat, slice, squeeze, tensor, trainStep, uniform, type Tensor,
} from '../src/index.ts'

const heads = { heads: 4, headDim: 8 } as const
const layer = () => ({
  norm: nn.LayerNorm('hidden'), attend: nn.MultiHeadAttention('hidden', heads), mlpNorm: nn.LayerNorm('hidden'), mlp: nn.Mlp('hidden', 'ffn', 'hidden'),
})
const reader = { words: nn.Embedding('vocab', 'hidden'), places: nn.Position('places', 'hidden'), layers: [layer(), layer()], head: nn.Linear('hidden', 'digits') }
type Prompt = Tensor<readonly ['batch', 2, 'hidden']>
/** The digit that a sequence after a prompt is answered with, from the first place. */
const read = (p: typeof reader, prompt: Prompt, ids: Tensor<readonly ['batch', 'seq'], 'i32'>) => {
  const shown = concat([prompt, nn.position(nn.embedding(ids, p.words), p.places)], 1, 'tokens')
  const x = repeat(p.layers, shown, (h, l) => {
    const attended = add(h, nn.multiHeadAttention(nn.layerNorm(h, l.norm), l.attend, heads))
    return add(attended, nn.mlp(nn.layerNorm(attended, l.mlpNorm), l.mlp, gelu))
  })
  return nn.linear(squeeze(slice(x, 1, { as: 1 }), 1), p.head)
}
const shared = {
  dims: { vocab: 13, places: 6, tokens: 8, hidden: 32, ffn: 64, digits: 10 },
  loss: (logits: Tensor<readonly ['batch', 'digits']>, b: { readonly y: Tensor<readonly ['batch'], 'i32'> }) => crossEntropy(logits, b.y),
  metrics: { accuracy: (logits: Tensor<readonly ['batch', 'digits']>, b: { readonly y: Tensor<readonly ['batch'], 'i32'> }) => metric.accuracy(logits, b.y) },
}
const instructed = model({
  ...shared, params: reader, batch: { instruction: i32('batch', 2), ids: i32('batch', 'seq'), y: i32('batch') },
  forward: (p, b) => read(p, nn.embedding(b.instruction, p.words), b.ids),
})
const prompted = model({
  ...shared, params: { reader, prompt: f32(2, 'hidden') }, batch: { ids: i32('batch', 'seq'), y: i32('batch') },
  forward: (p, b) => read(p.reader, broadcastTo(p.prompt, ['batch', 2, 'hidden']), b.ids),
})

// the instructions 10, 11 and 12: the largest digit, the smallest, the first
const answers = [(digits: readonly number[]) => Math.max(...digits), (digits: readonly number[]) => Math.min(...digits), (digits: readonly number[]) => digits[0]!]
const rows = (seed: number, count: number, taskOf: (row: number) => number) => {
  const drawn = uniform(seed, 0, 6 * count), digitAt = (row: number, at: number): number => Math.floor(10 * drawn[6 * row + at]!)
  return {
    instruction: tensor(row => 10 + taskOf(row), ['batch', 2], { sizes: [count, 2], dtype: 'i32' }),
    ids: tensor(digitAt, ['batch', 'seq'], { sizes: [count, 6], dtype: 'i32' }),
    y: tensor(row => answers[taskOf(row)]!(Array.from({ length: 6 }, (_, at) => digitAt(row, at))), ['batch'], { sizes: [count], dtype: 'i32' }),
  }
}
const first = await compile(trainStep(instructed, adamw({ lr: 3e-3 })), { weights: init.params(instructed, { seed: 0 }) })
for (const batch of batches(rows(1, 1500, row => row % 3), { size: 50, shuffle: 0, epochs: 12 })) await first.step(batch)
const weights = { reader: await first.params(), prompt: tensor(() => 0, [2, 'hidden'], { sizes: [2, 32] }) }
const told = (await first.evaluate(rows(2, 200, () => 1))).metrics.accuracy
await first[Symbol.asyncDispose]()

// 64 numbers are trained, from 200 examples of the second task; nobody says which of the tasks it is
await using second = await compile(trainStep(adapt(prompted, full({ targets: ['prompt'] })), adamw({ lr: 0.03 })), { weights })
const { instruction: _, ...unseen } = rows(2, 200, () => 1), { instruction: __, ...examples } = rows(3, 200, () => 1)
const before = (await second.evaluate(unseen)).metrics.accuracy
for (const batch of batches(examples, { size: 50, shuffle: 0, epochs: 40 })) await second.step(batch)
console.log(`told what to do: ${told.toFixed(2)}; no prompt: ${before.toFixed(2)}; a learned prompt: ${(await second.evaluate(unseen)).metrics.accuracy.toFixed(2)}`)
