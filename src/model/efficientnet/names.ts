import type { Node } from '../../tensor/index.ts'
import { leaves } from '../../tune/index.ts'
import type { StoredLeaf } from '../architecture.ts'
import type { Block, Layers, Normed } from './layers.ts'

/** A tree of names with the structure of a tree of tensors. */
export type Named<T> = T extends Node ? string : { readonly [K in keyof T]: Named<T[K]> }

/** The names of a convolution and of its norm. */
type Pair = readonly [convolution: string, norm: string]
/** The names of the modules of a block, and of the two layers of its squeeze-and-excitation. */
type BlockNames = { readonly [K in keyof Block]-?: Pair }

/** The names of an implementation's modules. */
export interface Names {
  /** The first words of all names. */
  readonly roots: readonly string[]
  /** The convolutions of blocks, which a method adapts unless others are named. */
  readonly targets: readonly string[]
  /**
   * The modules that are norms, that convolve each channel by itself, and that are the layers of
   * squeeze-and-excitation.
   */
  readonly are: { readonly norm: RegExp; readonly depthwise: RegExp; readonly squeeze: RegExp }
  readonly stem: Pair
  readonly head: (stages: number) => Pair
  readonly classifier: string
  /** Those of a block: of the k-th of its stage, which is the n-th of all. What the block does not have is not read. */
  readonly block: (block: Block, stage: number, k: number, n: number) => BlockNames
}

/** The place of a layer of a block among some that are there. */
const placeOf = (block: Block, layer: keyof Block, among: readonly (keyof Block)[]): number =>
  among.filter(name => block[name] !== undefined).indexOf(layer)

/** torchvision's: layers have numbers. */
export const torchvisionNames: Names = {
  roots: ['features', 'classifier.1'],
  targets: ['block.0.0', 'block.1.0', 'block.2.0', 'block.3.0'],
  are: {
    norm: /^features\.(.*\.)?1$/,
    // blocks are inverted from the fourth stage on, and expand before they convolve channels
    depthwise: /^features\.[4-9]\.\d+\.block\.1\.0$/,
    squeeze: /\.fc[12]$/,
  },
  stem: ['features.0.0', 'features.0.1'],
  head: stages => [`features.${stages + 1}.0`, `features.${stages + 1}.1`],
  classifier: 'classifier.1',
  block: (block, stage, k) => {
    const module = (layer: keyof Block): string =>
      `features.${stage + 1}.${k}.block.${placeOf(block, layer, ['expand', 'depthwise', 'squeeze', 'project'])}`
    const pair = (layer: keyof Block): Pair => [`${module(layer)}.0`, `${module(layer)}.1`]
    const squeeze = module('squeeze')
    return {
      expand: pair('expand'),
      depthwise: pair('depthwise'),
      squeeze: [`${squeeze}.fc1`, `${squeeze}.fc2`],
      project: pair('project'),
    }
  },
}

/** timm's: convolutions are called by what they do, and norms have numbers. */
export const timmNames: Names = {
  roots: ['conv_stem', 'bn1', 'blocks', 'conv_head', 'bn2', 'classifier'],
  targets: ['conv', 'conv_exp', 'conv_pw', 'conv_dw', 'conv_pwl'],
  are: { norm: /(^|\.)bn\d$/, depthwise: /(^|\.)conv_dw$/, squeeze: /\.se\.conv_(reduce|expand)$/ },
  stem: ['conv_stem', 'bn1'],
  head: () => ['conv_head', 'bn2'],
  classifier: 'classifier',
  block: (block, stage, k) => {
    const at = `blocks.${stage}.${k}`
    const pair = (layer: keyof Block, name: string): Pair => [
      `${at}.${name}`,
      `${at}.bn${placeOf(block, layer, ['expand', 'depthwise', 'project']) + 1}`,
    ]
    return {
      expand: pair('expand', block.depthwise ? 'conv_pw' : block.project ? 'conv_exp' : 'conv'),
      depthwise: pair('depthwise', 'conv_dw'),
      squeeze: [`${at}.se.conv_reduce`, `${at}.se.conv_expand`],
      project: pair('project', block.expand ? 'conv_pwl' : 'conv_pw'),
    }
  },
}

/** Those of efficientnet-pytorch and its relatives: all blocks are one list. */
export const efficientNetPytorchNames: Names = {
  roots: ['_conv_stem', '_bn0', '_blocks', '_conv_head', '_bn1', '_fc'],
  targets: ['_expand_conv', '_depthwise_conv', '_project_conv'],
  are: { norm: /(^|\.)_bn\d$/, depthwise: /(^|\.)_depthwise_conv$/, squeeze: /\._se_(reduce|expand)$/ },
  stem: ['_conv_stem', '_bn0'],
  head: () => ['_conv_head', '_bn1'],
  classifier: '_fc',
  block: (_, __, ___, n) => {
    const at = `_blocks.${n}`
    return {
      expand: [`${at}._expand_conv`, `${at}._bn0`],
      depthwise: [`${at}._depthwise_conv`, `${at}._bn1`],
      squeeze: [`${at}._se_reduce`, `${at}._se_expand`],
      project: [`${at}._project_conv`, `${at}._bn2`],
    }
  },
}

const normed = ([convolution, norm]: Pair): Named<Normed<Node>> => ({
  weight: `${convolution}.weight`,
  norm: { weight: `${norm}.weight`, bias: `${norm}.bias` },
  running: { mean: `${norm}.running_mean`, variance: `${norm}.running_var` },
})
const linear = (name: string) => ({ weight: `${name}.weight`, bias: `${name}.bias` })

/**
 * The names of all tensors of a network, at their places.
 * @example namesOf(declareLayers(efficientNetLite0, 3), timmNames).stem.weight // 'conv_stem.weight'
 */
export const namesOf = ({ stages }: Layers, { stem, head, classifier, block }: Names): Named<Layers> => ({
  stem: normed(stem),
  stages: stages.map((blocks, stage) =>
    blocks.map((layers, k) => {
      const before = stages.slice(0, stage).reduce((n, { length }) => n + length, 0)
      const { expand, depthwise, squeeze, project } = block(layers, stage, k, before + k)
      return {
        ...(layers.expand && { expand: normed(expand) }),
        ...(layers.depthwise && { depthwise: normed(depthwise) }),
        ...(layers.squeeze && { squeeze: { reduce: linear(squeeze[0]), expand: linear(squeeze[1]) } }),
        ...(layers.project && { project: normed(project) }),
      }
    }),
  ),
  head: normed(head(stages.length)),
  classifier: linear(classifier),
})

/** Tests for the leaves of {@link namesOf}. */
export const isName = (leaf: unknown): leaf is string => typeof leaf === 'string'

/**
 * The convolutions of blocks that a network has, of those that may be there.
 * @example targetsOf(declareLayers(efficientNetLite0, 3), timmNames) // ['conv_pw', 'conv_dw', 'conv_pwl']
 */
export const targetsOf = (layers: Layers, names: Names): readonly string[] => {
  const all = leaves(namesOf(layers, names), isName)
  return names.targets.filter(target => all.some(([, name]) => name.endsWith(`.${target}.weight`)))
}

/**
 * The place of a tensor in a checkpoint: its path is its name there; a module's path is that of its weight.
 * @example storedIn(timmNames)('blocks.3.0.conv_dw').layout // 'depthwise'
 */
export const storedIn =
  ({ are: { norm, depthwise, squeeze }, classifier }: Names) =>
  (path: string): StoredLeaf => {
    const [, module = path, tensor = 'weight'] = /^(.*)\.(weight|bias|running_mean|running_var)$/.exec(path) ?? []
    const name = `${module}.${tensor}`
    if (tensor !== 'weight') return { kind: tensor === 'bias' ? 'bias' : 'statistic', name, layout: 'same' }
    if (norm.test(module)) return { kind: 'norm', name, layout: 'same' }
    if (module === classifier) return { kind: 'head', name, layout: 'linear' }
    if (squeeze.test(module)) return { kind: 'linear', name, layout: 'pointwise' }
    return { kind: 'convolution', name, layout: depthwise.test(module) ? 'depthwise' : 'convolution' }
  }
