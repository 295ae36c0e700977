import assert from 'node:assert/strict'
import { readdir, readFile, writeFile, cp } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { hashOf, openCheckpoint, type Checkpoint } from '../../src/io/checkpoint/checkpoint.ts'
import { loadAdapter, mergedWeight, type Adapter } from '../../src/io/adapter/index.ts'
import { bf16ToF32, f32ToBf16 } from '../../src/tensor/data/half.ts'
import { transposeMatrix } from '../../src/tensor/index.ts'
import { saveMerged } from '../../src/io/checkpoint/merged.ts'
import { leafOf, safetensorsBytes } from '../../src/io/safetensors/write.ts'
import { loadTokenizer } from '../../src/io/tokenizer/tokenizer.ts'
import { valueOf } from '../../src/io/checkpoint/archive.ts'
import { adapterOf, random } from '../support/adapters.ts'
import { collect, inDirectory, message, right } from '../support/archives.ts'
import { writeTinyGguf } from '../support/gguf-models.ts'

const golden = join(import.meta.dirname, '../golden/llama-tiny')
const up = 'model.layers.0.mlp.up_proj'
const read = async ({ tensors }: Checkpoint, name: string): Promise<Float32Array> => right(tensors.get(name)!.readF32())

const opened = async <A>(path: string, use: (checkpoint: Checkpoint) => Promise<A>): Promise<A> => {
  const checkpoint = await right(openCheckpoint(path))
  try {
    return await use(checkpoint)
  } finally {
    await checkpoint.close()
  }
}
const same = async (a: Checkpoint, b: Checkpoint): Promise<readonly string[]> => {
  const changed: string[] = []
  const bytes = async (checkpoint: Checkpoint, name: string): Promise<Buffer> =>
    Buffer.from((await read(checkpoint, name)).buffer)
  for (const name of a.tensors.keys()) if (!(await bytes(a, name)).equals(await bytes(b, name))) changed.push(name)
  return changed
}

test('a merged model is a checkpoint with the same config, in which the adapted weights alone differ, by what the adapter says', () =>
  inDirectory(async directory => {
    const out = join(directory, 'merged')
    const lora = await right(loadAdapter(join(golden, 'lora')))
    await opened(golden, async base => {
      const whole = new Map([
        ['model.norm', random(4, 64)],
        ['lm_head', random(5, 64, 320)],
      ])
      const { notes } = await right(
        saveMerged(out, base, [
          { adapter: { ...lora, whole } as Adapter, weight: 1 },
          { adapter: lora, weight: -0.5 },
        ]),
      )
      assert.match(notes.join(), /^.*llama-tiny has no tokenizer, and neither has the merged model$/)
      assert.deepEqual((await readdir(out)).sort(), ['config.json', 'generation_config.json', 'model.safetensors'])
      await opened(out, async merged => {
        assert.deepEqual(merged.config, base.config)
        assert.deepEqual(
          [...(await same(base, merged))].sort(),
          ['lm_head.weight', 'model.norm.weight', ...[...lora.modules.keys()].map(path => `${path}.weight`)].sort(),
        )
        const leaf = valueOf('f32', [64, 176], transposeMatrix(await read(base, `${up}.weight`), 176, 64))
        assert.deepEqual(
          await read(merged, `${up}.weight`),
          transposeMatrix(mergedWeight([{ adapter: lora }, { adapter: lora, weight: -0.5 }], up, leaf).data, 64, 176),
        )
        assert.notEqual(await right(hashOf(merged)), await right(hashOf(base)))
      })
      assert.match(await message(saveMerged(out, base, [{ adapter: lora }])), /the directory is not empty/)
      assert.match(
        await message(saveMerged(join(directory, 'x'), base, [{ adapter: { ...lora, baseModelHash: 'ab' } }])),
        /it was trained on another base/,
      )
      assert.match(
        await message(saveMerged(join(directory, 'x'), base, [{ adapter: lora, weight: NaN }])),
        /weight of an adapter is NaN/,
      )
      assert.deepEqual(await readdir(directory), ['merged'])
    })
  }))

test('16 bits stay 16 bits, and what nobody adapts stays bit for bit; float32 is written where it is asked for', () =>
  inDirectory(async directory => {
    const half = join(directory, 'half')
    await cp(golden, half, { recursive: true, filter: path => !path.endsWith('/model.safetensors') })
    await writeFile(join(half, 'tokenizer.json'), '{ "some": "tokenizer" }')
    await opened(golden, async base => {
      const leaves = await Promise.all(
        [...base.tensors].map(async ([name, { sizes }]) =>
          leafOf(name, valueOf('bf16', sizes, f32ToBf16(await read(base, name)))),
        ),
      )
      await writeFile(join(half, 'model.safetensors'), await collect(safetensorsBytes(leaves)))
    })
    const adapter = adapterOf('paca', new Map([[up, { input: 64, output: 176, rank: 2 }]]), 3, { targetModules: [up] })
    const { baseModelHash: _, ...unbound } = adapter
    await opened(half, async base => {
      for (const dtype of [undefined, 'f32'] as const) {
        const out = join(directory, String(dtype))
        assert.deepEqual((await right(saveMerged(out, base, [{ adapter: unbound as Adapter }], { dtype }))).notes, [])
        assert.equal(
          JSON.parse(await readFile(join(out, 'config.json'), 'utf8')).dtype,
          dtype === undefined ? 'bfloat16' : 'float32',
        )
        assert.equal(await readFile(join(out, 'tokenizer.json'), 'utf8'), '{ "some": "tokenizer" }')
        await opened(out, async merged => {
          assert.deepEqual(
            [...new Set([...merged.tensors.values()].map(entry => entry.dtype))],
            [dtype === undefined ? 'BF16' : 'F32'],
          )
          assert.deepEqual(await same(base, merged), [`${up}.weight`])
          const { columns, values } = adapter.modules.get(up)!
          const weight = await read(merged, `${up}.weight`)
          const [column = 0] = columns.data
          const trained = Float32Array.from({ length: 176 }, (_unused, j) => weight[j * 64 + column]!)
          assert.deepEqual(
            trained,
            dtype === undefined ? bf16ToF32(f32ToBf16(values.data.slice(0, 176))) : values.data.slice(0, 176),
          )
        })
      }
    })
  }))

test('a GGUF file becomes a Hugging Face directory: its config, its weights in our order, its tokenizer', () =>
  inDirectory(async directory => {
    const file = await writeTinyGguf(directory)
    const out = join(directory, 'out')
    await opened(file, async base => {
      assert.deepEqual((await right(saveMerged(out, base, []))).notes, [])
      await opened(out, async merged => {
        assert.deepEqual(merged.config, base.config)
        assert.deepEqual(await same(base, merged), [])
        const [ours, theirs] = [await right(loadTokenizer(base)), await right(loadTokenizer(merged))]
        const text = 'hello <|im_start|>the in'
        assert.deepEqual([theirs!.encode(text), theirs!.bos, theirs!.eos], [ours!.encode(text), ours!.bos, ours!.eos])
      })
    })
  }))
