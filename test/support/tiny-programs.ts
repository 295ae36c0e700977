import { programsOf, sizing, type Program, type Programs, type Traits } from '../../src/compile/index.ts'
import { adamw, adapt, full, paca, trainStep } from '../../src/index.ts'
import { llama, type CausalConfig } from '../../src/model.ts'
import { count, interpret, is, primitives, topological, type Node, type Numbers } from '../../src/tensor/index.ts'
import { randomFrom } from './op-subjects.ts'

/** The programs of a tiny LLaMA, as compiler passes get them, with data for their leaves. */

const config: CausalConfig = {
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 4,
  vocab_size: 16,
  rms_norm_eps: 1e-6,
  rope_theta: 10000,
  tie_word_embeddings: true,
}
/** Sizes of the dims of its programs: seven scored positions, which nothing but 7 divides. */
export const size = sizing({
  hidden: 8,
  ffn: 12,
  vocab: 16,
  kvHeads: 2,
  group: 2,
  headDim: 4,
  half: 2,
  batch: 2,
  seq: 5,
  scored: 7,
  capacity: 9,
})
const fixed = new Set(['hidden', 'ffn', 'vocab', 'kvHeads', 'group', 'headDim', 'half'])
/** True for the dims that the model fixes. */
export const isStaticDim = (dim: number | string): boolean =>
  String(dim)
    .split('*')
    .every(factor => fixed.has(factor) || Number(factor) > 0)

const traits: Traits = { layOut: true, runs: () => true, inPlace: new Map() }
interface Options {
  readonly runs?: Traits['runs']
  readonly tied?: boolean
}
const modelOf = ({ tied = true }: Options) => llama({ ...config, tie_word_embeddings: tied })

/** The programs of each method, for a target with kernels for some ops. */
export const programsFor = {
  paca: (options: Options = {}) => {
    const adapter = paca({ targets: ['q_proj', 'v_proj', 'down_proj'], rank: 2, seed: 0 })
    return programsOf(trainStep(adapt(modelOf(options), adapter), adamw({ lr: 0.1 })), { ...traits, ...options })
  },
  full: (options: Options = {}) =>
    programsOf(trainStep(adapt(modelOf(options), full({ targets: ['all'] })), adamw({ lr: 0.1 })), {
      ...traits,
      ...options,
    }),
} satisfies Readonly<Record<string, (options?: Options) => Programs>>
export type Method = keyof typeof programsFor

/** Data for a program's leaves: positive, with indices that exist. */
export const feedsFor = (
  program: Pick<Program, 'outputs'>,
  programs: Programs,
  seed: number,
): ReadonlyMap<Node, Numbers> => {
  const random = randomFrom(seed)
  const feeds = new Map<Node, Numbers>()
  const placeholders = new Map(programs.prepared().map(({ placeholder, expression }) => [placeholder, expression]))
  const feed = (leaf: Node): void => {
    if (feeds.has(leaf)) return
    const sizes = leaf.shape.map(size)
    const expression = placeholders.get(leaf)
    if (expression) {
      topological([expression])
        .filter(n => is(n, primitives.parameter))
        .forEach(feed)
      feeds.set(leaf, interpret([expression], feeds, size)[0]!)
    } else {
      const name = programs.names.get(leaf) ?? ''
      const value = (i: number): number => {
        if (leaf.dtype === 'f32') return 0.05 + random()
        // the columns of a selection, each once; tokens, some of them unscored
        if (name.startsWith('columns')) return 3 * i + 1
        return name === 'labels' && random() < 0.3
          ? -100
          : Math.floor(random() * (leaf.shape.length === 0 ? 3 : size('vocab')))
      }
      feeds.set(leaf, { sizes, data: Float64Array.from({ length: count(sizes) }, (_, i) => value(i)) })
    }
  }
  topological(program.outputs)
    .filter(n => is(n, primitives.parameter))
    .forEach(feed)
  return feeds
}

/** Equal to the last bit. */
export const identical = (a: readonly Numbers[], b: readonly Numbers[]): boolean =>
  a.length === b.length &&
  a.every((x, i) => x.sizes.join() === b[i]!.sizes.join() && x.data.every((v, k) => Object.is(v, b[i]!.data[k])))
