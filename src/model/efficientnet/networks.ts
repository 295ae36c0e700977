/** The blocks of an EfficientNet, and the networks that are made of them. */

/**
 * A stage: equal blocks, of which the first takes the steps and changes the channels.
 *
 * - `conv`: a convolution;
 * - `fused`: a convolution to `expansion` times as many channels, and one of single places back (Gupta and Tan 2019);
 * - `inverted`: a convolution of single places to `expansion` times as many channels, one of each channel by itself,
 *   and one of single places back (MBConv, Sandler et al. 2018).
 */
export interface Stage {
  readonly kind: 'conv' | 'fused' | 'inverted'
  /** The height and width of a kernel. */
  readonly kernel: number
  readonly stride: 1 | 2
  readonly expansion: number
  readonly channels: number
  readonly blocks: number
}

/** A network. */
export interface Network {
  /** The channels after the first convolution, which has a kernel of 3 and steps of 2. */
  readonly stem: number
  readonly stages: readonly Stage[]
  /** The channels before the classifier. */
  readonly features: number
  readonly activation: 'silu' | 'relu6'
  /** True if inverted blocks have squeeze-and-excitation, to a quarter of a block's inputs. */
  readonly squeezes: boolean
  readonly defaults: Defaults
}
/** The facts that a config may leave out: the size of images in evaluation, and the rates at which training drops. */
export interface Defaults {
  /** The height and width of an image. */
  readonly image_size: number
  /** The rate of dropout before the classifier. */
  readonly drop_rate: number
  /** The rate of stochastic depth that a block after the last would have; the first has 0, and it grows evenly. */
  readonly drop_path_rate: number
}

type Row = readonly [
  kind: Stage['kind'],
  kernel: number,
  stride: 1 | 2,
  expansion: number,
  channels: number,
  blocks: number,
]
const stages = (rows: readonly Row[]): readonly Stage[] =>
  rows.map(([kind, kernel, stride, expansion, channels, blocks]) => ({
    kind,
    kernel,
    stride,
    expansion,
    channels,
    blocks,
  }))

const version2 = { features: 1280, activation: 'silu', squeezes: true } as const

/** EfficientNetV2 (Tan and Le 2021, Table 4 and appendix) in three sizes. */
export const efficientNetV2: Readonly<Record<'s' | 'm' | 'l', Network>> = {
  s: {
    ...version2,
    defaults: { image_size: 384, drop_rate: 0.2, drop_path_rate: 0.2 },
    stem: 24,
    stages: stages([
      ['conv', 3, 1, 1, 24, 2],
      ['fused', 3, 2, 4, 48, 4],
      ['fused', 3, 2, 4, 64, 4],
      ['inverted', 3, 2, 4, 128, 6],
      ['inverted', 3, 1, 6, 160, 9],
      ['inverted', 3, 2, 6, 256, 15],
    ]),
  },
  m: {
    ...version2,
    defaults: { image_size: 480, drop_rate: 0.3, drop_path_rate: 0.2 },
    stem: 24,
    stages: stages([
      ['conv', 3, 1, 1, 24, 3],
      ['fused', 3, 2, 4, 48, 5],
      ['fused', 3, 2, 4, 80, 5],
      ['inverted', 3, 2, 4, 160, 7],
      ['inverted', 3, 1, 6, 176, 14],
      ['inverted', 3, 2, 6, 304, 18],
      ['inverted', 3, 1, 6, 512, 5],
    ]),
  },
  l: {
    ...version2,
    defaults: { image_size: 480, drop_rate: 0.4, drop_path_rate: 0.2 },
    stem: 32,
    stages: stages([
      ['conv', 3, 1, 1, 32, 4],
      ['fused', 3, 2, 4, 64, 7],
      ['fused', 3, 2, 4, 96, 7],
      ['inverted', 3, 2, 4, 192, 10],
      ['inverted', 3, 1, 6, 224, 19],
      ['inverted', 3, 2, 6, 384, 25],
      ['inverted', 3, 1, 6, 640, 7],
    ]),
  },
}

/** EfficientNet-Lite0 (Liu 2020): EfficientNet-B0 (Tan and Le 2019) without squeeze-and-excitation, with relu6. */
export const efficientNetLite0: Network = {
  stem: 32,
  stages: stages([
    ['inverted', 3, 1, 1, 16, 1],
    ['inverted', 3, 2, 6, 24, 2],
    ['inverted', 5, 2, 6, 40, 2],
    ['inverted', 3, 2, 6, 80, 3],
    ['inverted', 5, 1, 6, 112, 3],
    ['inverted', 5, 2, 6, 192, 4],
    ['inverted', 3, 1, 6, 320, 1],
  ]),
  features: 1280,
  activation: 'relu6',
  squeezes: false,
  defaults: { image_size: 224, drop_rate: 0.2, drop_path_rate: 0.2 },
}
