// The same LoRA step in jax-js, the TypeScript peer. It is copied into the folder where jax-js is installed and run there by Node 22 or later:
// node jax-js.mjs '{"batch":2,"seq":256,"steps":2}'
globalThis.navigator ??= {}
const { numpy: np, nn, init, defaultDevice, jit, valueAndGrad, random, tree } = await import('@jax-js/jax')
await init()
defaultDevice('wasm')

const { batch, seq, steps } = JSON.parse(process.argv[2])
const layers = 4
const hidden = 576
const heads = 9
const kvHeads = 3
const headDim = 64
const ffn = 1536
const vocab = 4096
const rank = 8
const scale = 2
const shapes = {
  q: [hidden, hidden],
  k: [hidden, kvHeads * headDim],
  v: [hidden, kvHeads * headDim],
  o: [hidden, hidden],
  gate: [hidden, ffn],
  up: [hidden, ffn],
  down: [ffn, hidden],
}
let key = random.key(0)
const normal = shape => {
  const keys = random.split(key.ref, 2)
  const mine = keys.ref.slice(1)
  key = keys.slice(0)
  return random.normal(mine, shape).mul(0.02)
}
const perLayer = make =>
  Array.from({ length: layers }, () =>
    Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, make(shape)])),
  )
const frozen = perLayer(normal)
const embedding = normal([vocab, hidden])
const initial = perLayer(([input, output]) => [normal([input, rank]), np.zeros([rank, output])])

const norm = x => {
  const variance = np.mean(x.ref.mul(x.ref), -1, { keepdims: true }).add(1e-5)
  return x.mul(np.reciprocal(np.sqrt(variance)))
}
const angles = np
  .array(
    Float32Array.from(
      { length: seq * headDim },
      (_, i) => Math.floor(i / headDim) * 10_000 ** ((-2 * (i % (headDim / 2))) / headDim),
    ),
  )
  .reshape([seq, 1, headDim])
const cos = np.cos(angles.ref)
const sin = np.sin(angles)
const rope = x => {
  const [first, second] = np.split(x.ref, 2, -1)
  return x.mul(cos.ref).add(np.concatenate([second.neg(), first], -1).mul(sin.ref))
}
const lossOf = (trained, weights, table, ids, targets) => {
  let x = table.ref.slice(ids)
  for (let l = 0; l < layers; l++) {
    const linear = (name, input) =>
      np
        .matmul(input.ref, weights[l][name].ref)
        .add(np.matmul(np.matmul(input, trained[l][name][0].ref), trained[l][name][1].ref).mul(scale))
    const split = (name, input, n) => linear(name, input).reshape([batch, seq, n, headDim])
    let h = norm(x.ref)
    const q = rope(split('q', h.ref, heads))
    const k = rope(split('k', h.ref, kvHeads))
    const v = split('v', h, kvHeads)
    x = x.add(linear('o', nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([batch * seq, hidden])))
    h = norm(x.ref)
    x = x.add(linear('down', nn.silu(linear('gate', h.ref)).mul(linear('up', h))))
  }
  const logits = np.matmul(norm(x), table.ref.transpose())
  return nn
    .logSoftmax(logits, -1)
    .mul(nn.oneHot(targets, vocab))
    .sum()
    .mul(-1 / (batch * seq))
}
const gradient = jit((trained, weights, table, ids, targets) =>
  valueAndGrad(lossOf)(trained, weights, table, ids, targets),
)
const tokens = () => np.array(Int32Array.from({ length: batch * seq }, () => Math.floor(Math.random() * vocab)))
const ids = tokens()
const targets = tokens()

let trained = initial
const times = []
for (let i = 0; i <= steps; i++) {
  const start = performance.now()
  const [loss, g] = gradient(tree.ref(trained), tree.ref(frozen), embedding.ref, ids.ref, targets.ref)
  await loss.data()
  trained = tree.map((p, dp) => p.sub(dp.mul(1e-4)), trained, g)
  for (const leaf of tree.leaves(trained)) await leaf.blockUntilReady?.()
  times.push(performance.now() - start)
}
console.log(
  JSON.stringify({
    times: times.slice(1),
    peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
    parts: {},
    facts: { firstStep: Math.round(times[0]), node: process.versions.node },
  }),
)
// jax-js keeps workers that would hold the process open
process.exit(0)
