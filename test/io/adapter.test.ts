import { test } from 'node:test'
import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { checkBase, loadAdapter, saveAdapter, type Adapter } from '../../src/io/adapter/index.ts'
import { valueOf, type StoredValue } from '../../src/io/checkpoint/archive.ts'
import { hashOf, openCheckpoint } from '../../src/io/checkpoint/checkpoint.ts'
import { leafOf, safetensorsBytes } from '../../src/io/safetensors/write.ts'
import { arbitraryAdapter, comparable, f32, i32, moduleOf, origin } from '../support/adapters.ts'
import { collect, inDirectory, message, right } from '../support/archives.ts'

const golden = join(import.meta.dirname, '../golden/llama-tiny')
const q = 'model.layers.0.self_attn.q_proj'
const small: Adapter<'paca'> = {
  ...origin,
  method: 'paca',
  rank: 2,
  modules: new Map([
    [q, { columns: i32(5, 1), values: f32([2, 3], 1, 2, 3, 4, 5, 6), base: f32([2, 3], 0, 0, 0, 0, -0, 1) }],
  ]),
}

test('what is saved is loaded again, bit for bit, of every method', () =>
  inDirectory(async directory => {
    let n = 0
    await fc.assert(
      fc.asyncProperty(arbitraryAdapter, async adapter => {
        const out = join(directory, String(n++))
        await right(saveAdapter(out, adapter))
        assert.deepEqual(comparable(await right(loadAdapter(out))), comparable(adapter))
      }),
      { numRuns: 60 },
    )
  }))

test('directories of the first version are still read; whole weights, which it kept [out, in], are turned', () =>
  inDirectory(async directory => {
    const config = {
      format_version: 1,
      target_modules: ['q_proj'],
      seed: 7,
      settings: origin.settings,
      base_model_name: 'llama-tiny',
      base_model_hash: origin.baseModelHash,
      versions: { partensor: '0.1.0' },
    }
    const written = async (name: string, json: object, tensors: Readonly<Record<string, StoredValue>>) => {
      const out = join(directory, name)
      await mkdir(out)
      await writeFile(join(out, 'adapter_config.json'), JSON.stringify({ ...config, ...json }))
      await writeFile(
        join(out, 'adapter_model.safetensors'),
        await collect(safetensorsBytes(Object.entries(tensors).map(([key, value]) => leafOf(key, value)))),
      )
      return right(loadAdapter(out))
    }
    const { columns, values, base } = small.modules.get(q)!
    assert.deepEqual(
      comparable(
        await written(
          'paca',
          { peft_type: 'PACA', method: 'paca', rank: 2 },
          { [`columns.${q}`]: columns, [`values.${q}`]: values, [`base.${q}`]: base },
        ),
      ),
      comparable(small),
    )
    const full = await written(
      'full',
      { peft_type: 'FULL', method: 'full' },
      {
        [`values.${q}`]: f32([2, 3], 1, 2, 3, 4, 5, 6),
        'values.model.norm': f32([2], 7, 8),
        'values.model.embed_tokens': f32([1, 2], 9, 10),
      },
    )
    assert.deepEqual(
      comparable(full),
      comparable({
        ...origin,
        method: 'full',
        modules: new Map([
          [q, { values: f32([3, 2], 1, 4, 2, 5, 3, 6) }],
          ['model.norm', { values: f32([2], 7, 8) }],
          ['model.embed_tokens', { values: f32([1, 2], 9, 10) }],
        ]),
      }),
    )
  }))

test('two files, whose names and fields are those of the format', () =>
  inDirectory(async directory => {
    const out = join(directory, 'out')
    await right(saveAdapter(out, small))
    assert.deepEqual((await readdir(out)).sort(), ['adapter_config.json', 'adapter_model.safetensors'])
    assert.deepEqual(JSON.parse(await readFile(join(out, 'adapter_config.json'), 'utf8')), {
      format_version: 2,
      method: 'paca',
      rank: 2,
      target_modules: ['q_proj'],
      seed: 7,
      settings: origin.settings,
      base_model_name: 'llama-tiny',
      base_model_hash: origin.baseModelHash,
      versions: { partensor: '0.1.0' },
    })
  }))

test('an adapter whose parts disagree is not written', () =>
  inDirectory(async directory => {
    const one = small.modules.get(q)!
    const paca = (module: typeof one, rank = 2): Adapter => ({
      ...origin,
      method: 'paca',
      rank,
      modules: new Map([[q, module]]),
    })
    const said = (adapter: Adapter) => message(saveAdapter(join(directory, 'out'), adapter))
    assert.match(
      await said(paca(one, 3)),
      /out: tensor columns\.model\.layers\.0\.self_attn\.q_proj is I32 \[2\]: expected I32 \[3\]/,
    )
    assert.match(await said(paca({ ...one, columns: i32(4, 4) })), /columns\.model\..* holds a column twice/)
    assert.match(await said(paca({ ...one, columns: i32(4, -1) })), /holds the negative column -1/)
    assert.match(
      await said(paca({ ...one, base: f32([2, 2], 1, 2, 3, 4) })),
      /base\.model\..* is F32 \[2, 2\]: expected F32 \[2, 3\]/,
    )
    assert.match(await said({ ...origin, method: 'full', modules: new Map() }), /the adapter has no modules/)
    assert.deepEqual(await readdir(directory), [])
  }))

test('an adapter on disk whose parts disagree is refused with the file and the field or tensor', () =>
  inDirectory(async directory => {
    const out = join(directory, 'out')
    await right(saveAdapter(out, small))
    const config = join(out, 'adapter_config.json')
    const weights = join(out, 'adapter_model.safetensors')
    const [json, bytes] = [await readFile(config, 'utf8'), await readFile(weights)]
    const cases: readonly (readonly [object, RegExp])[] = [
      [{ rank: 3 }, /adapter_model\.safetensors: tensor columns\..* is I32 \[2\]: expected I32 \[3\]/],
      [{ rank: '2' }, /adapter_config\.json: rank is "2": expected an integer/],
      [{ method: 'lora' }, /tensor base\..* belongs to no lora adapter/],
      [{ method: 'full' }, /tensor .* belongs to no full adapter/],
      [{ seed: -1 }, /seed is -1/],
      [{ format_version: 3 }, /format_version is 3: expected 2 \(or 1\)/],
      [{ format_version: 1, method: 'lora' }, /method is "lora": expected "paca" or "full"/],
      [{ target_modules: 7 }, /target_modules is 7: expected a list of strings or a string/],
      [{ target_modules: '(?i)q' }, /inline flags of Python/],
      [{ method: 'boft' }, /method is "boft": expected "paca" or "lora" or/],
      [{ alpha: '8' }, /alpha is "8": expected a number/],
      [{ rank_pattern: { q_proj: 0 } }, /rank_pattern is {"q_proj":0}: expected an object of integers/],
      [{ rank_pattern: { q_proj: 1 } }, /I32 \[2\]: expected I32 \[1\]/],
      [{ alpha_pattern: { '(': 1 } }, /alpha_pattern: .* is no regular expression/],
      [{ dropout: 1 }, /dropout is 1: expected/],
      [{ quantize: { scheme: 'int8' } }, /quantize is {"scheme":"int8"}/],
      [{ bias: 'some' }, /bias is "some": expected "none" or "all"/],
      [{ use_dora: true }, /adapter_config\.json: the field use_dora is unknown/],
      [{ settings: null }, /settings is null/],
      [{ versions: { a: 1 } }, /versions is {"a":1}/],
      [{ format_version: 1, base_model_hash: undefined }, /base_model_hash is missing/],
    ]
    for (const [changes, due] of cases) {
      await writeFile(config, JSON.stringify({ ...JSON.parse(json), ...changes }))
      assert.match(await message(loadAdapter(out)), due)
    }
    await writeFile(config, json)
    const rewritten = async (changes: Readonly<Record<string, StoredValue | undefined>>) => {
      const all: Readonly<Record<string, StoredValue | undefined>> = {
        [`columns.${q}`]: i32(5, 1),
        [`values.${q}`]: f32([2, 1], 1, 2),
        [`base.${q}`]: f32([2, 1], 3, 4),
        ...changes,
      }
      const leaves = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [leafOf(name, value)]))
      await writeFile(weights, await collect(safetensorsBytes(leaves)))
      return message(loadAdapter(out))
    }
    assert.match(await rewritten({ [`base.${q}`]: undefined }), /tensor base\.model.* is missing/)
    assert.match(await rewritten({ [`columns.${q}`]: i32(5, 5) }), /holds a column twice/)
    assert.match(await rewritten({ [`columns.${q}`]: f32([2], 5, 1) }), /is F32 \[2\]: expected I32 \[2\]/)
    assert.match(await rewritten({ other: i32(5) }), /tensor other belongs to no paca adapter/)
    assert.match(await rewritten({ 'values.': i32(5) }), /tensor values\. belongs to no paca adapter/)
    await writeFile(weights, bytes.subarray(0, 100))
    assert.match(await message(loadAdapter(out)), /adapter_model\.safetensors: the header claims/)
    assert.match(await message(loadAdapter(directory)), /adapter_config\.json: no such file or directory/)
  }))

test('an adapter is tied to its base: by the hash, and by modules, widths and columns', async () => {
  const checkpoint = await right(openCheckpoint(golden))
  const baseModelHash = await right(hashOf(checkpoint))
  const paca = (path: string, column: number, out: number): Adapter => ({
    ...origin,
    targetModules: [path],
    baseModelHash,
    method: 'paca',
    rank: 1,
    modules: new Map([
      [
        path,
        {
          columns: i32(column),
          values: valueOf('f32', [1, out], new Float32Array(out)),
          base: valueOf('f32', [1, out], new Float32Array(out)),
        },
      ],
    ]),
  })
  const full = (path: string, ...sizes: readonly number[]): Adapter => ({
    ...origin,
    baseModelHash,
    method: 'full',
    modules: new Map([[path, { values: valueOf('f32', sizes, new Float32Array(sizes.reduce((a, b) => a * b, 1))) }]]),
  })
  for (const fits of [paca('model.layers.1.mlp.down_proj', 175, 64), full('model.norm', 64), full('lm_head', 64, 320)])
    assert.ok(E.isRight(await checkBase(fits, checkpoint)()))
  assert.match(
    await message(checkBase(small, checkpoint, 'out')),
    /^out: it was trained on another base, llama-tiny \(hash abababababab\), than .*llama-tiny \(hash /,
  )
  assert.match(
    await message(checkBase(paca('model.layers.2.mlp.down_proj', 0, 64), checkpoint)),
    /the base has no module model\.layers\.2\.mlp\.down_proj/,
  )
  assert.match(
    await message(checkBase(paca('model.layers.1.mlp.down_proj', 176, 64), checkpoint)),
    /holds column 176, in the base there are 176/,
  )
  assert.match(
    await message(checkBase(paca('model.layers.1.mlp.down_proj', 0, 63), checkpoint)),
    /holds columns of 63 numbers, in the base they have 64/,
  )
  assert.match(
    await message(checkBase(paca('model.norm', 0, 64), checkpoint)),
    /model\.norm is no matrix in the base, which paca adapts/,
  )
  assert.match(
    await message(checkBase(full('lm_head', 320, 64), checkpoint)),
    /lm_head is \[320, 64\], in the base \[64, 320\]/,
  )
  const lora = (path: string, input: number, out: number): Adapter => ({
    ...origin,
    targetModules: [path],
    baseModelHash,
    method: 'lora',
    rank: 1,
    modules: new Map([[path, moduleOf('lora', { input, output: out, rank: 1 }, 1)]]),
  })
  assert.ok(E.isRight(await checkBase(lora('model.layers.0.mlp.up_proj', 64, 176), checkpoint)()))
  assert.match(
    await message(checkBase(lora('model.layers.0.mlp.up_proj', 176, 64), checkpoint)),
    /tensor lora_A\.model\.layers\.0\.mlp\.up_proj is F32 \[176, 1\]: expected F32 \[64, r\]/,
  )
  const beside = {
    ...lora('model.layers.0.mlp.up_proj', 64, 176),
    whole: new Map([['lm_head', valueOf('f32', [320, 64], new Float32Array(320 * 64))]]),
  }
  assert.match(await message(checkBase(beside, checkpoint)), /lm_head is \[320, 64\], in the base \[64, 320\]/)
  await checkpoint.close()
})
