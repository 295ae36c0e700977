import { moduleOf } from '../../tune/index.ts'
import type { Derived, LeafKind, StoredLeaf } from '../architecture.ts'
import { imageArchitecture } from '../images/architecture.ts'
import { className, vitConfig, vitJson } from './config.ts'
import { vit } from './model.ts'

/** The names of modules in a layer: those of transformers 5, and those that it saves and that 4 has. */
const saved: Readonly<Record<string, string>> = {
  'attention.q_proj': 'attention.attention.query',
  'attention.k_proj': 'attention.attention.key',
  'attention.v_proj': 'attention.attention.value',
  'attention.o_proj': 'attention.output.dense',
  'mlp.fc1': 'intermediate.dense',
  'mlp.fc2': 'output.dense',
}

const head = 'classifier'
const patches = 'vit.embeddings.patch_embeddings.projection'

/** The kind of a module's weight, or of a parameter that belongs to none. */
const kindOf = (module: string): LeafKind => {
  if (module.endsWith('.bias')) return 'bias'
  if (module === head) return 'head'
  if (module === patches) return 'convolution'
  if (/_token$|_embeddings$/.test(module)) return 'embedding'
  return /layernorm(_before|_after)?$/.test(module) ? 'norm' : 'linear'
}

const layouts = { head: 'linear', linear: 'linear', convolution: 'convolution' } as const satisfies Partial<
  Record<LeafKind, StoredLeaf['layout']>
>

const stored = (path: string): StoredLeaf => {
  const module = moduleOf(path)
  const kind = kindOf(module)
  const ending = kind === 'bias' ? '.bias' : kind === 'embedding' ? '' : '.weight'
  const own = module.replace(/\.bias$/, '')
  const [, number, part = ''] = /^vit\.layers\.(\d+)\.(.*)$/.exec(own) ?? []
  const layout = kind in layouts ? layouts[kind as keyof typeof layouts] : 'same'
  return number === undefined
    ? { kind, name: own + ending, layout }
    : {
        kind,
        name: `vit.encoder.layer.${number}.${saved[part] ?? part}${ending}`,
        alias: own + ending,
        layout,
      }
}

/** The pooler of a model that was saved for another task: classification does not read it. */
const derived = (name: string): Derived | undefined =>
  /^vit\.pooler\.dense\.(weight|bias)$/.test(name) ? { what: 'a pooler' } : undefined

/** Vision transformers of transformers' `ViTForImageClassification`, with the tensor names of its versions 4 and 5. */
export const vitArchitecture = imageArchitecture({
  name: 'vit',
  className,
  roots: ['vit', head],
  config: vitConfig,
  // Dosovitskiy et al. 2021: transformers' defaults, and the classes of ImageNet
  published: { 'vit-b16': { num_labels: 1000 } },
  json: vitJson,
  model: vit,
  stored,
  head,
  targets: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'fc1', 'fc2'],
  modulesToSave: [head],
  derived,
})
