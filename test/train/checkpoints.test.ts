import assert from 'node:assert/strict'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { evaluate, exportAdapter } from '../../src/program/index.ts'

/**
 * The results of transformers and PEFT for tiny checkpoints and adapters; make_checkpoints.py, next to the values,
 * makes them.
 */
const golden = join(import.meta.dirname, '../golden/checkpoints')
interface Checkpoint {
  readonly name: string
  readonly files: readonly string[]
  readonly config: object
  readonly index?: object
  readonly loss: number
}
interface Adapter {
  readonly name: string
  readonly base: string
  readonly loss: number
}
interface Cases {
  readonly ids: readonly (readonly number[])[]
  readonly checkpoints: readonly Checkpoint[]
  readonly adapters: readonly Adapter[]
}
const cases: Cases = JSON.parse(await readFile(join(golden, 'cases.json'), 'utf8'))

/** The cases that are not computed as transformers or PEFT would, and the words of their refusal. */
const refused: Readonly<Record<string, RegExp>> = {
  'both spellings, disagreeing': /config\.json: rope_parameters and rope_scaling disagree$/,
  'two rates of rope': /config\.json: rope_parameters\.rope_theta is 500 and rope_theta 10000: specify one of them$/,
  'original positions beside rope': /original_max_position_embeddings is 32: expected 16, as rope says,$/,
  'dynamic rope': /the rope type "dynamic" in rope_parameters is not supported \(default, linear and llama3 are\)$/,
  'yarn rope': /the rope type "yarn" in rope_parameters is not supported/,
  'another activation': /hidden_act is "gelu": expected "silu"$/,
  'biases that the config names': /attention_bias is true: expected false$/,
  'biases that the config does not name':
    /tensors model\.layers\.0\.mlp\.down_proj\.bias, .* and 6 more: the model that the config describes has no such parameters$/,
  'qwen2 yarn rope': /the rope type "yarn" in rope_scaling is not supported/,
  'qwen3 yarn rope': /the rope type "yarn" in rope_scaling is not supported/,
  'qwen2 a sliding window': /use_sliding_window is true: expected false$/,
  'qwen3 a sliding window': /use_sliding_window is true: expected false$/,
  'qwen2 a layer that slides': /use_sliding_window is true: expected false$/,
  'qwen3 a layer that slides': /use_sliding_window is true: expected false$/,
  'qwen2 without num_key_value_heads':
    /num_key_value_heads is missing: expected a divisor of num_attention_heads \(4\)$/,
  'qwen3 without num_key_value_heads':
    /num_key_value_heads is missing: expected a divisor of num_attention_heads \(4\)$/,
  'qwen3 head_dim of null': /head_dim is null: expected an even number$/,
  'qwen3 read as qwen2':
    /tensor model\.layers\.0\.self_attn\.q_proj\.weight has the sizes \[128, 16\], where the config asks for \[16, 16\]$/,
  'a layer that the config does not name':
    /tensors model\.layers\.1\.input_layernorm\.weight, .* and 1 more: the model that the config describes has no such parameters$/,
  'lora-of-the-embedding':
    /tensor base_model\.model\.model\.embed_tokens\.lora_embedding_A is a LoRA of an embedding, which is not supported/,
  'lora-of-the-embedding-ensured': /embed_tokens\.lora_embedding_A is a LoRA of an embedding, which is not supported/,
  'pissa':
    /init_lora_weights is "pissa": expected true, false, "gaussian", "eva" or "orthogonal" \(others change the weights of the base\)$/,
  'olora': /init_lora_weights is "olora": expected true/,
  'tokens': /trainable_token_indices is \[1,2\], and that field of PEFT is not supported$/,
  'biased-lora': /lora_bias is true, and that field of PEFT is not supported$/,
  'a-saved-module-that-is-not-there': /modules_to_save names "classifier", of which there are no tensors$/,
}
/** The expected warnings of a case, in addition to its loss; other cases have none. */
const said: Readonly<Record<string, RegExp>> = {
  'tied beside another stored head':
    /^\S+ tie_word_embeddings is true, but lm_head\.weight holds other numbers than model\.embed_tokens\.weight: the two are kept apart$/,
  'tied beside its head in bf16': /the two are kept apart$/,
  'a-target-that-is-not-there': new RegExp(
    '^\\S+: target_modules names "c_attn", and the base has no such module\n' +
      '\\S+: alpha_pattern names "c_attn", and the base has no such module$',
  ),
}

const directory = await mkdtemp(join(tmpdir(), 'partensor-checkpoints-'))
after(() => rm(directory, { recursive: true }))
const data = join(directory, 'rows.jsonl')
await writeFile(data, cases.ids.map(ids => `${JSON.stringify({ input_ids: ids, labels: ids })}\n`).join(''))

/** A directory of a case, as a user has it. */
const laidOut = async ({ name, files, config, index }: Checkpoint): Promise<string> => {
  const path = join(directory, name.replaceAll(/\W+/g, '-'))
  await mkdir(path, { recursive: true })
  await writeFile(join(path, 'config.json'), JSON.stringify(config))
  for (const file of files) await cp(join(golden, 'weights', file), join(path, index ? file : 'model.safetensors'))
  if (index) await writeFile(join(path, 'model.safetensors.index.json'), JSON.stringify({ weight_map: index }))
  return path
}

interface Outcome {
  readonly loss: number
  readonly said: string
}
/** The loss of a model, with adapters, and the warnings about it. */
const outcome = async (model: string, ...adapter: readonly string[]): Promise<Outcome> => {
  const messages: string[] = []
  const { loss } = await evaluate({
    model,
    adapter,
    data,
    batch: 2,
    target: 'reference',
    onWarning: message => messages.push(message),
  })
  return { loss, said: messages.join('\n') }
}
const near = (what: string, loss: number, due: number): void =>
  assert.ok(Math.abs(loss - due) <= 2e-6 * due, `${what}: the loss is ${loss}, and ${due} in Python`)

/** A case computes the same as in Python, or is refused in the words above. */
const holds = async (name: string, due: number, run: () => Promise<Outcome>): Promise<void> => {
  const sentence = refused[name]
  if (sentence !== undefined) {
    await assert.rejects(run(), sentence)
    return
  }
  const found = await run()
  near(name, found.loss, due)
  assert.match(found.said, said[name] ?? /^$/)
}

for (const one of cases.checkpoints) {
  test(`a checkpoint has the loss that transformers finds, or is refused: ${one.name}`, async () => {
    const model = await laidOut(one)
    await holds(one.name, one.loss, () => outcome(model))
  })
}

const bases = new Map<string, string>()
for (const one of cases.checkpoints)
  if (cases.adapters.some(({ base }) => base === one.name)) bases.set(one.name, await laidOut(one))

for (const { name, base, loss } of cases.adapters) {
  test(`an adapter of PEFT has the loss that PEFT finds, also merged and exported, or is refused: ${name}`, async () => {
    const model = bases.get(base)!
    const adapter = join(golden, 'adapters', name)
    await holds(name, loss, () => outcome(model, adapter))
    if (refused[name] !== undefined) return
    for (const as of ['merged', 'peft-lora', 'partensor'] as const) {
      const out = join(directory, `${name}-${as}`)
      await exportAdapter({ model, adapter: [adapter], as, out })
      near(`${name} as ${as}`, (await (as === 'merged' ? outcome(out) : outcome(model, out))).loss, loss)
    }
  })
}

test('the cases are many, of every kind, and none of the words above is idle', () => {
  const names = [...cases.checkpoints, ...cases.adapters].map(({ name }) => name)
  const computed = (of: readonly { readonly name: string }[]): number =>
    of.filter(({ name }) => refused[name] === undefined).length
  assert.ok(computed(cases.checkpoints) >= 20 && computed(cases.adapters) >= 20)
  for (const name of [...Object.keys(refused), ...Object.keys(said)]) assert.ok(names.includes(name), name)
})
