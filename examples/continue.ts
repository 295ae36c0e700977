/** Saves the weights and moments of a session, and continues from the file in another one as if nothing had happened. */
import { adamw, compile, einsum, f32, init, matmul, mean, model, squaredError, tanh, tensor, trainStep, uniform } from '../src/index.ts'
import { load, save, savedMetadata } from '../src/io.ts'

const [file = 'continue.safetensors'] = process.argv.slice(2)
const network = model({
  params: { up: f32('features', 'hidden'), down: f32('hidden') },
  batch: { x: f32('batch', 'seq', 'features'), y: f32('batch') },
  dims: { features: 3, hidden: 16 },
  forward: (p, b) => mean(einsum('bsh,h->bs', tanh(matmul(b.x, p.up)), p.down), -1),
  loss: (out, b) => squaredError(out, b.y),
})
// batches may differ in their rows and in their length
const batch = (rows: number, length: number, seed: number) => {
  const numbers = uniform(seed, 0, rows * length * 3)
  return {
    x: tensor(numbers, ['batch', 'seq', 'features'], { sizes: [rows, length, 3] }),
    y: tensor(row => numbers[row * length * 3]! / 2, ['batch'], { sizes: [rows] }),
  }
}
const train = async (run: Pick<typeof first, 'step'>, seeds: readonly number[]): Promise<readonly string[]> => {
  const losses: string[] = []
  for (const seed of seeds) losses.push((await run.step(batch(8 + (seed % 5), 2 + (seed % 3), seed))).loss.toFixed(6))
  return losses
}

const step = trainStep(network, adamw({ lr: 0.01 }))
await using first = await compile(step, { weights: init.params(network, { seed: 0, leaves: { down: init.normal({ std: 0.1 }) } }) })
await train(first, [1, 2, 3, 4, 5])
await save(file, { weights: await first.params(), state: (await first.read()).state }, { metadata: { steps: '5' } })

const { weights, state } = await load(file, { weights: network.params, state: step.state })
await using second = await compile(step, { weights })
await second.write({ state })
console.log(`after ${(await savedMetadata(file))['steps']} steps, from the file: ${(await train(second, [6, 7, 8])).join(' ')}`)
console.log(`in the first session:       ${(await train(first, [6, 7, 8])).join(' ')}`)
