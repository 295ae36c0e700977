import { nn, type Tensor } from '../../tensor/index.ts'
import type { Network, Stage } from './networks.ts'

/** The layers of an EfficientNet: their parameters, and the running statistics of their norms. */

type Vector = Tensor<readonly [number]>
/** The weight of a convolution. */
export type Filter = Tensor<readonly [number, number, number, number]>
/** The weight of a convolution of each channel by itself. */
export type ChannelFilter = Tensor<readonly [number, number, number]>

/** A convolution without a bias, and its batch norm. */
export interface Normed<W> {
  readonly weight: W
  readonly norm: { readonly weight: Vector; readonly bias: Vector }
  readonly running: nn.Statistics<number>
}
/** The layers of a block, in the order in which they are applied; the last has no activation if it is `project`. */
export interface Block {
  readonly expand?: Normed<Filter>
  readonly depthwise?: Normed<ChannelFilter>
  readonly squeeze?: nn.SqueezeExcite<number, number>
  readonly project?: Normed<Filter>
}
/** All layers of a network; blocks are in the stages that they belong to. */
export interface Layers {
  readonly stem: Normed<Filter>
  readonly stages: readonly (readonly Block[])[]
  readonly head: Normed<Filter>
  readonly classifier: nn.Linear<number, 'classes'>
}
const normed = <W>({ weight }: { readonly weight: W }, channels: number): Normed<W> => ({
  weight,
  norm: nn.BatchNorm(channels),
  running: nn.RunningStatistics(channels),
})
const filter = (input: number, output: number, size: number): Normed<Filter> =>
  normed(nn.Conv2d(input, output, { size, bias: false }), output)
const depthwise = (channels: number, size: number): Normed<ChannelFilter> =>
  normed(nn.DepthwiseConv2d(channels, { size, bias: false }), channels)
const squeeze = (channels: number, few: number): nn.SqueezeExcite<number, number> => nn.SqueezeExcite(channels, few)
const classifier = (features: number): nn.Linear<number, 'classes'> => nn.Linear(features, 'classes')

/** Declares a block of a stage from its inputs. */
const declareBlock = ({ kind, kernel, expansion, channels }: Stage, input: number, { squeezes }: Network): Block => {
  const inner = input * expansion
  switch (kind) {
    case 'conv':
      return { expand: filter(input, channels, kernel) }
    case 'fused':
      return { expand: filter(input, inner, kernel), project: filter(inner, channels, 1) }
    case 'inverted':
      return {
        ...(expansion === 1 ? {} : { expand: filter(input, inner, 1) }),
        depthwise: depthwise(inner, kernel),
        ...(squeezes ? { squeeze: squeeze(inner, Math.max(1, Math.floor(input / 4))) } : {}),
        project: filter(inner, channels, 1),
      }
  }
}

/** Declares the layers of a network for images of some channels. @example declareLayers(efficientNetV2.s, 3) */
export const declareLayers = (network: Network, channels: number): Layers => {
  const { stem, stages, features } = network
  const inputs = [stem, ...stages.map(stage => stage.channels)]
  return {
    stem: filter(channels, stem, 3),
    stages: stages.map((stage, i) =>
      Array.from({ length: stage.blocks }, (_, k) =>
        declareBlock(stage, k === 0 ? inputs[i]! : stage.channels, network),
      ),
    ),
    head: filter(inputs.at(-1)!, features, 1),
    classifier: classifier(features),
  }
}
