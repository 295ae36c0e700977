// Training steps of a small program in jax-js: the peer of the task `small`, with its first weights and its batch. The whole step is one
// jitted function. It is copied into the folder where jax-js is installed and run there by Node 22 or later:
// node small-jax-js.mjs '{"program":"mlp","file":"mlp.safetensors","learningRate":0.001,"span":{"warmUp":1,"least":3,"most":100,"milliseconds":1000}}'
import { readFileSync } from 'node:fs'

globalThis.navigator ??= {}
const { numpy: np, nn, init, defaultDevice, jit, valueAndGrad, tree } = await import('@jax-js/jax')

const { program, file, learningRate, span } = JSON.parse(process.argv[2])
const since = performance.now()
await init()
defaultDevice('wasm')

const bytes = readFileSync(file)
const length = Number(bytes.readBigUInt64LE(0))
const header = JSON.parse(bytes.subarray(8, 8 + length).toString())
const given = Object.entries(header).flatMap(([name, { dtype, shape, data_offsets: offsets }]) => {
  if (name === '__metadata__') return []
  const [from, to] = offsets.map(at => 8 + length + at)
  const { buffer } = Uint8Array.from(bytes.subarray(from, to))
  return [[name, np.array(dtype === 'I32' ? new Int32Array(buffer) : new Float32Array(buffer)).reshape(shape)]]
})
const under = prefix =>
  Object.fromEntries(
    given.filter(([name]) => name.startsWith(prefix)).map(([name, x]) => [name.slice(prefix.length), x]),
  )

const linear = (p, path, x) => np.matmul(x, p[`${path}.weight`]).add(p[`${path}.bias`])
const crossEntropy = (logits, labels) =>
  nn
    .logSoftmax(logits, -1)
    .mul(labels)
    .sum()
    .mul(-1 / logits.shape[0])
const norm = (p, path, x) => {
  const centred = x.ref.sub(np.mean(x, -1, { keepdims: true }))
  const variance = np.mean(centred.ref.mul(centred.ref), -1, { keepdims: true })
  const scaled = centred.mul(np.reciprocal(np.sqrt(variance.add(1e-5))))
  return scaled.mul(p[`${path}.weight`]).add(p[`${path}.bias`])
}

/** The parts of its batch that a program reads, and its loss. */
const programs = {
  mlp: {
    batch: ({ x, y }) => ({ x, labels: nn.oneHot(y, 10) }),
    loss: (p, { x, labels }) => crossEntropy(linear(p, 'down', nn.relu(linear(p, 'up', x))), labels),
  },
  gru: {
    batch: ({ x, y }) => ({ x, labels: nn.oneHot(y, 10) }),
    loss: (p, { x, labels }) => {
      const [batch, time, features] = x.shape
      const inputs = np.matmul(x.reshape([batch * time, features]), p['gru.input']).add(p['gru.inputBias'])
      const [weight, bias] = [p['gru.hidden'], p['gru.hiddenBias']]
      let h = np.zeros([batch, 64])
      for (const step of np.unstack(inputs.reshape([batch, time, 3 * 64]), 1)) {
        const [xr, xz, xn] = np.split(step, 3, 1)
        const [hr, hz, hn] = np.split(np.matmul(h.ref, weight.ref).add(bias.ref), 3, 1)
        const reset = nn.sigmoid(xr.add(hr))
        const update = nn.sigmoid(xz.add(hz))
        const made = np.tanh(xn.add(reset.mul(hn)))
        h = made.ref.add(update.mul(h.sub(made)))
      }
      weight.dispose()
      bias.dispose()
      return crossEntropy(linear(p, 'head', h), labels)
    },
  },
  transformer: {
    // jit does not compile the gradient of a gather; it does that of a product with a one-hot matrix
    batch: ({ ids, next }) => ({
      read: nn.oneHot(ids.reshape([16 * 64]), 64),
      labels: nn.oneHot(next.reshape([16 * 64]), 64),
    }),
    loss: (p, { read, labels }) => {
      const [batch, seq] = [16, 64]
      const rows = batch * seq
      let x = np.matmul(read, p['words.weight'])
      x = x.reshape([batch, seq, 128]).add(p['places.weight']).reshape([rows, 128])
      for (let i = 0; i < 4; i++) {
        const at = `layers.${i}`
        const h = norm(p, `${at}.attendNorm`, x.ref)
        const [q, k, v] = ['query', 'key', 'value'].map(name =>
          linear(p, `${at}.attend.${name}`, h.ref).reshape([batch, seq, 4, 32]),
        )
        h.dispose()
        const mixed = nn.dotProductAttention(q, k, v, { isCausal: true }).reshape([rows, 128])
        const y = x.add(linear(p, `${at}.attend.output`, mixed))
        x = y.ref.add(linear(p, `${at}.mlp.down`, nn.relu(linear(p, `${at}.mlp.up`, norm(p, `${at}.mlpNorm`, y)))))
      }
      return crossEntropy(linear(p, 'head', norm(p, 'norm', x)), labels)
    },
  },
}

const { batch: batchOf, loss: lossOf } = programs[program]
const [b1, b2, eps] = [0.9, 0.999, 1e-8]
const update = jit((params, mu, nu, first, second, batch) => {
  const [loss, gradient] = valueAndGrad(lossOf)(tree.ref(params), batch)
  const next = Object.keys(params).map(name => {
    const g = gradient[name]
    const m = mu[name].mul(b1).add(g.ref.mul(1 - b1))
    const v = nu[name].mul(b2).add(g.ref.mul(g).mul(1 - b2))
    const change = m.ref.mul(first.ref).div(np.sqrt(v.ref.mul(second.ref)).add(eps))
    return [name, { p: params[name].sub(change.mul(learningRate)), m, v }]
  })
  first.dispose()
  second.dispose()
  const of = key => Object.fromEntries(next.map(([name, all]) => [name, all[key]]))
  return { loss, params: of('p'), mu: of('m'), nu: of('v') }
})

const batch = batchOf(under('batch.'))
let params = under('params.')
const zeros = () => Object.fromEntries(Object.entries(params).map(([name, { shape }]) => [name, np.zeros(shape)]))
let mu = zeros()
let nu = zeros()
let updates = 0
const number = x => np.array(Float32Array.of(x)).reshape([])
const step = async () => {
  updates += 1
  const first = number(1 / (1 - b1 ** updates))
  const second = number(1 / (1 - b2 ** updates))
  const made = update(params, mu, nu, first, second, tree.ref(batch))
  params = made.params
  mu = made.mu
  nu = made.nu
  const [loss] = await made.loss.data()
  // computing goes on behind the loss
  for (const leaf of tree.leaves(params)) await leaf.blockUntilReady?.()
  return loss
}

const firstLoss = await step()
const firstStep = performance.now() - since
const losses = []
for (let i = 0; i < span.warmUp; i++) losses.push(await step())
const times = []
const start = performance.now()
while (times.length < span.least || (times.length < span.most && performance.now() - start < span.milliseconds)) {
  const before = performance.now()
  losses.push(await step())
  times.push(performance.now() - before)
}
console.log(
  JSON.stringify({
    times,
    peakMegabytes: Math.round(process.resourceUsage().maxRSS / 1024),
    facts: { firstLoss, secondLoss: losses[0], node: process.versions.node },
    parts: { firstStep },
  }),
)
// jax-js keeps workers that would hold the process open
process.exit(0)
