import assert from 'node:assert/strict'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import { valueOf } from '../../src/io/checkpoint/archive.ts'
import { checkBase, loadAdapter, type Adapter } from '../../src/io/adapter/index.ts'
import { openCheckpoint } from '../../src/io/checkpoint/checkpoint.ts'
import { parseConfig } from '../../src/model/index.ts'
import { openSafetensors } from '../../src/io/safetensors/read.ts'
import { leafOf, safetensorsBytes, type Leaf } from '../../src/io/safetensors/write.ts'
import { f32 } from '../support/adapters.ts'
import { collect, gguf, inDirectory, message, put, right } from '../support/archives.ts'
import { writeTinyGguf } from '../support/gguf-models.ts'

/** Fields that a file has and nothing computes are refused by name, or reported; never silently ignored. */
const golden = join(import.meta.dirname, '../golden/checkpoints')
const tiny = join(import.meta.dirname, '../golden/llama-tiny')
const cases: {
  readonly checkpoints: readonly { readonly name: string; readonly config: Readonly<Record<string, unknown>> }[]
} = JSON.parse(await readFile(join(golden, 'cases.json'), 'utf8'))
const configOf = (name: string) => cases.checkpoints.find(one => one.name === name)!.config

const parsed = (changes: Readonly<Record<string, unknown>>): string => {
  const result = parseConfig({ ...configOf('untied'), ...changes }, 'config.json')
  return E.isLeft(result) ? result.left.message : ''
}

test('a field that changes the maths is refused by name, and passes where it changes nothing', () => {
  for (const [field, value] of Object.entries({
    attention_bias: true,
    mlp_bias: true,
    use_bias: true,
    hidden_act: 'relu',
    hidden_activation: 'gelu',
    attention_dropout: 0.1,
    sliding_window: 64,
    use_sliding_window: true,
    partial_rotary_factor: 0.5,
    rotary_pct: 0.25,
    rope_interleaved: true,
    no_rope_layers: [1, 0],
    logit_scale: 0.5,
    logits_scaling: 8,
    final_logit_softcapping: 30,
    attn_logit_softcapping: 50,
    query_pre_attn_scalar: 256,
    attention_multiplier: 0.1,
    embedding_multiplier: 12,
    residual_multiplier: 0.2,
    scale_emb: 12,
    scale_depth: 1.4,
    dim_model_base: 256,
    qk_norm: true,
    use_qk_norm: true,
    clip_qkv: 8,
    use_parallel_residual: true,
    alibi: true,
    is_causal: false,
    use_bidirectional_attention: true,
    num_local_experts: 8,
    num_experts: 4,
    quantization: { bits: 4 },
    quantization_config: { quant_method: 'gptq' },
    kv_lora_rank: 64,
  }))
    assert.match(parsed({ [field]: value }), new RegExp(`^config\\.json: ${field} is .*: expected .*$`), field)
  assert.match(
    parsed({ layer_types: ['full_attention', 'sliding_attention'] }),
    /layer_types is .*: expected "full_attention" in every layer$/,
  )
  assert.match(
    parsed({ architectures: ['LlamaForSequenceClassification'] }),
    /architectures is \["LlamaForSequenceClassification"\]: expected \["LlamaForCausalLM"\]$/,
  )
  assert.match(
    parsed({ model_type: 'mistral' }),
    /model_type is "mistral"; only "llama", "qwen2", "qwen3".* are supported/,
  )
  assert.equal(
    parsed({
      attention_bias: false,
      attention_dropout: 0,
      sliding_window: null,
      use_sliding_window: false,
      partial_rotary_factor: 1,
      rope_interleaved: false,
      no_rope_layers: [],
      logit_scale: 1,
      final_logit_softcapping: null,
      num_experts: 0,
      layer_types: ['full_attention', 'full_attention'],
      architectures: [],
      pretraining_tp: 2,
      transformers_version: '9',
      from_the_future: 'x',
      use_cache: true,
      initializer_range: 0.02,
      rope_scaling: null,
    }),
    '',
  )
})

test('what rope says twice must agree, wherever it says it, and no field of it is left out', () => {
  const llama3 = {
    rope_type: 'llama3',
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 16,
  }
  const rope = (...places: readonly object[]) => parsed({ rope_parameters: undefined, ...Object.assign({}, ...places) })
  assert.equal(rope({ rope_parameters: { ...llama3, rope_theta: 500 }, rope_scaling: llama3, rope_theta: 500 }), '')
  assert.equal(rope({ rope_parameters: {}, rope_scaling: { type: 'linear', factor: 2, rope_theta: 500 } }), '')
  assert.equal(rope({ rope_scaling: { rope_type: 'default', rope_theta: 500, attention_factor: null } }), '')
  for (const [place, due] of [
    [{ rope_parameters: { rope_type: 'default' }, rope_scaling: llama3 }, /rope_parameters and rope_scaling disagree$/],
    [{ rope_parameters: llama3, rope_scaling: { ...llama3, factor: 4 } }, /disagree$/],
    [
      { rope_scaling: { type: 'linear', factor: 2, rope_theta: 500 }, rope_theta: 10000 },
      /rope_scaling\.rope_theta is 500 and rope_theta 10000/,
    ],
    [
      { rope_scaling: { ...llama3, original_max_position_embeddings: 8 }, original_max_position_embeddings: 16 },
      /original_max_position_embeddings is 16: expected 8/,
    ],
    [
      { rope_parameters: { full_attention: { rope_type: 'default' } } },
      /rope_parameters\.full_attention is no field of the rope type "default"$/,
    ],
    [
      { rope_scaling: { rope_type: 'linear', factor: 2, attention_factor: 0.7 } },
      /rope_scaling\.attention_factor is no field of the rope type "linear"$/,
    ],
    [{ rope_scaling: { factor: 8 } }, /rope_scaling\.factor is no field of the rope type "default"$/],
    [
      { rope_scaling: { type: 'linear', rope_type: 'llama3', factor: 2 } },
      /rope_scaling\.type is "linear": expected "llama3"$/,
    ],
    [{ rope_scaling: { type: 'longrope', factor: 2 } }, /the rope type "longrope" in rope_scaling is not supported/],
    [{ rope_scaling: { type: ['linear'], factor: 2 } }, /the rope type \["linear"\] in rope_scaling is not supported/],
    [
      { rope_scaling: { ...llama3, partial_rotary_factor: 0.5 } },
      /rope_scaling\.partial_rotary_factor is 0\.5: expected 1$/,
    ],
    [{ rope_theta: -1 }, /rope_theta is -1: expected a number from 1 to/],
    [{ rope_theta: 0 }, /rope_theta is 0: expected/],
  ] as const)
    assert.match(rope(place), due)
})

/** The tensors of the tiny untied model. */
const leavesOf = async (): Promise<readonly Leaf[]> => {
  const archive = await right(openSafetensors(join(golden, 'weights/untied.safetensors')))
  try {
    return await Promise.all([...archive.tensors].map(async ([name, entry]) => leafOf(name, await entry.read())))
  } finally {
    await archive.close()
  }
}

test('a tensor that is no parameter is refused by name; frequencies of rope must be those of the config', () =>
  inDirectory(async directory => {
    const leaves = await leavesOf()
    const scale = valueOf('f32', [1], Float32Array.of(1))
    await put(directory, 'config.json', JSON.stringify(configOf('untied')))
    const said = async (...more: readonly Leaf[]) => {
      await put(directory, 'model.safetensors', await collect(safetensorsBytes([...leaves, ...more])))
      return message(openCheckpoint(directory))
    }
    for (const name of [
      'model.layers.0.self_attn.q_proj.bias',
      'model.layers.2.mlp.up_proj.weight',
      'model.layers.0.self_attn.q_norm.weight',
      'v_head.weight',
      'lm_head.bias',
      'model.layers.0.mlp.up_proj.weight.absmax',
      'model.layers.0.mlp.up_proj.weight_scale',
      'model.layers.0.self_attn.q_proj.lora_A.weight',
    ]) {
      assert.match(
        await said(leafOf(name, scale)),
        new RegExp(
          `model\\.safetensors: tensor ${name.replaceAll('.', '\\.')}: the model that the config describes has no such parameter$`,
        ),
      )
    }
    const frequencies = (...xs: readonly number[]) =>
      leafOf('model.layers.1.self_attn.rotary_emb.inv_freq', f32([xs.length], ...xs))
    assert.match(
      await said(frequencies(1, 0.02)),
      /tensor model\.layers\.1\.self_attn\.rotary_emb\.inv_freq: it does not hold the frequencies that rope_theta \(10000\) gives$/,
    )
    assert.match(await said(frequencies(1)), /it does not hold the frequencies/)
    await put(directory, 'model.safetensors', await collect(safetensorsBytes([...leaves, frequencies(1, 0.01)])))
    await (await right(openCheckpoint(directory))).close()
  }))

test('a directory that holds an adapter, a config of packed weights without such, and shards beside a whole file are named', () =>
  inDirectory(async directory => {
    await put(directory, 'config.json', JSON.stringify(configOf('untied')))
    await cp(join(golden, 'weights/untied.safetensors'), join(directory, 'model.safetensors'))
    await put(directory, 'model.safetensors.index.json', '{"weight_map":{}}')
    const checkpoint = await right(openCheckpoint(directory))
    await checkpoint.close()
    assert.match(
      checkpoint.warnings.join(),
      /^\S+\/model\.safetensors: it is read, and the shards of model\.safetensors\.index\.json beside it are not$/,
    )
    const quantization_config = { quant_method: 'bitsandbytes', load_in_4bit: true, bnb_4bit_quant_type: 'nf4' }
    await put(directory, 'config.json', JSON.stringify({ ...configOf('untied'), quantization_config }))
    assert.match(
      await message(openCheckpoint(directory)),
      /config\.json: quantization_config says that weights are packed, and \S+ holds none that are$/,
    )
    await put(directory, 'config.json', JSON.stringify(configOf('untied')))
    await put(directory, 'adapter_config.json', '{}')
    assert.match(
      await message(openCheckpoint(directory)),
      /^\S+: it holds an adapter \(adapter_config\.json\): name its base as the model, and this directory as the adapter$/,
    )
    assert.match(await message(openCheckpoint(join(golden, 'adapters/lora-tied'))), /it holds an adapter/)
  }))

test('an index and its shards say the same', () =>
  inDirectory(async directory => {
    const leaves = await leavesOf()
    const names = leaves.map(({ name }) => name)
    const [first] = names
    await put(directory, 'config.json', JSON.stringify(configOf('untied')))
    await put(directory, 'a.safetensors', await collect(safetensorsBytes(leaves.slice(0, 5))))
    await put(directory, 'b.safetensors', await collect(safetensorsBytes(leaves.slice(5))))
    const due = Object.fromEntries(names.map((name, i) => [name, i < 5 ? 'a.safetensors' : 'b.safetensors']))
    const said = async (weight_map: Readonly<Record<string, string | undefined>>) => {
      await put(directory, 'model.safetensors.index.json', JSON.stringify({ weight_map }))
      return message(openCheckpoint(directory))
    }
    assert.match(
      await said({ ...due, [first!]: undefined }),
      new RegExp(`index\\.json: a\\.safetensors holds tensor ${first}, which weight_map does not say$`),
    )
    assert.match(
      await said({ ...due, [first!]: 'b.safetensors' }),
      new RegExp(`index\\.json: tensor ${first} is not in b\\.safetensors$`),
    )
    assert.match(await said({ ...due, [first!]: 'c.safetensors' }), /c\.safetensors: no such file or directory$/)
    assert.match(
      await said({ ...due, 'model.other.weight': 'a.safetensors' }),
      /index\.json: tensor model\.other\.weight is not in a\.safetensors$/,
    )
  }))

test('keys and tensors of a GGUF file that are not computed are refused by name', () =>
  inDirectory(async directory => {
    const file = await readFile(await writeTinyGguf(directory))
    // a pair more, at the front; tensors keep their alignment by a text of the length that is left
    const said = async (pair: Buffer) => {
      const added = pair.length + 8 + 'general.pad'.length + 4 + 8
      const pad = gguf.string('general.pad', 'x'.repeat((32 - (added % 32)) % 32))
      const bytes = Buffer.concat([file.subarray(0, 24), pair, pad, file.subarray(24)])
      bytes.writeBigUInt64LE(bytes.readBigUInt64LE(16) + 2n, 16)
      const result = await openCheckpoint(await put(directory, 'm.gguf', bytes))()
      if (E.isRight(result)) await result.right.close()
      return E.isLeft(result) ? result.left.message : ''
    }
    for (const key of [
      'llama.attention.sliding_window',
      'llama.logit_scale',
      'llama.rope.scaling.attn_factor',
      'llama.attention.clamp_kqv',
      'llama.from_the_future',
    ]) {
      assert.match(
        await said(gguf.float(key, 0.5)),
        new RegExp(`m\\.gguf: ${key.replaceAll('.', '\\.')} is 0\\.5, and that key is not supported$`),
      )
      assert.equal(await said(gguf.float(key, 0)), '')
    }
    assert.match(
      await said(gguf.string('general.type', 'adapter')),
      /m\.gguf: general\.type is "adapter": expected "model"$/,
    )
    assert.match(
      await said(gguf.number('llama.attention.value_length', 8)),
      /llama\.attention\.value_length is 8: expected llama\.attention\.key_length \(4\)$/,
    )
    assert.match(
      await said(gguf.float('llama.rope.freq_base', NaN)),
      /llama\.rope\.freq_base is NaN: expected a number from 1 to/,
    )
    for (const key of ['general.name', 'llama.vocab_size', 'quantize.imatrix.file'])
      assert.equal(await said(gguf.number(key, 1)), '')
  }))

test('an adapter is complete: no module that its config names is missing', async () => {
  const checkpoint = await right(openCheckpoint(tiny))
  const { baseModelHash: _, ...lora } = (await right(loadAdapter(join(tiny, 'lora')))) as Adapter<'lora'>
  try {
    const modules = new Map([...lora.modules].slice(1))
    const [gone] = lora.modules.keys()
    assert.equal(
      await message(checkBase({ ...lora, modules }, checkpoint, 'out')),
      `out: target_modules names ${gone}, of which the adapter has no tensors`,
    )
    assert.equal(
      await message(
        checkBase(
          {
            ...lora,
            modulesToSave: ['norm'],
            whole: new Map([['model.norm', f32([64], ...Array<number>(64).fill(1))]]),
          },
          checkpoint,
          'out',
        ),
      ),
      'out: modules_to_save names model.layers.0.input_layernorm, which the adapter does not have',
    )
    assert.deepEqual(
      await right(
        checkBase(
          {
            ...lora,
            targetModules: [...lora.targetModules, 'c_attn'],
            layersToTransform: [0, 1, 7],
            alphaPattern: { 'x.*': 2 },
          },
          checkpoint,
          'out',
        ),
      ),
      [
        'out: target_modules names "c_attn", and the base has no such module',
        'out: alpha_pattern names "x.*", and the base has no such module',
        'out: layers_to_transform names layer 7, which the base does not have',
      ],
    )
    assert.deepEqual(await right(checkBase(lora, checkpoint)), [])
  } finally {
    await checkpoint.close()
  }
})
