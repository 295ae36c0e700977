import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { inputWidths, loadAdapter, peftOf, savePeft, scaleOf, type Adapter } from '../../src/io/adapter/index.ts'
import type { Value } from '../../src/tensor/index.ts'
import { openCheckpoint } from '../../src/io/checkpoint/checkpoint.ts'
import { openSafetensors } from '../../src/io/safetensors/read.ts'
import { leafOf, safetensorsBytes } from '../../src/io/safetensors/write.ts'
import { valueOf } from '../../src/io/checkpoint/archive.ts'
import { adapterOf, f32, random } from '../support/adapters.ts'
import { collect, inDirectory, message, right } from '../support/archives.ts'
import { methodNames, recordOf, type MethodName, type PeftForm } from '../../src/tune/index.ts'
import { message as sentence, right as get } from '../support/tokenizers.ts'

const golden = join(import.meta.dirname, '../golden/llama-tiny')
const q = 'model.layers.0.self_attn.q_proj'
type Json = Readonly<Record<string, unknown>>
const jsonOf = async (directory: string): Promise<Json> =>
  JSON.parse(await readFile(join(directory, 'adapter_config.json'), 'utf8'))

/** All tensors of a file: names, sizes, numbers. */
const tensorsIn = async (directory: string): Promise<Json> => {
  const archive = await right(openSafetensors(join(directory, 'adapter_model.safetensors')))
  try {
    const all: [string, unknown][] = []
    for (const [name, entry] of archive.tensors)
      all.push([name, { sizes: entry.sizes, data: (await entry.read()).data }])
    return Object.fromEntries(all.sort(([a], [b]) => (a < b ? -1 : 1)))
  } finally {
    await archive.close()
  }
}
const widths = (): number => assert.fail('the widths of these are known')

test('what PEFT saved is read, and written again with the same tensors and fields', () =>
  inDirectory(async directory => {
    for (const [name, rank, modules, alpha, peft] of [
      ['lora', 4, 14, 8, '0.21.2'],
      ['dora', 4, 14, 8, '0.21.2'],
      ['vera', 16, 4, undefined, '0.21.2'],
      ['ia3', undefined, 6, undefined, '0.21.0'],
    ] as const) {
      const source = join(golden, name)
      const out = join(directory, name)
      const adapter = await right(loadAdapter(source))
      assert.deepEqual(
        [
          adapter.method,
          'rank' in adapter ? adapter.rank : undefined,
          adapter.modules.size,
          adapter.alpha,
          adapter.versions,
        ],
        [name, rank, modules, alpha, { peft }],
      )
      await right(savePeft(out, adapter, widths))
      assert.deepEqual(await tensorsIn(out), await tensorsIn(source))
      const theirs = await jsonOf(source)
      const ours = await jsonOf(out)
      // of the modules whose inputs are scaled PEFT has names, and here there is an expression
      const { task_type: _type, base_model_name_or_path: _path, feedforward_modules: fed, ...fields } = ours
      assert.equal(fed, name === 'ia3' ? '(.*\\.)?(down_proj)' : undefined)
      for (const [field, value] of Object.entries(fields))
        assert.deepEqual(value, theirs[field] ?? null, `${name}: ${field}`)
      // adapters read from PEFT are also written in our own form, and ours in PEFT's
      const { versions: _, ...again } = await right(loadAdapter(out))
      const { versions: __, ...first } = adapter
      assert.deepEqual(again, first)
    }
  }))
test('matrices are turned: A is [in, r] here and [r, in] there', async () => {
  const adapter = (await right(loadAdapter(join(golden, 'lora')))) as Adapter<'lora'>
  const { lora_A, lora_B } = adapter.modules.get('model.layers.0.mlp.up_proj')!
  assert.deepEqual(
    [lora_A.sizes, lora_B.sizes],
    [
      [64, 4],
      [4, 176],
    ],
  )
  const tensors = await tensorsIn(join(golden, 'lora'))
  const theirs = tensors['base_model.model.model.layers.0.mlp.up_proj.lora_A.weight'] as { readonly data: Float32Array }
  assert.equal(lora_A.data[5 * 4 + 3], theirs.data[3 * 64 + 5])
})

const inPeft = (method: MethodName): PeftForm | undefined => {
  const { peft } = recordOf(method)
  return peft && 'fields' in peft ? peft : undefined
}
const native = methodNames.filter(method => inPeft(method) !== undefined)
const sizes = (rank: number, other = rank) =>
  new Map([
    [q, { input: 6, output: 4, rank }],
    ['model.layers.1.mlp.up_proj', { input: 4, output: 5, rank: other }],
  ])
test('an adapter of a type of PEFT comes back from its directory as it was', () =>
  inDirectory(async directory => {
    let n = 0
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...native),
        fc.nat(100),
        fc.integer({ min: 1, max: 3 }),
        fc.boolean(),
        fc.option(fc.constant(5)),
        async (method, seed, other, rslora, alpha) => {
          const scaled = recordOf(method).takes.includes('alpha')
          const ranked = recordOf(method).rank !== undefined && !inPeft(method)!.oneRank
          const out = join(directory, String(n++))
          const whole = new Map([
            ['lm_head', random(seed, 4, 7)],
            ['model.norm', random(seed, 4)],
          ])
          const adapter = adapterOf(method, sizes(2, ranked ? other : 2), seed, {
            targetModules: ['q_proj', 'up_proj'],
            modulesToSave: ['lm_head', 'norm'],
            whole,
            ...(scaled ? { rslora, ...(alpha === null ? {} : { alpha }) } : {}),
          })
          await right(savePeft(out, adapter, widths))
          const again = await right(loadAdapter(out))
          assert.deepEqual(
            [again.method, again.modules, again.whole, again.targetModules, again.modulesToSave],
            [method, adapter.modules, whole, adapter.targetModules, ['lm_head', 'norm']],
          )
          if (scaled) {
            const [ours, theirs] = [adapter, again].map(one => [...one.modules.keys()].map(path => scaleOf(one, path)))
            assert.deepEqual(theirs, ours)
          }
        },
      ),
      { numRuns: 25 },
    )
  }))

test('PaCA, S2FT, MosLoRA and LoRA-FA leave as LoRA; what no LoRA says is refused, as are several ranks where PEFT has one', () => {
  const width = (path: string): number => sizes(1).get(path)!.input
  for (const method of ['paca', 'moslora', 'lorafa'] as const) {
    const { config, tensors } = get(
      peftOf(adapterOf(method, sizes(2, 1), 3, { targetModules: 'all-linear', alpha: 4 }), width),
    )
    assert.equal(config['peft_type'], 'LORA')
    assert.deepEqual(
      [...tensors].map(([name, value]: readonly [string, { readonly sizes: readonly number[] }]) => [
        name,
        value.sizes,
      ]),
      [
        [`base_model.model.${q}.lora_A.weight`, [2, 6]],
        [`base_model.model.${q}.lora_B.weight`, [4, 2]],
        ['base_model.model.model.layers.1.mlp.up_proj.lora_A.weight', [1, 4]],
        ['base_model.model.model.layers.1.mlp.up_proj.lora_B.weight', [5, 1]],
      ],
    )
    assert.deepEqual(
      [config['r'], config['lora_alpha'], config['rank_pattern'], config['alpha_pattern']],
      [
        2,
        method === 'paca' ? 2 : 4,
        { 'model.layers.1.mlp.up_proj': 1 },
        method === 'paca' ? { 'layers.1.mlp.up_proj': 1 } : {},
      ],
    )
  }
  // whole heads are more columns than the rank that was asked for
  const asked = { targetModules: 'all-linear', rank: 1, rankPattern: {} }
  const { config } = get(peftOf(adapterOf('s2ft', sizes(2, 1), 3, asked), width))
  assert.deepEqual(
    [config['r'], config['rank_pattern'], config['lora_alpha'], config['alpha_pattern']],
    [2, { 'layers.1.mlp.up_proj': 1 }, 2, { 'layers.1.mlp.up_proj': 1 }],
  )
  for (const method of ['shira', 'full', 'biases'] as const)
    assert.match(sentence(peftOf(adapterOf(method, sizes(1), 3), width)), /export it merged$/)
  assert.match(sentence(peftOf(adapterOf('miss', sizes(1, 2), 3), width)), /PEFT's miss has one rank/)
  // modules that their own words would not select are named one by one
  assert.deepEqual(
    get(peftOf(adapterOf('lora', sizes(1), 3, { targetModules: ['v_proj'] }), width)).config['target_modules'],
    [...sizes(1).keys()],
  )
})
test('the widths of a base serve PaCA', async () => {
  const checkpoint = await right(openCheckpoint(golden))
  const width = inputWidths(checkpoint)
  assert.deepEqual([width('model.layers.0.mlp.down_proj'), width('model.embed_tokens')], [176, 320])
  assert.throws(() => width('model.layers.9.mlp.down_proj'), /no module model\.layers\.9/)
  await checkpoint.close()
})

test('a field that is set and not supported is named, never ignored; fields that are off pass', () =>
  inDirectory(async directory => {
    const out = join(directory, 'lora')
    const file = join(out, 'adapter_config.json')
    await cp(join(golden, 'lora'), out, { recursive: true })
    const json = await jsonOf(out)
    const said = async (changes: Json) => {
      await writeFile(file, JSON.stringify({ ...json, ...changes }))
      return message(loadAdapter(out))
    }
    for (const [field, value] of Object.entries({
      lora_bias: true,
      fan_in_fan_out: true,
      layer_replication: [[0, 2]],
      trainable_token_indices: [1],
      target_parameters: ['a'],
      use_qalora: true,
      megatron_config: { a: 1 },
      alora_invocation_tokens: [1],
      kasa_config: { a: 1 },
      from_the_future: 1,
    }))
      assert.match(
        await said({ [field]: value }),
        new RegExp(`adapter_config\\.json: ${field} is .*, and that field of PEFT is not supported$`),
      )
    for (const [changes, due] of [
      [{ init_lora_weights: 'pissa' }, /init_lora_weights is "pissa": expected true, false, "gaussian"/],
      [{ peft_type: 'BOFT' }, /peft_type is "BOFT": expected "LORA" or "VERA" or "MISS" or "IA3" or "LN_TUNING"/],
      [{ peft_type: 'SHIRA' }, /SHiRA adapters of PEFT are not supported/],
      [{ r: 0 }, /r is 0: expected an integer from 1 on/],
      [{ lora_alpha: '8' }, /lora_alpha is "8"/],
      [{ r: 5 }, /tensor lora_A\.model\.layers\.0\.mlp\.down_proj is F32 \[176, 4\]: expected F32 \[in, 5\]/],
      [{ lora_dropout: 1.5 }, /lora_dropout is 1\.5/],
      [
        { target_modules: ['q_proj'] },
        /target_modules does not name model\.layers\.0\.mlp\.down_proj, of which there are tensors/,
      ],
      [{ bias: 'most' }, /bias is "most"/],
      [{ use_dora: true }, /tensor lora_magnitude_vector\..* is missing/],
      [{ use_rslora: 'yes' }, /use_rslora is "yes": expected true or false/],
      [{ rank_pattern: { '(?i)x': 3 } }, /rank_pattern: .* inline flags/],
      [{ layers_pattern: ['layers'] }, /layers_pattern needs layers_to_transform/],
      [{ peft_type: 'VERA' }, /init_lora_weights is true, and that field of PEFT/],
    ] as const)
      assert.match(await said(changes), due)
    await writeFile(
      file,
      JSON.stringify({
        ...json,
        later_option: null,
        later_flag: false,
        use_rslora: true,
        lora_dropout: 0.1,
        bias: 'lora_only',
        rank_pattern: { q_proj: 4 },
        layers_pattern: '',
        init_lora_weights: 'gaussian',
      }),
    )
    const { rslora, dropout, bias, rankPattern } = await right(loadAdapter(out))
    assert.deepEqual([rslora, dropout, bias, rankPattern], [true, 0.1, 'lora_only', { q_proj: 4 }])
    await writeFile(file, '{ "peft_type": "LORA", "target_modules": null, "r": 4 }')
    assert.equal(
      ((await right(loadAdapter(out))) as Adapter<'lora'>).targetModules.length,
      7,
      'targets that are left to PEFT are those of the tensors',
    )
  }))
test('VeRA without its projections, and tensors that belong to no adapter, are refused', () =>
  inDirectory(async directory => {
    const out = join(directory, 'vera')
    await cp(join(golden, 'vera'), out, { recursive: true })
    const json = await jsonOf(out)
    await writeFile(join(out, 'adapter_config.json'), JSON.stringify({ ...json, save_projection: false }))
    assert.match(
      await message(loadAdapter(out)),
      /save_projection is false, and the projections follow from PyTorch's own random numbers/,
    )
    await writeFile(join(out, 'adapter_config.json'), JSON.stringify({ ...json, vera_dropout: 0.1 }))
    assert.match(await message(loadAdapter(out)), /vera_dropout is 0\.1, and that field of PEFT is not supported/)
    const written = async (tensors: Readonly<Record<string, Value>>) => {
      await writeFile(
        join(out, 'adapter_config.json'),
        JSON.stringify({ peft_type: 'LORA', target_modules: ['q_proj'], r: 1, lora_alpha: 2 }),
      )
      await writeFile(
        join(out, 'adapter_model.safetensors'),
        await collect(safetensorsBytes(Object.entries(tensors).map(([name, value]) => leafOf(name, value)))),
      )
      return loadAdapter(out)
    }
    const a = `base_model.model.${q}.lora_A.weight`
    const b = `base_model.model.${q}.lora_B.weight`
    const A = f32([1, 2], 1, 2)
    const B = f32([3, 1], 1, 2, 3)
    for (const name of [
      'lora_A.weight',
      `base_model.model.${q}.vera_lambda_d`,
      `base_model.model.${q}.base_layer.weight`,
      'base_model.vera_A',
    ]) {
      assert.match(
        await message(await written({ [a]: A, [b]: B, [name]: A })),
        new RegExp(`tensor ${name.replaceAll('.', '\\.')} belongs to no adapter`),
      )
    }
    assert.match(await message(await written({ [a]: A })), /tensor lora_B\..* is missing/)
    assert.match(
      await message(await written({ [a]: f32([2], 1, 2), [b]: B })),
      /lora_A\.weight is F32 \[2\]: expected a matrix of numbers/,
    )
    assert.match(
      await message(await written({ [a]: A, [b]: B, [`base_model.model.${q}.weight`]: A })),
      /is adapted and saved whole/,
    )
    const old = await right(
      await written({ [a]: A, [b]: B, 'base_model.model.lm_head.modules_to_save.weight': f32([2, 1], 5, 6) }),
    )
    assert.deepEqual([...old.whole!], [['lm_head', f32([1, 2], 5, 6)]])
    // adapters in 16 bits are widened
    await writeFile(
      join(out, 'adapter_model.safetensors'),
      await collect(
        safetensorsBytes([leafOf(a, valueOf('bf16', [1, 2], Uint16Array.of(0x3f80, 0x4000))), leafOf(b, B)]),
      ),
    )
    assert.deepEqual(((await right(loadAdapter(out))) as Adapter<'lora'>).modules.get(q)!.lora_A, f32([2, 1], 1, 2))
  }))

test('the model card of an adapter names its base, what it trains and the form in which it is written', () => {
  const card = (method: MethodName): string =>
    get(peftOf(adapterOf(method, sizes(2), 3, { alpha: 4 }), path => sizes(2).get(path)!.input)).card
  for (const method of native) {
    const text = card(method)
    const { title, trains } = recordOf(method)
    assert.match(text, /^---\nbase_model: "llama-tiny"\nlibrary_name: peft\n/)
    assert.ok(text.includes(`- ${method}\n---\n`) && text.includes(title) && text.includes(` trains ${trains}.`), text)
    assert.ok(!text.includes('It is written as'))
  }
  assert.match(card('paca'), /- lora\n- paca\n---\n[^]*PaCA \(\[Woo et al[^]* weight\. It is written as a LoRA\.\n/)
  assert.match(card('paca'), /\| rank \| 2 \|\n/)
})
