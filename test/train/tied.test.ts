import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { loadAdapter, loadedFor, openSafetensors, saveAdapter, type Adapter } from '../../src/io/index.ts'
import { orThrow } from '../../src/text/index.ts'
import {
  evaluate,
  exportAdapter,
  finetune,
  type EvaluateOptions,
  type FinetuneOptions,
} from '../../src/program/index.ts'
import { openModel } from '../../src/program/model.ts'
import { withAdapter } from '../../src/train/adapted.ts'

/** A head that is tied to the embedding, trained as one with it or apart; and adapters over a quantized base. */
const golden = join(import.meta.dirname, '../golden/checkpoints')
interface Case {
  readonly name: string
  readonly config: object
  readonly base: string
  readonly loss: number
}
const cases: {
  readonly ids: readonly (readonly number[])[]
  readonly checkpoints: readonly Case[]
  readonly adapters: readonly Case[]
} = JSON.parse(await readFile(join(golden, 'cases.json'), 'utf8'))
const directory = await mkdtemp(join(tmpdir(), 'partensor-tied-'))
const at = (name: string): string => join(directory, name)
after(() => rm(directory, { recursive: true }))
const data = at('rows.jsonl')
await writeFile(data, cases.ids.map(ids => `${JSON.stringify({ input_ids: ids, labels: ids })}\n`).join(''))
for (const name of ['tied', 'untied']) {
  await cp(join(golden, `weights/${name}.safetensors`), at(`${name}/model.safetensors`))
  await writeFile(at(`${name}/config.json`), JSON.stringify(cases.checkpoints.find(one => one.name === name)!.config))
}
const tied = at('tied')

const trained = async (out: string, options: Partial<FinetuneOptions>): Promise<string> => {
  for await (const _ of finetune({
    model: tied,
    data,
    seed: 3,
    steps: 2,
    batch: 2,
    accumulate: 1,
    shuffle: false,
    lr: 3e-2,
    schedule: 'constant',
    warmup: 0,
    weightDecay: 0,
    clip: 1,
    target: 'reference',
    out: at(out),
    ...options,
  }));
  return at(out)
}
const outcome = async (model: string, adapter: readonly string[], options: Partial<EvaluateOptions> = {}) => {
  const said: string[] = []
  const { loss } = await evaluate({
    model,
    adapter,
    data,
    batch: 2,
    target: 'reference',
    onWarning: message => said.push(message.replaceAll(`${directory}/`, '')),
    ...options,
  })
  return { loss, said }
}
const lossOf = async (model: string, ...adapter: readonly string[]): Promise<number> =>
  (await outcome(model, adapter)).loss
const near = (a: number, b: number): void => {
  assert.ok(Math.abs(a - b) < 1e-5, `${a} is not ${b}`)
}
const configOf = async (path: string): Promise<Readonly<Record<string, unknown>>> =>
  JSON.parse(await readFile(path, 'utf8'))
const namesIn = async (path: string): Promise<readonly string[]> => {
  const archive = await orThrow(openSafetensors(path))
  await archive.close()
  return [...archive.tensors.keys()]
}

test('embedding and head of a tied base are trained as one, and PEFT is told so', async () => {
  for (const method of ['lora', 'paca', 'vera', 'miss'] as const) {
    const out = await trained(method, { method, rank: 2, targetModules: ['q_proj'], modulesToSave: ['embed_tokens'] })
    const loss = await lossOf(tied, out)
    assert.ok(Math.abs(loss - 4.564946) > 1e-3, 'something was learned')
    for (const as of ['merged', 'peft-lora', 'partensor'] as const) {
      await exportAdapter({ model: tied, adapter: [out], as, out: `${out}-${as}` })
      near(as === 'merged' ? await lossOf(`${out}-${as}`) : await lossOf(tied, `${out}-${as}`), loss)
    }
    assert.equal((await configOf(`${out}-merged/config.json`))['tie_word_embeddings'], true)
    const heads = (await namesIn(`${out}-peft-lora/adapter_model.safetensors`)).filter(name =>
      /\.(embed_tokens|lm_head)\./.test(name),
    )
    assert.deepEqual(heads.toSorted(), [
      'base_model.model.lm_head.weight',
      'base_model.model.model.embed_tokens.weight',
    ])
    const { ensure_weight_tying: ensured, modules_to_save: saved } = await configOf(
      `${out}-peft-lora/adapter_config.json`,
    )
    assert.deepEqual(
      [ensured, saved],
      method === 'lora' || method === 'paca' ? [true, ['embed_tokens']] : [undefined, ['embed_tokens', 'lm_head']],
    )
  }
})

test('where the base is not tied, nobody ties it: an adapter of the embedding alone is written as it is', async () => {
  const out = await trained('alone', {
    model: at('untied'),
    method: 'lora',
    rank: 2,
    targetModules: ['q_proj'],
    modulesToSave: ['embed_tokens'],
  })
  await exportAdapter({ model: at('untied'), adapter: [out], as: 'peft-lora', out: `${out}-peft` })
  assert.equal((await configOf(`${out}-peft/adapter_config.json`))['ensure_weight_tying'], false)
  assert.ok(!(await namesIn(`${out}-peft/adapter_model.safetensors`)).includes('base_model.model.lm_head.weight'))
})

const apart = cases.adapters.filter(({ name }) =>
  [
    'lora-of-the-head-tied',
    'saved-embed_tokens-tied',
    'saved-lm_head-tied',
    'saved-embed_tokens-lm_head-tied',
    'dora-of-the-head',
    'vera-saved-embed_tokens',
  ].includes(name),
)
test('a run goes on from an adapter of PEFT that parts head and embedding, and stays in its terms', async () => {
  assert.equal(apart.length, 6)
  for (const { name, loss } of apart) {
    const adapter = join(golden, 'adapters', name)
    const same = await trained(`${name}-same`, { adapter, lr: 0 })
    near(await lossOf(tied, same), loss)
    assert.equal((await configOf(join(same, 'adapter_config.json')))['untied'], true)
    const on = await trained(`${name}-on`, { adapter: same })
    const after = await lossOf(tied, on)
    assert.ok(after < loss - 1e-3, `${name}: ${after} from ${loss}`)
    await exportAdapter({ model: tied, adapter: [on], as: 'merged', out: `${on}-merged` })
    near(await lossOf(`${on}-merged`), after)
    assert.equal((await configOf(`${on}-merged/config.json`))['tie_word_embeddings'], false)
  }
})

test('a mutant that ties what PEFT parts has another loss than PEFT', async () => {
  for (const { name, loss } of apart.filter(one => one.name.includes('saved-embed_tokens-tied'))) {
    const { untied, ...mutant } = await orThrow(loadAdapter(join(golden, 'adapters', name)))
    assert.equal(untied, true)
    await orThrow(saveAdapter(at('mutant'), mutant as Adapter))
    assert.ok(Math.abs((await lossOf(tied, at('mutant'))) - loss) > 0.01)
  }
})

test('a directory whose name has a colon is one, with a weight behind it or without', async () => {
  const plain = join(golden, 'adapters/lora-tied')
  await cp(plain, at('run:2'), { recursive: true })
  near(await lossOf(tied, at('run:2')), await lossOf(tied, plain))
  near(await lossOf(tied, `${at('run:2')}:0.5`), await lossOf(tied, `${plain}:0.5`))
  await cp(plain, at('run'), { recursive: true })
  await assert.rejects(
    lossOf(tied, at('run:2')),
    /run:2: there is a directory of this name, and \S+run too: write \S+run:2:1 or \S+run\/:2$/,
  )
  near(await lossOf(tied, `${at('run:2')}:1`), await lossOf(tied, plain))
  near(await lossOf(tied, `${at('run')}/:2`), await lossOf(tied, `${plain}:2`))
})

test('an adapter that ties and one that parts are used together: what the first trained is in both places', async () => {
  const one = await trained('one', { method: 'full', targetModules: ['embed_tokens'] })
  const two = await trained('two', {
    method: 'lora',
    rank: 2,
    targetModules: ['q_proj'],
    modulesToSave: ['embed_tokens'],
  })
  const other = join(golden, 'adapters/lora-of-the-head-tied')
  for (const [i, first] of [one, two].entries()) {
    const both = await lossOf(tied, first, other)
    await exportAdapter({ model: tied, adapter: [first, other], as: 'merged', out: at(`both-${i}`) })
    near(await lossOf(at(`both-${i}`)), both)
    // the second adapter without any weight parts the two, and changes nothing
    near(await lossOf(tied, first, `${other}:0`), await lossOf(tied, first))
  }
})

test('a tied head is not tuned by its name, and weights without it are none of an adapter of it', async () => {
  for (const options of [
    { targetModules: ['q_proj', 'lm_head'] },
    { targetModules: ['q_proj'], modulesToSave: ['lm_head'] },
  ]) {
    await assert.rejects(
      trained('never', { method: 'lora', rank: 2, ...options }),
      /^Error: lm_head is tied to embed_tokens in this model: --modules-to-save embed_tokens trains both as one$/,
    )
  }
  const source = await orThrow(openModel(tied))
  const adapter = await orThrow(loadAdapter(join(golden, 'adapters/lora-of-the-head-tied')))
  assert.throws(
    () => withAdapter(source.weights, adapter),
    /the weights have no lm_head, which an adapter changes: loadedFor opens the model for it/,
  )
  const { model, weights, checkpoint } = loadedFor(source, [adapter])
  assert.ok(
    withAdapter(weights, adapter).lm_head !== undefined &&
      model.params.lm_head !== undefined &&
      checkpoint.tensors.has('lm_head.weight'),
  )
  await source.checkpoint.close()
})

test('the base that a LoRA of the head repeats must be the base: other numbers and other sizes are refused', async () => {
  const adapter = join(golden, 'adapters/lora-of-the-head-tied')
  await cp(tied, at('scaled'), { recursive: true })
  const file = at('scaled/model.safetensors')
  const bytes = await readFile(file)
  const length = Number(bytes.readBigUInt64LE())
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as Readonly<
    Record<string, { readonly data_offsets: readonly [number, number] }>
  >
  bytes.writeFloatLE(0.125, 8 + length + header['model.embed_tokens.weight']!.data_offsets[0] + 40)
  await writeFile(file, bytes)
  await assert.rejects(
    outcome(at('scaled'), [adapter]),
    /tensor lm_head\.base_layer\.weight holds other numbers than \S+scaled: it was trained on another base$/,
  )
})

test('an adapter that was trained over NF4 says so where its base is held otherwise', async () => {
  const out = await trained('packed', { model: at('untied'), method: 'lora', rank: 2, quantize: 'nf4' })
  const packed = { quantize: 'nf4' } as const
  const full = await outcome(at('untied'), [out])
  const nf4 = await outcome(at('untied'), [out], packed)
  assert.deepEqual(full.said, [
    'packed: it was trained over a base held in NF4, and this one is held in full, so that the numbers are not those of the training: ' +
      'evaluate and generate take --quantize nf4',
  ])
  assert.deepEqual(nf4.said, [])
  assert.notEqual(full.loss, nf4.loss)
  assert.match(
    (await outcome(at('untied'), [out], { ...packed, doubleQuantize: false })).said.join(),
    /held in NF4, and this one is held in NF4 without double quantization, /,
  )
  const { notes } = await exportAdapter({ model: at('untied'), adapter: [out], as: 'merged', out: at('packed-merged') })
  assert.match(notes.join('\n'), /packed: it was trained over a base held in NF4, and this one is held in full/)
  const plain = join(golden, 'adapters/lora-untied')
  assert.deepEqual((await outcome(at('untied'), [plain], packed)).said, [])
})
