/** Reads and writes the values of a session: parameters, single leaves, moments, and any expression of weights and batch. */
import {
  adamw, compile, f32, init, matmul, model, relu, squaredError, square, sum, tensor, toArray, trainStep,
} from '../src/index.ts'

const network = model({
  params: { encoder: { up: f32('width', 'hidden') }, decoder: { up: f32('hidden', 'width') } },
  batch: { x: f32('batch', 'width') },
  dims: { width: 3, hidden: 2 },
  forward: (p, b) => {
    const code = relu(matmul(b.x, p.encoder.up))
    return { code, copy: matmul(code, p.decoder.up) }
  },
  loss: ({ copy }, b) => squaredError(copy, b.x),
})
const step = trainStep(network, adamw({ lr: 0.1 }))
await using run = await compile(step, { weights: init.params(network, { seed: 0 }) })
const show = (what: string, of: unknown): void => console.log(`${what}: ${JSON.stringify(of)}`)

// one leaf is replaced, the other one keeps its values
await run.write({ focus: { encoder: { up: tensor([[1, 0], [0, 1], [0, 0]], ['width', 'hidden']) } } })
show('encoder', toArray((await run.params()).encoder.up))

const x = tensor([[1, 2, 3], [4, 5, 6]], ['batch', 'width'])
show('code', toArray((await run.predict({ x })).code))
show('loss of each number', (await run.perExample({ x })).sizes)
show('squares', toArray(await run.compute(p => sum(square(p.encoder.up)))))
show('sums of rows', toArray(await run.compute((_, b) => sum(b.x, -1), { x })))

await run.step({ x })
const [{ count, mu }] = (await run.read()).state
show(`moments after ${toArray(count)} step`, mu.encoder.up.sizes)
