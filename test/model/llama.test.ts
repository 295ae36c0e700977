import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { openCheckpoint, type Checkpoint } from '../../src/io/checkpoint/checkpoint.ts'
import { openSafetensors } from '../../src/io/safetensors/read.ts'
import type { Archive } from '../../src/io/checkpoint/archive.ts'
import { llama, type CausalLM, type CausalConfig, type RopeScaling } from '../../src/model/index.ts'
import { frequencies } from '../../src/model/causal/rope-scaling.ts'
import {
  gradients,
  interpret,
  placeholder,
  scalar,
  whole,
  u,
  type Dim,
  type Node,
  type Numbers,
  type Wanted,
  sumAndCount,
} from '../../src/tensor/index.ts'
import { tensorsOf } from '../../src/tune/tree.ts'
import { sizeIn } from '../support/op-subjects.ts'
import { equal, noise } from '../support/calculus.ts'
import { ofText } from '../support/architectures.ts'

const file = (name: string): string => fileURLToPath(new URL(`../golden/llama-tiny/${name}`, import.meta.url))
const opened = <A>(result: E.Either<unknown, A>): A => {
  if (E.isLeft(result)) throw new Error(JSON.stringify(result.left))
  return result.right
}
const numbersOf = ({
  sizes,
  data,
}: {
  readonly sizes: readonly number[]
  readonly data: ArrayLike<number>
}): Numbers => ({ sizes, data: Float64Array.from(data) })
const read = async (archive: Pick<Archive, 'tensors'>, name: string): Promise<Numbers> =>
  numbersOf(await archive.tensors.get(name)!.read())
const turned = ({ sizes: [rows = 1, columns = 1], data }: Numbers): Numbers => ({
  sizes: [columns, rows],
  data: Float64Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!),
})
/** Linear weights are [out, in] in PyTorch. */
const isLinear = (path: string): boolean => /_proj$|^lm_head$/.test(path)
const oriented = (path: string, x: Numbers): Numbers => (isLinear(path) ? turned(x) : x)
const furthest = (a: Numbers, b: Numbers): number =>
  a.data.reduce(
    (most, v, i) => Math.max(most, Math.abs(v - b.data[i]!)),
    a.sizes.join() === b.sizes.join() ? 0 : Infinity,
  )
const close = (a: Numbers, b: Numbers, what: string): void => {
  const by = furthest(a, b)
  assert.ok(by <= 1e-5, `${what} is off by ${by}`)
}

let checkpoint: Checkpoint
let reference: Archive
let model: CausalLM
let weights: ReadonlyMap<Node, Numbers>
let feeds: ReadonlyMap<Node, Numbers>
let size: (dim: Dim) => number
let scored: number
before(async () => {
  checkpoint = opened(await openCheckpoint(file('.'))())
  reference = opened(await openSafetensors(file('reference.safetensors'))())
  model = llama(ofText(checkpoint).config)
  weights = new Map(
    await Promise.all(
      tensorsOf(model.params).map(
        async ([path, leaf]) => [leaf, oriented(path, await read(checkpoint, `${path}.weight`))] as const,
      ),
    ),
  )
  const ids = await read(reference, 'input_ids')
  const labels = await read(reference, 'labels')
  const [batch = 0, seq = 0] = ids.sizes
  feeds = new Map([...weights, [model.batch.input_ids, ids], [model.batch.labels, labels]])
  scored = labels.data.filter((label, i) => label >= 0 && i % seq > 0).length
  size = sizeIn({ ...model.dims, batch, seq, scored, capacity: seq + 3 })
})
after(async () => {
  await checkpoint.close()
  await reference.close()
})

const traced = () => {
  const outputs = model.forward(model.params, model.batch)
  return { ...outputs, ...sumAndCount('the loss', model.loss!(outputs, model.batch, model.params)) }
}

test("logits, loss and all gradients are PyTorch's", async () => {
  const { logits, sum, count } = traced()
  const leaves = tensorsOf(model.params)
  const { outputs, gradients: g } = gradients(
    [sum, count, logits],
    [scalar(1)],
    leaves.map(([, leaf]) => whole(leaf)),
  )
  const [total, n, y, ...found] = interpret([...outputs, ...g], feeds, size)
  // no earlier position sees trailing padding; PyTorch's values at the padding itself depend on its mask
  const seen = (await read(reference, 'attention_mask')).data
  const vocab = size('vocab')
  const visible = (x: Numbers): Numbers => ({ ...x, data: x.data.map((v, i) => (seen[Math.floor(i / vocab)] ? v : 0)) })
  assert.ok(seen.some(v => v === 1))
  close(visible(y!), visible(await read(reference, 'logits')), 'logits')
  assert.equal(n!.data[0], scored)
  close(
    { sizes: [], data: Float64Array.of(total!.data[0]! / scored) },
    { ...(await read(reference, 'loss')), sizes: [] },
    'loss',
  )
  assert.equal(leaves.length, [...reference.tensors.keys()].filter(name => name.startsWith('grad.')).length)
  for (const [i, [path]] of leaves.entries()) {
    close(
      { ...found[i]!, data: found[i]!.data.map(v => v / scored) },
      oriented(path, await read(reference, `grad.${path}.weight`)),
      `the gradient of ${path}`,
    )
  }
})

test('the gradients of masked columns are those of the PaCA reference', async () => {
  const paca = opened(await openSafetensors(file('paca.safetensors'))())
  try {
    const modules = [...paca.tensors.keys()].flatMap(name =>
      name.startsWith('columns.') ? [name.slice('columns.'.length)] : [],
    )
    const byPath = new Map(tensorsOf(model.params))
    const indices = await Promise.all(modules.map(module => read(paca, `columns.${module}`)))
    const placeholders = indices.map(index => placeholder(index.sizes, 'i32'))
    const wanted = modules.map((module, i): Wanted => ({
      leaf: byPath.get(module)!,
      kind: 'columns',
      index: [placeholders[i]!],
      get: (x, [of]) => u.take(x, of!, 0),
    }))
    const { gradients: g } = gradients([traced().sum], [scalar(1)], wanted)
    const found = interpret(g, new Map([...feeds, ...placeholders.map((p, i) => [p, indices[i]!] as const)]), size)
    assert.ok(modules.length > 0)
    for (const [i, module] of modules.entries()) {
      close(
        { ...found[i]!, data: found[i]!.data.map(v => v / scored) },
        turned(await read(paca, `grad.${module}`)),
        `the gradient of the columns of ${module}`,
      )
    }
  } finally {
    await paca.close()
  }
})

test('a larger capacity for scored positions changes nothing; without a scored label the sum and the count are 0', () => {
  const { sum, count } = traced()
  const run = (capacity: number, labels = feeds.get(model.batch.labels)!): readonly number[] =>
    interpret([sum, count], new Map(feeds).set(model.batch.labels, labels), dim =>
      dim === 'scored' ? capacity : size(dim),
    ).map(x => x.data[0]!)
  assert.deepEqual(run(scored + 5), run(scored))
  const labels = feeds.get(model.batch.labels)!
  assert.deepEqual(run(4, { ...labels, data: labels.data.map(() => -100) }), [0, 0])
})

test('what is not scored gives no gradient: the label at the first position, and -100', () => {
  const { sum } = traced()
  const labels = feeds.get(model.batch.labels)!
  const [, seq = 0] = labels.sizes
  const other = { ...labels, data: labels.data.map((label, i) => (i % seq === 0 ? (label + 7) % 320 : label)) }
  const run = (of: Numbers): number => interpret([sum], new Map(feeds).set(model.batch.labels, of), size)[0]!.data[0]!
  assert.equal(run(other), run(labels))
})

for (const prefill of [1, 7, 23]) {
  test(`decoding with a cache, ${prefill} tokens first and then one by one, gives the logits of the whole sequence`, () => {
    const { batch, step } = model.decode!
    const next = step(model.params)
    const vocab = size('vocab')
    const ids = feeds.get(model.batch.input_ids)!
    const [rows = 0, seq = 0] = ids.sizes
    const cacheLeaves = tensorsOf(model.decode!.cache).map(([, leaf]) => leaf)
    const cacheNext = tensorsOf(next.cache).map(([, value]) => value)
    assert.deepEqual(
      cacheNext.map(n => n.shape),
      cacheLeaves.map(n => n.shape),
    )
    const [whole] = interpret([model.forward(model.params, model.batch).logits], feeds, size)
    // numbers beyond the tokens are never read
    let cache: readonly Numbers[] = cacheLeaves.map(leaf => {
      const { sizes, data } = noise(leaf.shape.map(size), 1)
      return { sizes, data: data.map(v => 1e6 * v) }
    })
    for (let from = 0, n = prefill; from < Math.min(seq, prefill + 3); from += n, n = 1) {
      const input = {
        sizes: [rows, n],
        data: Float64Array.from({ length: rows * n }, (_, i) => ids.data[Math.floor(i / n) * seq + from + (i % n)]!),
      }
      const given = new Map([
        ...weights,
        [batch.input_ids, input],
        [batch.position, { sizes: [], data: Float64Array.of(from) }],
        ...cacheLeaves.map((leaf, i) => [leaf, cache[i]!] as const),
      ])
      const [logits, ...caches] = interpret([next.logits, ...cacheNext], given, dim => (dim === 'seq' ? n : size(dim)))
      const due = {
        sizes: [rows, n, vocab],
        data: Float64Array.from(
          { length: rows * n * vocab },
          (_, i) => whole!.data[(Math.floor(i / (n * vocab)) * seq + from) * vocab + (i % (n * vocab))]!,
        ),
      }
      assert.ok(equal(logits!, due, 1e-9), `at position ${from}`)
      cache = caches
    }
  })
}

const tiny: CausalConfig = {
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 1,
  head_dim: 2,
  vocab_size: 11,
  rms_norm_eps: 1e-5,
  rope_theta: 100,
  tie_word_embeddings: false,
}
test('a tied head is the embedding: it has the logits of an untied one with the same values, and the sum of both gradients', () => {
  const untied = llama(tiny)
  const tied = llama({ ...tiny, tie_word_embeddings: true })
  const of = sizeIn({ ...untied.dims, batch: 2, seq: 3, scored: 4 })
  assert.equal(tied.params.lm_head, undefined)
  const run = (m: CausalLM) => {
    const leaves = new Map(tensorsOf(m.params))
    const named = [...leaves].map(([path, leaf], i): [Node, Numbers] => [
      leaf,
      noise(leaf.shape.map(of), path === 'lm_head' ? -1 : i),
    ])
    const embedding = named[0]![1]
    const head = leaves.get('lm_head')
    const ids = { sizes: [2, 3], data: Float64Array.of(1, 2, 3, 4, 5, 1) }
    const all = new Map([
      ...named,
      ...(head ? [[head, turned(embedding)] as const] : []),
      [m.batch.input_ids, ids],
      [m.batch.labels, ids],
    ])
    const outputs = m.forward(m.params, m.batch)
    const { sum } = sumAndCount('the loss', m.loss!(outputs, m.batch, m.params))
    const wanted = ['model.embed_tokens', 'lm_head'].flatMap(path => leaves.get(path) ?? [])
    const [y, ...g] = interpret(
      [outputs.logits, ...gradients([sum], [scalar(1)], wanted.map(whole)).gradients],
      all,
      of,
    )
    return { y: y!, g }
  }
  const a = run(untied)
  const b = run(tied)
  assert.ok(equal(a.y, b.y))
  assert.ok(equal(b.g[0]!, { ...a.g[0]!, data: a.g[0]!.data.map((v, i) => v + turned(a.g[1]!).data[i]!) }))
})

/**
 * `_compute_linear_scaling_rope_parameters` and `_compute_llama3_parameters` of Hugging Face's
 * `modeling_rope_utils.py`, line by line.
 */
const huggingFace = (headDim: number, base: number, scaling: RopeScaling): readonly number[] => {
  const inv_freq = Array.from({ length: headDim / 2 }, (_, i) => 1.0 / base ** ((2 * i) / headDim))
  if (scaling.rope_type === 'default') return inv_freq
  const { factor } = scaling
  if (scaling.rope_type === 'linear') return inv_freq.map(f => f / factor)
  const { low_freq_factor, high_freq_factor, original_max_position_embeddings: old_context_len } = scaling
  const low_freq_wavelen = old_context_len / low_freq_factor
  const high_freq_wavelen = old_context_len / high_freq_factor
  return inv_freq.map(f => {
    const wavelen = (2 * Math.PI) / f
    const llama = wavelen > low_freq_wavelen ? f / factor : f
    const smooth_factor = (old_context_len / wavelen - low_freq_factor) / (high_freq_factor - low_freq_factor)
    const smoothed = ((1 - smooth_factor) * llama) / factor + smooth_factor * llama
    const is_medium_freq = !(wavelen < high_freq_wavelen) && !(wavelen > low_freq_wavelen)
    return is_medium_freq ? smoothed : llama
  })
}
const factors = fc.double({ min: 1, max: 32, noNaN: true })
const scalings: fc.Arbitrary<RopeScaling> = fc.oneof(
  fc.record({ rope_type: fc.constant('linear' as const), factor: factors }),
  fc
    .tuple(
      factors,
      fc.double({ min: 0.5, max: 4, noNaN: true }),
      fc.double({ min: 0.1, max: 8, noNaN: true }),
      fc.integer({ min: 16, max: 8192 }),
    )
    .map(([factor, low, more, context]) => ({
      rope_type: 'llama3' as const,
      factor,
      low_freq_factor: low,
      high_freq_factor: low + more,
      original_max_position_embeddings: context,
    })),
)
const isHuggingFaces = (of: typeof frequencies) =>
  fc.property(
    fc.integer({ min: 1, max: 64 }),
    fc.double({ min: 10, max: 1e6, noNaN: true }),
    scalings,
    (half, theta, scaling) => {
      const found = of(2 * half, theta, scaling)
      const due = huggingFace(2 * half, theta, scaling)
      return found.length === half && found.every((f, i) => Math.abs(f - due[i]!) <= 1e-12 * due[i]!)
    },
  )
test("scaled rotary frequencies are Hugging Face's", () => {
  fc.assert(isHuggingFaces(frequencies), { numRuns: 300 })
})
test('unscaled rotary frequencies are powers of theta', () => {
  frequencies(8, 10000).forEach((f, i) => {
    assert.ok(Math.abs(f - 10 ** -i) < 1e-15)
  })
})
test('scaling that stretches the fast pairs is refuted', () => {
  const mutant: typeof frequencies = (headDim, theta, scaling) =>
    frequencies(headDim, theta, scaling).map(f => f / (scaling && 'factor' in scaling ? scaling.factor : 1))
  assert.equal(fc.check(isHuggingFaces(mutant)).failed, true)
})
test('a model reads its rope scaling', () => {
  const scaled = llama({ ...tiny, rope_scaling: { rope_type: 'linear', factor: 2 } })
  const plain = llama(tiny)
  const of = sizeIn({ ...plain.dims, batch: 1, seq: 3 })
  const run = (m: CausalLM): Numbers =>
    interpret(
      [m.forward(m.params, m.batch).logits],
      new Map([
        ...tensorsOf(m.params).map(([, leaf], i) => [leaf, noise(leaf.shape.map(of), i)] as const),
        [m.batch.input_ids, { sizes: [1, 3], data: Float64Array.of(1, 2, 3) }],
      ]),
      of,
    )[0]!
  assert.ok(!equal(run(scaled), run(plain)))
})
