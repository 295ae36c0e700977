import { add, dropout, nn, scan, silu, type Dim, type Tensor } from '../../tensor/index.ts'
import type { Block, ChannelFilter, Filter, Layers, Normed } from './layers.ts'
import type { Defaults, Network } from './networks.ts'

/** The choices in which implementations of one network differ. */
export interface Style {
  /** `same` is TensorFlow's, where steps of 2 pad an even image at its end alone; `symmetric` is PyTorch's. */
  readonly padding: 'same' | 'symmetric'
  readonly eps: number
  readonly momentum: number
  /** True if training leaves the running statistics as they are. */
  readonly frozen?: boolean
}
/** The rates at which training drops. */
export type Rates = Pick<Defaults, 'drop_rate' | 'drop_path_rate'>

/** Images between layers, of which a config fixes the sizes. */
export type Image = Tensor<readonly ['batch', number, number, number]>
/** The statistics of a norm after a training step, at the place that they have in the layers. */
interface Moved {
  readonly running: nn.Statistics<number>
}
/** The running statistics after a training step, at the places that they have in {@link Layers}. */
export interface Running {
  readonly stem: Moved
  readonly stages: readonly (readonly Partial<Record<keyof Block, Moved>>[])[]
  readonly head: Moved
}

interface Geometry {
  readonly stride: 1 | 2
  readonly padding: 'same' | number
}
// the sizes of images and kernels are numbers of a config, of which types know nothing: the rules check them as values
const convolve = nn.conv2d as unknown as (x: Image, p: Pick<Normed<Filter>, 'weight'>, of: Geometry) => Image
const convolveEach = nn.depthwiseConv2d as unknown as (
  x: Image,
  p: Pick<Normed<ChannelFilter>, 'weight'>,
  of: Geometry,
) => Image

const activations = { silu, relu6: nn.relu6 } as const

/** The functions of one layer in a style. */
const layersIn = ({ padding, eps, momentum, frozen = false }: Style, act: typeof silu) => {
  const geometry = ({ shape: [size] }: Filter | ChannelFilter, stride: 1 | 2): Geometry => ({
    stride,
    padding: padding === 'same' ? padding : (Number(size) - 1) / 2,
  })
  const norm = (x: Image, p: Normed<unknown>): readonly [Image, Moved] => {
    const { outputs, buffers } = nn.batchNorm(x, p.norm, p.running, { eps, momentum, frozen })
    return [outputs, { running: buffers }]
  }
  const activated = ([x, moved]: readonly [Image, Moved]): readonly [Image, Moved] => [act(x), moved]
  return {
    convolution: (x: Image, p: Normed<Filter>, stride: 1 | 2 = 1) =>
      activated(norm(convolve(x, p, geometry(p.weight, stride)), p)),
    depthwise: (x: Image, p: Normed<ChannelFilter>, stride: 1 | 2) =>
      activated(norm(convolveEach(x, p, geometry(p.weight, stride)), p)),
    projection: (x: Image, p: Normed<Filter>) => norm(convolve(x, p, geometry(p.weight, 1)), p),
  }
}

const logitsOf = <H extends Dim, W extends Dim, C extends Dim>(
  x: Tensor<readonly ['batch', H, W, C]>,
  p: nn.Linear<C, 'classes'>,
  rate: number,
) => {
  const pooled = nn.globalAveragePool(x)
  return nn.linear(rate === 0 ? pooled : dropout(pooled, rate), p)
}

/**
 * The logits of a network, and its running statistics after a training step. Images are `[batch, height, width,
 * channels]`.
 * @example classify(efficientNetV2.s, style, rates, layers, images)
 */
export const classify = (
  { stages, activation }: Network,
  style: Style,
  { drop_rate, drop_path_rate }: Rates,
  layers: Layers,
  images: Image,
): { readonly logits: Tensor<readonly ['batch', 'classes']>; readonly running: Running } => {
  const act = activations[activation]
  const { convolution, depthwise, projection } = layersIn(style, act)
  const block = (x: Image, p: Block, stride: 1 | 2, rate: number): readonly [Image, Running['stages'][0][0]] => {
    // the steps are those of the layer that sees neighbours
    const [expanded, expand] = p.expand ? convolution(x, p.expand, p.depthwise ? 1 : stride) : [x]
    const [mixed, each] = p.depthwise ? depthwise(expanded, p.depthwise, stride) : [expanded]
    const gated = p.squeeze ? nn.squeezeExcite(mixed, p.squeeze, { activation: act }) : mixed
    const [y, project] = p.project ? projection(gated, p.project) : [gated]
    const running = { ...(expand && { expand }), ...(each && { depthwise: each }), ...(project && { project }) }
    const isResidual = stride === 1 && x.shape[3] === y.shape[3]
    return [isResidual ? add(x, rate === 0 ? y : nn.stochasticDepth(y, rate)) : y, running]
  }

  // the rates grow over all blocks, whatever stage they are in
  const blocks = layers.stages.map(stage => stage.length)
  const count = blocks.reduce((a, b) => a + b, 0)
  const rateOf = (stage: number, k: number): number =>
    (drop_path_rate * (blocks.slice(0, stage).reduce((a, b) => a + b, 0) + k)) / count

  const [first, stem] = convolution(images, layers.stem, 2)
  const [last, moved] = layers.stages.reduce<readonly [Image, Running['stages']]>(
    ([x, before], [changing, ...rest], i) => {
      const [y, running] = block(x, changing!, stages[i]!.stride, rateOf(i, 0))
      const equal = rest.map((p, k) => ({ p, rate: rateOf(i, k + 1) }))
      const [z, others] = scan(equal, y, (h, { p, rate }) => block(h, p, 1, rate))
      return [z, [...before, [running, ...others]]]
    },
    [first, []],
  )
  const [features, head] = convolution(last, layers.head)
  return {
    logits: logitsOf(features, layers.classifier, drop_rate),
    running: { stem, stages: moved, head },
  }
}
