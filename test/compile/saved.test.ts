import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  explain,
  programsOf,
  sizing,
  type CompilerOptions,
  type Explanation,
  type Traits,
} from '../../src/compile/index.ts'
import { callsOf } from '../../src/compile/blocks.ts'
import { adapt, nf4, quantized, sgd, trainStep, type Method, type Opaque } from '../../src/index.ts'
import { inputBlocks, methods, recordOf, tensorsOf, type MethodName, type MethodArguments } from '../../src/compiler.ts'
import { llama, type CausalConfig } from '../../src/model.ts'
import {
  bytesPerElement,
  count,
  hashName,
  interpret,
  is,
  packedLengths,
  primitives,
  topological,
  type Node,
  type Numbers,
} from '../../src/tensor/index.ts'
import { attentionBiases, causalLM, plainLayer } from '../../src/model/causal/lm.ts'
import { randomFrom } from '../support/op-subjects.ts'
import { equal } from '../support/calculus.ts'

/** The values that a method keeps for a token from forward to backward: exactly those that its gradients need. */

const config: CausalConfig = {
  hidden_size: 64,
  intermediate_size: 176,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 24,
  vocab_size: 320,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: false,
}
const targets: readonly string[] = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']
const r = 4
const { head_dim: headDim } = config
// widths: of the residual stream, the heads together, keys or values, the feed-forward layer
const d = 64
const h = 96
const k = 48
const f = 176
const seq = 24
const tokens = 2 * seq
const adapterOf = (name: MethodName, options: Partial<MethodArguments> = {}): Method<Opaque> => {
  const { make }: { readonly make: (of: MethodArguments) => Method<Opaque> } = methods[name]
  const own = {
    every: targets,
    linear: targets,
    products: targets,
    inputs: targets,
    norm: ['norm', 'input_layernorm', 'post_attention_layernorm'],
    bias: ['bias'],
  }[recordOf(name).reach]
  return make({ targets: own, rank: r, alpha: 6, seed: 0, blocks: inputBlocks(llama(config)), ...options })
}
/** A LLaMA with biases in its attention. */
const biased = (of: CausalConfig) =>
  causalLM(of, () => {
    const { self_attn, ...others } = plainLayer()
    return { ...others, self_attn: { ...self_attn, ...attentionBiases() } }
  })
/** A model with what a method tunes: a LLaMA has no biases. */
const modelFor = ({ name }: Method<Opaque>, of: CausalConfig) => (name === 'biases' ? biased(of) : llama(of))
const stepOf = (adapter: Method<Opaque>, of = config) =>
  trainStep(adapt(modelFor(adapter, of), adapter), sgd({ lr: 0.1 }))
type TestStep = ReturnType<typeof stepOf>
/** Dims that methods add have sizes once a model is loaded; the values kept for a token do not depend on them. */
const dimsOf = ({ tuned: { model, params, selections } }: TestStep): Readonly<Record<string, number>> => {
  const shapes = [...tensorsOf(params).map(([, leaf]) => leaf.shape), ...selections.map(({ index }) => index.shape)]
  const added = shapes.flat().filter(dim => typeof dim === 'string' && /^(vera|shira|nf4)_/.test(dim))
  // the vectors of a packed matrix are as long as its elements require
  const sizeOf = sizing(model.dims ?? {})
  const packed = tensorsOf(model.params).flatMap(([path, leaf]) => {
    const {
      codes,
      blocks: absmax,
      absmaxCodes: absmax_codes,
      nestedAbsmax: nested_absmax,
    } = packedLengths(count(leaf.shape.map(sizeOf)))
    const lengths = new Map(
      Object.entries({ codes, absmax, absmax_codes, nested_absmax }).map(([name, length]) => [
        `${path}.${name}`,
        length,
      ]),
    )
    return tensorsOf(params).flatMap(
      ([
        at,
        {
          shape: [dim],
        },
      ]) => {
        const n = lengths.get(at.replace('.weight.', '.'))
        return n !== undefined && typeof dim === 'string' ? [[dim, n] as const] : []
      },
    )
  })
  return { ...Object.fromEntries(added.map(dim => [dim, f])), ...Object.fromEntries(packed), batch: 2, seq }
}
const sizeOf = (step: TestStep) => sizing({ ...step.tuned.model.dims, ...dimsOf(step), scored: tokens })
const traits: Traits = { layOut: true, runs: () => true, inPlace: new Map() }
const explained = (adapter: Method<Opaque>, options: CompilerOptions & Partial<Traits> = {}): Explanation => {
  const step = stepOf(adapter)
  return explain(step, { dims: dimsOf(step), ...options })
}

/** Elements for each token that a layer keeps which is neither the first nor the last. */
const keptBy = (adapter: Method<Opaque>, options: CompilerOptions & Partial<Traits> = {}): number => {
  const inner = explained(adapter, options).layers.find(({ layers: n }) => n > 1)!
  assert.equal(inner.layers, 3)
  return inner.bytes / 4 / tokens
}

/**
 * The values that the model needs, whatever is trained. For the norms, their inputs: that of the first is the layer's
 * own, which is the result of the one before, that of the second is x + attention. For attention q, k, v, its
 * probabilities; its result is not needed: the output projection is frozen. Of the feed-forward layer gate and up, and,
 * if nothing is recomputed, silu(gate).
 */
const base = { none: d + d + h + 2 * k + 4 * seq + 3 * f, cheap: d + d + h + 2 * k + 4 * seq + 2 * f }
/** The inputs of the seven modules: q, k and v read one, gate and up another; and all of them one by one. */
const inputs = d + h + d + f
const eachInput = 3 * d + h + 2 * d + f
const outputs = h + 2 * k + d + 2 * f + d

/** In addition, in elements for each token: without recomputation, and with cheap values recomputed. */
const kept: { readonly [N in MethodName]: readonly [none: number, cheap: number] } = {
  // dW = xᵀ dy. Computed again are the norms' results and silu(gate) · up, but not the output projection's input
  full: [inputs, h],
  // dP = x[:, columns]ᵀ dy
  paca: [7 * r, 7 * r],
  // dA = xᵀ (dy Bᵀ) and dB = (x A)ᵀ dy
  lora: [inputs + 7 * r, h + 7 * r],
  // A is frozen: only dB
  lorafa: [7 * r, 7 * r],
  // one more for the mixer: x A and x A M
  moslora: [inputs + 14 * r, h + 14 * r],
  // dm = Σ dy u / ‖V‖ with u = x W + s x A B, the sum alone: one output per module, where PEFT keeps both terms. The
  // model's own part of y = u m / ‖V‖ follows cheaply from u, except for the result of down, which the model does not
  // need
  dora: [inputs + 7 * r + outputs, h + 7 * r + d],
  // dd needs x A, once for the modules that share the input, as they share A; db the result of B, which no sum can
  // replace
  vera: [4 * r + outputs, 4 * r + outputs],
  // entries are taken from the whole gradient
  shira: [inputs, h],
  // x E, the sums of inputs that share a row
  miss: [7 * r, 7 * r],
  // dl = Σ u dy, u the outputs before they are scaled: kept in the place of what they become, which follows cheaply.
  // Of down the inputs, which follow from gate and up
  ia3: [h + 2 * k + d + 3 * f, 0],
  // as PaCA, and a whole head of the output projection
  s2ft: [6 * r + headDim, 6 * r + headDim],
  // dw = Σ dy x / rms(x), of which rms(x) is kept, a number for each norm
  norms: [2 * d, 2],
  // db = Σ dy
  biases: [0, 0],
}

for (const [name, [none, cheap]] of Object.entries(kept) as readonly (readonly [
  MethodName,
  readonly [number, number],
])[]) {
  test(`${name}: a layer keeps of a token what its gradients need, and no more`, () => {
    assert.equal(keptBy(adapterOf(name), { recompute: 'none' }) - base.none, none)
    assert.equal(keptBy(adapterOf(name)) - base.cheap, cheap)
  })
}

for (const name of ['lora', 'lorafa', 'dora'] as const) {
  test(`${name} with dropout: each module keeps a dropped input of its own, and no mask; computed again, no more than without dropout`, () => {
    const dropped = adapterOf(name, { dropout: 0.1 })
    const [none, cheap] = kept[name]
    // a frozen A needs no input, dropped or not
    assert.equal(
      keptBy(dropped, { recompute: 'none' }) - base.none,
      name === 'lorafa' ? none : none - inputs + eachInput,
    )
    assert.equal(keptBy(dropped) - base.cheap, cheap)
  })
}

test('on a packed base as much is kept as on the plain one: no dequantized weight lives from forward to backward', () => {
  for (const name of ['paca', 'lora', 'dora'] as const) {
    const packed = quantized(nf4({ double: true }))(adapterOf(name))
    for (const unprepared of [false, true]) {
      // the norms of DoRA are no cheap function of packed weights: a number for each output is kept, and none for a
      // token
      const norms = name === 'dora' ? outputs / tokens : 0
      assert.equal(keptBy(packed, { unprepared }), base.cheap + kept[name][1] + norms, `${name} ${unprepared}`)
    }
  }
})

test('of QPaCA, too, only the taken columns of x meet the gradient: no product is as large as a weight', () => {
  const step = stepOf(quantized(nf4({ double: true }))(adapterOf('paca')))
  const size = sizeOf(step)
  const products = (without: readonly string[]): number => {
    const { outputs } = programsOf(step, { ...traits, without }).gradients(size)
    const isLarge = (n: Node): boolean =>
      is(n, primitives.contract) && n.shape.length === 2 && n.shape.every(dim => size(dim) >= k && dim !== 'batch*seq')
    return [...callsOf(outputs).keys()].flatMap(block => topological(block.outputs)).filter(isLarge).length
  }
  assert.equal(products([]), 0)
  assert.ok(products(['take-contract']) > 0)
})

test('IA³ scales inputs and outputs, never a weight: no scaled copy is made, and no gradient is as large as a weight', () => {
  const step = stepOf(adapterOf('ia3'))
  const size = sizeOf(step)
  const large = (without: readonly string[]): readonly string[] => {
    const { outputs } = programsOf(step, { ...traits, without }).gradients(size)
    const isLarge = ({ shape }: Node): boolean =>
      shape.length === 2 && shape.every(dim => size(dim) >= k && dim !== 'batch*seq')
    return [...callsOf(outputs).keys()]
      .flatMap(block => topological(block.outputs))
      .filter(n => isLarge(n) && !is(n, primitives.parameter) && !is(n, primitives.transpose))
      .map(({ op }) => op.name)
  }
  assert.deepEqual(large([]), [])
  assert.ok(large(['scale']).includes('mul') && large(['scale']).includes('contract'))
})

test('what is kept does not depend on whether weights are prepared, but for the norms of DoRA', () => {
  for (const name of Object.keys(kept) as readonly (keyof typeof kept)[]) {
    const norms = name === 'dora' ? outputs / tokens : 0
    assert.equal(keptBy(adapterOf(name), { unprepared: true }), base.cheap + kept[name][1] + norms, name)
  }
})

/** Elements of weights that are held in addition to the model's own. */
const preparedBy = (adapter: Method<Opaque>, without: readonly string[] = []): number => {
  const step = stepOf(adapter)
  const size = sizeOf(step)
  const programs = programsOf(step, { ...traits, without })
  programs.gradients(size)
  return programs
    .prepared()
    .reduce(
      (sum, { placeholder }) => sum + (count(placeholder.shape.map(size)) * bytesPerElement[placeholder.dtype]) / 4,
      0,
    )
}
const matrices = d * h + 2 * d * k + h * d + 3 * d * f

test('without the rule that distributes, inputs are kept in the place of what is r wide, and each weight is held a second time', () => {
  const off: CompilerOptions = { recompute: 'none', without: ['distribute'] }
  for (const [name, more] of [
    ['lorafa', inputs - 7 * r],
    ['miss', inputs - 7 * r],
    ['vera', inputs - 4 * r - outputs],
    ['lora', -7 * r],
  ] as const) {
    const adapter = adapterOf(name)
    assert.equal(
      explained(adapter, off).saved - explained(adapter, { recompute: 'none' }).saved,
      4 * 4 * tokens * more,
      name,
    )
    // VeRA's own product is held as well, for the gradient of b
    assert.equal(
      preparedBy(adapter, ['distribute']) - preparedBy(adapter),
      4 * matrices * (name === 'vera' ? 2 : 1),
      name,
    )
  }
})
test('without the rule that associates, or without the one that scales, so are those of methods that need them', () => {
  for (const [rule, name] of [
    ['associate', 'lorafa'],
    ['associate', 'miss'],
    ['scale', 'lorafa'],
  ] as const) {
    const adapter = adapterOf(name)
    const off = explained(adapter, { recompute: 'none', without: [rule] })
    const on = explained(adapter, { recompute: 'none' })
    assert.equal(off.saved - on.saved, 4 * 4 * tokens * (inputs - 7 * r), `${rule} ${name}`)
  }
})

test('an update of DoRA makes its norms anew from r-wide products: the squares of weights are summed once, before the run', () => {
  const step = stepOf(adapterOf('dora'))
  const size = sizeOf(step)
  const wide = (without: readonly string[]): readonly string[] => {
    const programs = programsOf(step, { ...traits, without })
    programs.gradients(size)
    const run = programs.update(size).plan.instructions.flatMap(i => (i.kind === 'run' ? [i.node] : []))
    return run.flatMap(({ op, shape }) => (shape.length === 2 && !shape.includes(r) ? [op.name] : []))
  }
  assert.deepEqual(wide([]), [])
  assert.equal(wide(['low-rank-norm']).filter(name => name === 'add').length, 4 * 7)
})

test('without the rule that drops inputs a program with dropout is refused, in one sentence', () => {
  assert.throws(
    () => explained(adapterOf('lora', { dropout: 0.1 }), { without: ['drop-input'] }),
    /^Error: inputDropout: [^.]*$/,
  )
})

const tiny: CausalConfig = {
  ...config,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 3,
  head_dim: 4,
  vocab_size: 16,
}
const tinySizes = {
  batch: 2,
  seq: 5,
  scored: 7,
  capacity: 9,
  vera_in: 16,
  vera_out: 16,
  ...Object.fromEntries(targets.map(name => [`shira_2_${name}`, 6])),
}
const rules = ['distribute', 'associate', 'scale', 'low-rank-norm', 'take-contract']

/**
 * The results of a method's programs with some rules switched off: everything that training reads, the loss without it,
 * and generation.
 */
const resultsOf = (step: TestStep, without: readonly string[]): readonly Numbers[] => {
  const size = sizing({ ...step.tuned.model.dims, ...tinySizes })
  const programs = programsOf(step, { ...traits, without })
  const roots = [programs.gradients, programs.evaluate, ...(programs.decode ? [programs.decode] : [])].flatMap(
    program => program(size).outputs,
  )
  const expressions = new Map(programs.prepared().map(({ placeholder, expression }) => [placeholder, expression]))
  const feeds = new Map<Node, Numbers>()
  const feed = (leaf: Node): void => {
    const expression = expressions.get(leaf)
    const sizes = leaf.shape.map(size)
    const name = programs.names.get(leaf) ?? ''
    if (feeds.has(leaf)) return
    if (expression) {
      topological([expression])
        .filter(n => is(n, primitives.parameter))
        .forEach(feed)
      feeds.set(leaf, interpret([expression], feeds, size)[0]!)
      return
    }
    const random = randomFrom(hashName(name + leaf.shape.join()))
    // indices name nothing twice; groups and tokens exist
    const integer = (i: number): number =>
      name.startsWith('columns') ? 3 * i + 1 : name.endsWith('groups') ? i % 2 : Math.floor(random() * 4)
    const value = (i: number): number => (leaf.dtype === 'f32' ? 0.6 * random() - 0.25 : integer(i))
    feeds.set(leaf, { sizes, data: Float64Array.from({ length: count(sizes) }, (_, i) => value(i)) })
  }
  topological(roots)
    .filter(n => is(n, primitives.parameter))
    .forEach(feed)
  return interpret(roots, feeds, size)
}
for (const [label, name, options] of [
  ...(Object.keys(kept) as readonly MethodName[]).map(name => [name, name, {}] as const),
  ['lora with dropout', 'lora', { dropout: 0.3 }],
  ['dora with dropout', 'dora', { dropout: 0.3 }],
] as const) {
  test(`${label}: no rule changes what its programs compute`, () => {
    const step = stepOf(adapterOf(name, { rank: 2, blocks: inputBlocks(llama(tiny)), ...options }), tiny)
    const all = resultsOf(step, [])
    // only a product that is taken apart can drop out its input
    for (const without of label === name
      ? [...rules.map(rule => [rule]), rules]
      : [['low-rank-norm'], ['take-contract']]) {
      const some = resultsOf(step, without)
      assert.equal(some.length, all.length)
      all.forEach((value, i) => {
        assert.ok(equal(value, some[i]!), `${label} without ${without.join()}: output ${i}`)
      })
    }
    assert.ok(all.every(({ data }) => data.every(Number.isFinite)))
  })
}
