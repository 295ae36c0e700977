import assert from 'node:assert/strict'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, test } from 'node:test'
import * as E from 'fp-ts/lib/Either.js'
import {
  combineAdapters,
  inputWidths,
  loadAdapter,
  loadTokenizer,
  openCheckpoint,
  openSafetensors,
  renderChat,
  saveMerged,
  savePeft,
  type Checkpoint,
  type MethodTensors,
  type Adapter,
} from '../../src/io/index.ts'
import { layoutOf } from '../../src/io/checkpoint/load.ts'
import { loraOf } from '../../src/io/adapter/lora-form.ts'
import { methodNames, recordOf, type MethodName } from '../../src/tune/index.ts'
import { resolveSaved, resolveTargets, type TargetRequest } from '../../src/tune/modules/modules.ts'
import { isHead } from '../../src/model/index.ts'
import { withModules } from '../../src/io/adapter/adapter.ts'
import { valueOf } from '../../src/io/checkpoint/archive.ts'
import { transposeMatrix } from '../../src/tensor/index.ts'
import { adapterOf, i32, origin } from '../support/adapters.ts'
import { inDirectory, right } from '../support/archives.ts'
import { writeTinyGguf } from '../support/gguf-models.ts'
import { right as get } from '../support/tokenizers.ts'
import { ask, findPython } from '../support/python.ts'
import { ofText } from '../support/architectures.ts'

const golden = join(import.meta.dirname, '../golden/llama-tiny')
const path = (name: string): string => join(golden, name)
const base = await right(openCheckpoint(golden))
const widths = inputWidths(base)
after(() => base.close())

const read = async <A>(
  file: string,
  use: (
    get: (name: string) => Promise<{ readonly sizes: readonly number[]; readonly data: Float32Array }>,
    ids: (name: string) => Promise<Int32Array>,
    names: readonly string[],
  ) => Promise<A>,
): Promise<A> => {
  const archive = await right(openSafetensors(path(file)))
  const entry = (name: string) => archive.tensors.get(name)!
  try {
    return await use(
      async name => ({ sizes: entry(name).sizes, data: await right(entry(name).readF32()) }),
      async name => (await entry(name).read()).data as Int32Array,
      [...archive.tensors.keys()],
    )
  } finally {
    await archive.close()
  }
}
const turn = ({
  sizes: [rows = 0, columns = 0],
  data,
}: {
  readonly sizes: readonly number[]
  readonly data: Float32Array
}) => valueOf('f32', [columns, rows], transposeMatrix(data, rows, columns))

/** A base's own columns, [r, out]. */
const columnsOf = async (module: string, columns: Int32Array) => {
  const {
    sizes: [out = 0, width = 0],
    readF32,
  } = base.tensors.get(`${module}.weight`)!
  const rows = transposeMatrix(await right(readF32()), out, width)
  const data = new Float32Array(columns.length * out)
  columns.forEach((column, i) => data.set(rows.subarray(column * out, (column + 1) * out), i * out))
  return valueOf('f32', [columns.length, out], data)
}

/** Columns that PyTorch trained for ten steps, as an adapter of ours. */
const goldenPaca = (): Promise<Adapter<'paca'>> =>
  read('paca.safetensors', async (floats, ids, names) => {
    const modules = new Map<string, MethodTensors['paca']>()
    for (const module of names.filter(name => name.startsWith('columns.')).map(name => name.slice(8))) {
      const columns = i32(...(await ids(`columns.${module}`)))
      modules.set(module, {
        columns,
        values: turn(await floats(`after.${module}`)),
        base: await columnsOf(module, columns.data),
      })
    }
    return { ...unbound, targetModules: 'all-linear', method: 'paca', rank: 4, modules }
  })

const { baseModelHash: _, ...unbound } = origin

/** Methods that PEFT has, or that leave as a LoRA. */
const leavesForPeft = (method: MethodName): boolean => {
  const { lora, peft } = recordOf(method)
  return 'factors' in lora || (peft !== undefined && 'fields' in peft)
}

/** An adapter filled at random; of PaCA, with the base's own columns. */
const randomAdapter = async (method: MethodName, settings: Partial<Adapter<'lora'>> = {}): Promise<Adapter> => {
  const paths =
    recordOf(method).reach === 'norm'
      ? ['model.layers.0.input_layernorm', 'model.norm']
      : ['model.layers.0.self_attn.q_proj', 'model.layers.1.mlp.down_proj']
  const several = !['vera', 'miss'].includes(method)
  const { baseModelHash: _hash, ...made } = adapterOf(
    method,
    new Map(
      paths.map((at, i) => {
        const [out = 0, width = 0] = base.tensors.get(`${at}.weight`)!.sizes
        return [at, { input: width, output: out, rank: several ? 3 + i : 3 }]
      }),
    ),
    5,
    { ...settings, targetModules: paths },
  )
  const adapter = made as Adapter
  if (adapter.method !== 'paca' && adapter.method !== 's2ft') return adapter
  const modules = await Promise.all(
    [...adapter.modules].map(
      async ([at, module]) => [at, { ...module, base: await columnsOf(at, module.columns.data) }] as const,
    ),
  )
  return withModules(adapter as Adapter, new Map(modules))
}

const python = await findPython()
const none = E.isRight(python) && python.right === undefined
const skip = none ? 'there is no Python with torch, peft and transformers (CI=true installs them)' : false
const interpreter = (): string => {
  if (E.isLeft(python)) assert.fail(python.left)
  return python.right ?? assert.fail('there is no Python')
}

interface Distance {
  readonly difference: number
  readonly moved: number
}
const near = (what: string, { difference, moved }: Distance): void => {
  assert.ok(moved > 0.01, `${what}: the adapter must change something, and it moves the logits by ${moved}`)
  assert.ok(difference < 2e-5, `${what}: the logits differ by ${difference}`)
}

test('real peft and transformers agree with what is read, written and merged', { skip }, () =>
  inDirectory(async directory => {
    const ids = await read('reference.safetensors', async (_, integers) => {
      const all = [...(await integers('input_ids'))]
      return [all.slice(0, 24), all.slice(24, 48)]
    })
    const tasks: { readonly name: string; readonly task: object; readonly check: (answer: unknown) => void }[] = []
    const out = (name: string): string => join(directory, name)
    const logits = (name: string, a: object, b: object) =>
      tasks.push({
        name,
        task: { kind: 'logits', base: golden, ids, a, b },
        check: answer => near(name, answer as Distance),
      })
    const checkBoth = async (name: string, adapter: Adapter) => {
      await right(savePeft(out(name), adapter, widths))
      await right(saveMerged(out(`${name}-merged`), base, [{ adapter }]))
      logits(
        `${name}: PEFT's adapter and the merged model`,
        { model: golden, adapter: out(name) },
        { model: out(`${name}-merged`) },
      )
    }

    // adapters that PEFT saved, read and written again
    for (const name of ['lora', 'dora', 'vera', 'ia3']) {
      await checkBoth(name, await right(loadAdapter(path(name))))
      logits(
        `${name}: PEFT's own file and ours`,
        { model: golden, adapter: path(name) },
        { model: golden, adapter: out(name) },
      )
    }
    // columns that PyTorch trained
    const paca = await goldenPaca()
    await checkBoth('paca', paca)
    // every method that has a form in PEFT, with other ranks and alphas by module, rsLoRA, a module that is saved whole
    for (const method of methodNames.filter(leavesForPeft))
      await checkBoth(`random ${method}`, await randomAdapter(method, { alpha: 2 }))
    await checkBoth(
      'patterns',
      await randomAdapter('lora', { rslora: true, alphaPattern: { 'layers.1.mlp.down_proj': 1.5 } }),
    )
    const head = base.tensors.get('lm_head.weight')!
    const whole = transposeMatrix(
      (await right(head.readF32())).map(x => 0.9 * x),
      320,
      64,
    )
    await checkBoth(
      'whole',
      await randomAdapter('lora', {
        alpha: 1,
        modulesToSave: ['lm_head'],
        whole: new Map([['lm_head', valueOf('f32', [64, 320], whole)]]),
      }),
    )
    for (const method of ['vera', 'miss'] as const) {
      await right(savePeft(out(`${method} as lora`), get(loraOf(await randomAdapter(method), widths)), widths))
      logits(
        `${method} as a LoRA`,
        { model: golden, adapter: out(`${method} as lora`) },
        { model: out(`random ${method}-merged`) },
      )
    }
    // add_weighted_adapter
    const uses = [
      { adapter: paca, weight: 0.7 },
      { adapter: await right(loadAdapter(path('lora'))), weight: 0.4 },
    ]
    await right(savePeft(out('combined'), get(combineAdapters(uses, widths)), widths))
    tasks.push({
      name: 'combined',
      task: {
        kind: 'combined',
        base: golden,
        ids,
        adapters: [out('paca'), path('lora')],
        weights: [0.7, 0.4],
        ours: out('combined'),
      },
      check: answer => near('combined', answer as Distance),
    })
    await right(saveMerged(out('combined-merged'), base, uses))
    logits(
      'combined: an adapter and the merged model',
      { model: golden, adapter: out('combined') },
      { model: out('combined-merged') },
    )
    for (const request of requests)
      tasks.push({
        name: JSON.stringify(request),
        task: targetsTask(request),
        check: answer => assert.deepEqual(answer, chosen(base, request), JSON.stringify(request)),
      })
    for (const pre of ['smollm', 'llama-bpe']) tasks.push(await tokenizerTask(directory, pre))

    for (const task of await tiedTasks(directory)) tasks.push(task)
    for (const task of await biasTasks(directory)) tasks.push(task)

    const answers = await ask(
      interpreter(),
      tasks.map(({ task }) => task),
      directory,
    )
    assert.equal(answers.length, tasks.length)
    tasks.forEach(({ check }, i) => check(answers[i]))
  }),
)

/**
 * Adapters that train an embedding and the head that is tied to it as one, and such as part them: in PEFT as they are
 * merged here.
 */
const tiedTasks = async (directory: string) => {
  const model = join(directory, 'tied')
  const cases = join(golden, '../checkpoints')
  const {
    checkpoints,
    ids,
  }: { readonly checkpoints: readonly { readonly name: string; readonly config: object }[]; readonly ids: unknown } =
    JSON.parse(await readFile(join(cases, 'cases.json'), 'utf8'))
  await cp(join(cases, 'weights/tied.safetensors'), join(model, 'model.safetensors'))
  await writeFile(join(model, 'config.json'), JSON.stringify(checkpoints.find(({ name }) => name === 'tied')!.config))
  const checkpoint = await right(openCheckpoint(model))
  const q = 'model.layers.0.self_attn.q_proj'
  const tied = ofText(checkpoint).config.tie_word_embeddings
  assert.ok(tied)
  try {
    const embedding = valueOf(
      'f32',
      [48, 16],
      (await right(checkpoint.tensors.get('model.embed_tokens.weight')!.readF32())).map(x => 0.8 * x + 0.1),
    )
    const adapters: (readonly [string, Adapter])[] = []
    for (const method of ['lora', 'dora', 'vera', 'miss', 'moslora'] as const) {
      const { baseModelHash: _hash, ...made } = adapterOf(
        method,
        new Map([[q, { input: 16, output: 16, rank: 2 }]]),
        5,
        {
          targetModules: [q],
          modulesToSave: ['embed_tokens'],
          whole: new Map([['model.embed_tokens', embedding]]),
        },
      )
      adapters.push([`${method} on a tied base`, made as Adapter])
    }
    for (const name of ['lora-of-the-head-tied', 'saved-embed_tokens-tied', 'saved-lm_head-ensured']) {
      adapters.push([name, await right(loadAdapter(join(cases, 'adapters', name)))])
    }
    return await Promise.all(
      adapters.map(async ([name, adapter]) => {
        const a = { model, adapter: join(directory, name) }
        const b = { model: join(directory, `${name}, merged`) }
        await right(savePeft(a.adapter, adapter, inputWidths(checkpoint), { tied }))
        await right(saveMerged(b.model, checkpoint, [{ adapter }]))
        return {
          name,
          task: { kind: 'logits', base: model, ids, a, b },
          check: (answer: unknown) => near(name, answer as Distance),
        }
      }),
    )
  } finally {
    await checkpoint.close()
  }
}

/** Adapters of a model with biases, which PEFT trained too, and such as are saved whole with their modules. */
const biasTasks = async (directory: string) => {
  const model = join(directory, 'biased')
  const cases = join(golden, '../checkpoints')
  const {
    checkpoints,
    ids,
  }: { readonly checkpoints: readonly { readonly name: string; readonly config: object }[]; readonly ids: unknown } =
    JSON.parse(await readFile(join(cases, 'cases.json'), 'utf8'))
  await cp(join(cases, 'weights/qwen2-untied.safetensors'), join(model, 'model.safetensors'))
  const config = checkpoints.find(({ name }) => name === 'qwen2 untied')!.config
  await writeFile(join(model, 'config.json'), JSON.stringify(config))
  const checkpoint = await right(openCheckpoint(model))
  try {
    return await Promise.all(
      ['qwen2-all-biases', 'qwen2-biases-of-lora', 'qwen2-biases-of-miss', 'qwen2-saved-k_proj'].map(async name => {
        const adapter = await right(loadAdapter(join(cases, 'adapters', name)))
        const a = { model, adapter: join(directory, name) }
        const b = { model: join(directory, `${name}, merged`) }
        await right(savePeft(a.adapter, adapter, inputWidths(checkpoint)))
        await right(saveMerged(b.model, checkpoint, [{ adapter }]))
        return {
          name,
          task: { kind: 'logits', base: model, ids, a, b },
          check: (answer: unknown) => near(name, answer as Distance),
        }
      }),
    )
  } finally {
    await checkpoint.close()
  }
}

/** Requests whose modules, ranks and scales PEFT resolves too. */
const requests: readonly (TargetRequest & { readonly rslora?: boolean })[] = [
  { targetModules: ['q_proj', 'layers.1.mlp.up_proj'], rank: 4, alpha: 8 },
  { targetModules: 'all-linear', rank: 4, alpha: 4, excludeModules: ['mlp.up_proj', 'o_proj'] },
  { targetModules: '.*\\.layers\\.1\\..*(?P<name>q|v)_proj', rank: 4, alpha: 8, excludeModules: '.*v_proj' },
  { targetModules: ['q_proj', 'lm_head', 'down_proj'], rank: 4, alpha: 8, layersToTransform: [1] },
  { targetModules: ['q_proj'], rank: 4, alpha: 8, layersToTransform: [0], layersPattern: ['layers'] },
  {
    targetModules: ['q_proj', 'k_proj'],
    rank: 4,
    alpha: 8,
    rankPattern: { 'layers.1.self_attn.q_proj': 2, '(q|k)_proj': 3 },
    alphaPattern: { '.*1.*.k_proj': 5 },
    rslora: true,
  },
  { targetModules: ['q_proj', 'up_proj', 'lm_head'], rank: 4, alpha: 8, modulesToSave: ['lm_head', 'norm'] },
  { targetModules: ['model.layers.0.self_attn.q_proj'], rank: 4, alpha: 8 },
]
const targetsTask = ({
  targetModules,
  rank,
  alpha,
  excludeModules,
  layersToTransform,
  layersPattern,
  rankPattern,
  alphaPattern,
  modulesToSave,
  rslora,
}: (typeof requests)[number]) => ({
  kind: 'targets',
  base: golden,
  fields: {
    target_modules: targetModules,
    r: rank,
    lora_alpha: alpha,
    exclude_modules: excludeModules,
    layers_to_transform: layersToTransform,
    layers_pattern: layersPattern,
    ...(rankPattern ? { rank_pattern: rankPattern } : {}),
    ...(alphaPattern ? { alpha_pattern: alphaPattern } : {}),
    modules_to_save: modulesToSave,
    use_rslora: rslora ?? false,
  },
})
const chosen = ({ tensors }: Checkpoint, request: (typeof requests)[number]) => {
  const paths = [...tensors.keys()].map(name => name.replace(/\.weight$/, ''))
  const linear = paths.filter(at => layoutOf(at) === 'linear')
  return {
    modules: get(resolveTargets(request, linear, isHead)).map(({ path: at, rank, alpha }) => [
      at,
      rank,
      alpha / (request.rslora === true ? rank ** 0.5 : rank),
    ]),
    saved: [...get(resolveSaved(request, paths))].sort(),
  }
}

/**
 * A tokenizer that came from a GGUF file, as transformers reads it; that of llama-bpe puts a token before every text.
 */
const tokenizerTask = async (directory: string, pre: string) => {
  const checkpoint = await right(openCheckpoint(await writeTinyGguf(directory, pre)))
  try {
    const model = join(directory, `from-${pre}`)
    const texts = ['hello <|im_start|>the in', '  ½ 12\n']
    const messages = [{ role: 'user' as const, content: 'hello' }]
    assert.deepEqual((await right(saveMerged(model, checkpoint, []))).notes, [])
    const tokenizer = (await right(loadTokenizer(checkpoint)))!
    const due = { ids: texts.map(text => tokenizer.encode(text)), chat: get(renderChat(tokenizer.chat!, messages)) }
    return {
      name: `tokenizer ${pre}`,
      task: { kind: 'tokens', model, texts, messages },
      check: (answer: unknown) => assert.deepEqual(answer, due, pre),
    }
  } finally {
    await checkpoint.close()
  }
}
