/** A transformer learns proverbs letter by letter from nothing, and then writes: from the text to the model to the text. */
import {
  adamw, add, attention, batches, chain, clipByGlobalNorm, compile, crossEntropy, f32, generateTokens, i32, init, integer, iota, matmul, metric, model,
  mul, put, relu, repeat, reshape, rmsNorm, rsqrt, scan, size, take, tensor, trainStep, transpose, type Dim, type Tensor,
} from '../src/index.ts'

const proverbs = ['a stitch in time saves nine', 'all that glitters is not gold', 'better late than never', 'haste makes waste', 'still waters run deep']
const [letters, length] = [' abcdefghijklmnopqrstuvwxyz', 32], end = letters.length
// a row is `$proverb$`: `$`, the first and the last letter, also fills it up
const idsOf = (text: string): readonly number[] => [end, ...[...text].map(letter => letters.indexOf(letter))]
const rows = proverbs.map(text => [...idsOf(text), ...Array.from({ length }, () => end)].slice(0, length + 1))

type Hidden = Tensor<readonly ['batch', 'seq', 'hidden']>
const gain = () => init.leaf(init.ones(), 'hidden')
const layer = () => ({
  before: gain(), query: f32('hidden', 'heads*width'), key: f32('hidden', 'heads*width'), value: f32('hidden', 'heads*width'),
  out: f32('heads*width', 'hidden'), between: gain(), up: f32('hidden', 'ffn'), down: f32('ffn', 'hidden'),
})
/** A layer whose keys and values go through `remembered`: as they are, or into a cache. */
const applied = <K extends Dim>(
  x: Hidden, p: ReturnType<typeof layer>, at: Tensor<readonly [], 'i32'>,
  remembered: (name: 'key' | 'value', now: Tensor<readonly ['batch', 'heads', 'seq', 'width']>) => Tensor<readonly ['batch', 'heads', K, 'width']>,
): Hidden => {
  const h = rmsNorm(x, p.before, 1e-5), heads = (w: typeof p.key) => transpose(reshape(matmul(h, w), ['batch', 'seq', 'heads', 'width']), [0, 2, 1, 3])
  const query = reshape(mul(heads(p.query), rsqrt(size('width'))), ['batch', 'heads', 1, 'seq', 'width'])
  const mixed = attention(query, remembered('key', heads(p.key)), remembered('value', heads(p.value)), at)
  const y = add(x, matmul(reshape(transpose(reshape(mixed, ['batch', 'heads', 'seq', 'width']), [0, 2, 1, 3]), ['batch', 'seq', 'heads*width']), p.out))
  return add(y, matmul(relu(matmul(rmsNorm(y, p.between, 1e-5), p.up)), p.down))
}

const params = { letters: f32('vocab', 'hidden'), places: f32('most', 'hidden'), layers: [layer(), layer()], norm: gain() }
const ids = i32('batch', 'seq'), position = i32()
const embedded = (p: typeof params, places: Tensor<readonly ['seq'], 'i32'>): Hidden => add(take(p.letters, ids, 0), take(p.places, places, 0))
const logitsOf = (p: typeof params, x: Hidden) => matmul(rmsNorm(x, p.norm, 1e-5), transpose(p.letters))
const cache = params.layers.map(() => ({ key: f32('batch', 'heads', 'capacity', 'width'), value: f32('batch', 'heads', 'capacity', 'width') }))
const writer = model({
  params, batch: { ids, next: i32('batch', 'seq') },
  dims: { vocab: letters.length + 1, hidden: 32, heads: 4, width: 8, ffn: 64, most: 64 },
  forward: p => logitsOf(p, repeat(p.layers, embedded(p, iota('seq')), (x, l) => applied(x, l, integer(0), (_, now) => now))),
  loss: (logits, b) => crossEntropy(logits, b.next),
  metrics: { accuracy: (logits, b) => metric.accuracy(logits, b.next) },
  // one step of writing: what was read before is in a cache
  decode: {
    cache, batch: { input_ids: ids, position },
    step: p => {
      const places = add(iota('seq'), position)
      const [x, seen] = scan(p.layers.map((l, i) => ({ l, past: cache[i]! })), embedded(p, places), (h, { l, past }) => {
        const now = { ...past }, y = applied(h, l, position, (name, part) => (now[name] = put(past[name], places, part, 2)))
        return [y, [now.key, now.value]]
      })
      return { logits: logitsOf(p, x), cache: seen.map(([key, value]) => ({ key, value })) }
    },
  },
})

const step = trainStep(writer, chain(clipByGlobalNorm(1), adamw({ lr: 5e-3 })))
await using run = await compile(step, { weights: init.params(writer, { seed: 0, leaves: { letters: init.normal({ std: 0.3 }), places: init.normal({ std: 0.3 }) } }) })
const text = {
  ids: tensor(rows.map(row => row.slice(0, -1)), ['batch', 'seq'], { dtype: 'i32' }),
  next: tensor(rows.map(row => row.slice(1)), ['batch', 'seq'], { dtype: 'i32' }),
}
for (const batch of batches(text, { size: 5, shuffle: 0, epochs: 150 })) await run.step(batch)
const { loss, metrics } = await run.evaluate(text)
console.log(`loss ${loss.toFixed(3)}, accuracy ${metrics.accuracy.toFixed(3)}`)
using decoder = run.decoder({ batch: 1, capacity: 64 })
for (const prompt of ['a st', 'bet', 'sti']) {
  let written = prompt
  for await (const id of generateTokens(decoder, idsOf(prompt), { maxTokens: length - prompt.length, stop: new Set([end]) })) written += letters[id]
  console.log(written)
}
