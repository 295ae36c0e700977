/**
 * Fine-tunes a LLaMA with PaCA through the library's API.
 * Run: node --import tsx examples/finetune-llama.ts [a Hugging Face directory or a GGUF file] [a new directory for the adapter]
 */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { adamw, adapt, chain, clipByGlobalNorm, compile, orThrow, paca, schedule, trainStep } from '../src/index.ts'
import { adapterOf, hashOf, loadAdapter, saveAdapter, versions } from '../src/io.ts'
import { microBatches, openModel } from '../src/model.ts'

const [path = fileURLToPath(new URL('../test/golden/llama-tiny', import.meta.url)), out = await mkdtemp(`${tmpdir()}/adapter-`)] = process.argv.slice(2)
const { model, weights, checkpoint } = await orThrow(openModel(path))
const { vocab_size, num_hidden_layers } = checkpoint.config, baseModelHash = await orThrow(hashOf(checkpoint))

// rows of token ids: here the model is to learn to count in threes
const counting = (start: number) => Int32Array.from({ length: 24 }, (_, i) => (start + 3 * i) % vocab_size)
const rows = Array.from({ length: 16 }, (_, i) => ({ input_ids: counting(7 * i), labels: counting(7 * i) }))

const [rank, seed, steps] = [8, 0, 40], targets = ['q_proj', 'v_proj', 'up_proj', 'down_proj'] as const
const tuned = adapt(model, paca({ targets, rank, seed }))
const transform = chain(clipByGlobalNorm(1), adamw({ lr: schedule.warmupCosine({ peak: 1e-2, warmup: 4, total: steps }) }))
const step = trainStep(tuned, transform)                        // pure: (params, state, batches) => (params, state, loss)

await using run = await compile(step, { target: 'auto', weights })   // reads the weights leaf by leaf and owns the buffers
await checkpoint.close()
const { weights: weightBytes, state, transient } = run.certificate({ batch: 4, seq: 24 })
console.log(`${num_hidden_layers} layers on ${run.target}; bytes: ${weightBytes} of weights, ${state} of optimizer state, ${transient} of everything else at most`)

const base = (await run.read()).focus
let k = 0
for await (const { loss } of run.steps(microBatches(rows, { batch: 4, steps, shuffle: true, seed }, { seq: 24 }))) {
  if (k++ % 8 === 0 || k === steps) console.log(`step ${k}: loss ${loss.toFixed(3)}`)
}

const origin = { targetModules: targets, seed, settings: { steps }, baseModelName: path, baseModelHash, versions: versions() }
await orThrow(saveAdapter(out, adapterOf(origin, { method: 'paca', rank, selection: run.selection, base, focus: (await run.read()).focus })))
console.log(`saved ${(await orThrow(loadAdapter(out))).modules.size} modules in ${out}`)
