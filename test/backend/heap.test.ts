import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { adamw, adapt, chain, clipByGlobalNorm, paca, trainStep, type Lazy, type Value } from '../../src/index.ts'
import { deviceEngine, isTensor, mapTree, openSession, sizesOf } from '../../src/compiler.ts'
import { llama, type CausalConfig, type CausalParams } from '../../src/model.ts'
import { wasmDevice } from '../../src/backend/tfjs/wasm-device.ts'

const config: CausalConfig = {
  hidden_size: 512,
  intermediate_size: 1536,
  num_hidden_layers: 6,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  head_dim: 64,
  vocab_size: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: true,
}
const targets = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'] as const

/** Weights of the right sizes; their values do not matter to the heap. */
const weightsOf = ({ params, dims = {} }: ReturnType<typeof llama>): Lazy<CausalParams> =>
  mapTree(params, isTensor, leaf => {
    const sizes = sizesOf(dims, leaf.shape)
    if (sizes._tag === 'Left') throw new Error(sizes.left)
    const data = new Float32Array(sizes.right.reduce((n, size) => n * size, 1)).map((_, i) => Math.sin(i) / 30)
    return { shape: leaf.shape, sizes: sizes.right, dtype: 'f32', data } satisfies Value
  }) as Lazy<CausalParams>

test('the wasm heap grows by what was certified, to within 10%, and no further with more steps', async () => {
  const core = createRequire(import.meta.url)('@tensorflow/tfjs-core') as {
    readonly findBackend: (name: string) => { readonly wasm: { readonly HEAPU8: Uint8Array } }
  }
  const device = await wasmDevice({ threads: 1 })
  const heap = (): number => core.findBackend('wasm').wasm.HEAPU8.byteLength
  const before = heap()
  const model = llama(config)
  const step = trainStep(
    adapt(model, paca({ targets, rank: 8, seed: 0 })),
    chain(clipByGlobalNorm(1), adamw({ lr: 1e-3 })),
  )
  await using session = await openSession(step, deviceEngine(device), { weights: weightsOf(model) })
  const ids = {
    shape: ['batch', 'seq'],
    sizes: [2, 192],
    dtype: 'i32',
    data: Int32Array.from({ length: 384 }, (_, i) => (i * 37) % 4096),
  } as const
  const grown: number[] = []
  for (let i = 0; i < 4; i++) {
    await session.step([{ input_ids: ids, labels: ids }])
    grown.push(heap() - before)
  }
  const { total } = session.certificate({ batch: 2, seq: 192 })
  assert.ok(total > 1e8, 'large beside the heap that a backend begins with')
  for (const bytes of grown) assert.ok(bytes <= 1.1 * total && bytes >= 0.8 * total, `${bytes} against ${total}`)
  assert.equal(grown[3], grown[1])
})
