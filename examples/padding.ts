/**
 * A transformer that classifies sequences of different lengths: is there more of 1, more of 2, or as much of both?
 * Padding is 0, and is masked; dropout drops in training alone.
 */
import {
  adamw, add, batches, cast, compile, crossEntropy, div, dropout, einsum, gelu, i32, init, metric, model, nn, notEqual, repeat, sum, tensor, trainStep, uniform,
} from '../src/index.ts'

const heads = { heads: 4, headDim: 8 } as const
const layer = () => ({
  norm: nn.LayerNorm('hidden'),
  attend: nn.MultiHeadAttention('hidden', heads),
  mlpNorm: nn.LayerNorm('hidden'),
  mlp: nn.Mlp('hidden', 'ffn', 'hidden'),
})
const network = model({
  params: {
    words: nn.Embedding('vocab', 'hidden'),
    places: nn.Position('positions', 'hidden'),
    layers: [layer(), layer()],
    norm: nn.LayerNorm('hidden'),
    head: nn.Linear('hidden', 'classes'),
  },
  batch: { ids: i32('batch', 'seq'), label: i32('batch') },
  dims: { vocab: 8, positions: 16, hidden: 32, ffn: 64, classes: 3 },
  forward: (p, { ids }) => {
    const isToken = notEqual(ids, 0), weight = cast(isToken, 'f32')
    const x = repeat(p.layers, nn.position(nn.embedding(ids, p.words), p.places), (h, l) => {
      const attended = add(h, dropout(nn.multiHeadAttention(nn.layerNorm(h, l.norm), l.attend, { ...heads, keyMask: isToken }), 0.1))
      return add(attended, dropout(nn.mlp(nn.layerNorm(attended, l.mlpNorm), l.mlp, gelu), 0.1))
    })
    const mean = einsum('bsh,bs->bh', nn.layerNorm(x, p.norm), div(weight, sum(weight, -1, true)))
    return nn.linear(mean, p.head)
  },
  loss: (logits, { label }) => crossEntropy(logits, label),
  metrics: { accuracy: (logits, { label }) => metric.accuracy(logits, label) },
})

// sequences of 4 to 12 tokens, 1 to 3, and padding up to a length
const count = 600, longest = 12, drawn = uniform(0, 1, count * longest), lengths = uniform(0, 2, count)
const tokenAt = (row: number, at: number): number =>
  at < 4 + Math.floor(9 * lengths[row]!) ? 1 + Math.floor(3 * drawn[row * longest + at]!) : 0
const howMany = (row: number, token: number): number =>
  Array.from({ length: longest }, (_, at) => tokenAt(row, at)).filter(of => of === token).length
const labelOf = (row: number): number =>
  howMany(row, 1) > howMany(row, 2) ? 0 : howMany(row, 2) > howMany(row, 1) ? 1 : 2
const rows = (from: number, to: number, seq = longest) => ({
  ids: tensor((row, at) => tokenAt(from + row, at), ['batch', 'seq'], { sizes: [to - from, seq], dtype: 'i32' }),
  label: tensor(row => labelOf(from + row), ['batch'], { sizes: [to - from], dtype: 'i32' }),
})

const step = trainStep(network, adamw({ lr: 3e-3 }), { seed: 0 })
await using run = await compile(step, { target: 'wasm', weights: init.params(network, { seed: 1 }) })
const others = rows(500, count)
const before = (await run.evaluate(others)).metrics.accuracy
for (const batch of batches(rows(0, 500), { size: 50, shuffle: 0, epochs: 15 })) await run.step(batch)
const after = await run.evaluate(others)
console.log(
  `accuracy on sequences that were not seen: ${before.toFixed(2)} before, ${after.metrics.accuracy.toFixed(2)} after`,
)

// more padding changes nothing
const { data: short } = await run.predict({ ids: rows(500, count).ids }),
  { data: long } = await run.predict({ ids: rows(500, count, 16).ids })
const off = short.reduce((most, x, i) => Math.max(most, Math.abs(x - long[i]!)), 0)
console.log(`logits with four more columns of padding differ by ${off < 1e-4 ? 'rounding alone' : off}`)
