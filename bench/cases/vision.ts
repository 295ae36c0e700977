import { installedPeer, ours, type Contender, type Outcome } from '../measure.ts'
import { installVisionPython, visionCommand, type VisionOptions } from '../peers/python.ts'
import { comparedTo, comparison, figure, peakFigure, type Row } from '../table.ts'
import type { ImageMethod, NetworkName } from '../vision.ts'
import type { Case } from './case.ts'

type Precision = VisionOptions['precision']
/** A network with its methods, PaCA first, and the paper's ratios of PaCA to the method that it is compared with. */
interface Comparison {
  readonly name: string
  readonly network: NetworkName
  readonly methods: readonly ImageMethod[]
  readonly against: ImageMethod
  readonly paper?: { readonly of: string; readonly time: number; readonly memory: number }
}
const comparisons: readonly Comparison[] = [
  {
    name: 'vit',
    network: 'ViT-B/16',
    methods: ['paca', 'lora', 'full'],
    against: 'lora',
    paper: { of: 'ViT-B/16', time: 0.71, memory: 0.61 },
  },
  {
    name: 'efficientnetv2',
    network: 'EfficientNetV2-S',
    methods: ['paca', 'full'],
    against: 'full',
    paper: { of: 'EfficientNetV2-L', time: 0.84, memory: 0.72 },
  },
  { name: 'lite0', network: 'EfficientNet-Lite0', methods: ['paca', 'full'], against: 'full' },
]
const label = { lora: 'LoRA', paca: 'PaCA', full: 'full' } as const
const mineIs = (network: NetworkName, method: ImageMethod, precision: Precision): string =>
  `${network}: ${label[method]} ${precision}`
const peerIs = (...of: Parameters<typeof mineIs>): string => `PyTorch ${mineIs(...of)}`

const rowsOf = (
  { network, methods, against, paper }: Comparison,
  precision: Precision,
  found: ReadonlyMap<string, Outcome>,
): readonly Row[] => {
  const mine = (method: ImageMethod) => found.get(mineIs(network, method, precision))
  const [first] = methods as readonly [ImageMethod]
  const between = `${mineIs(network, first, precision)} /`
  const other = label[against]
  const asPaper = (of: 'time' | 'memory'): string => (paper ? `${paper[of]} in the paper (${paper.of})` : '')
  return [
    ...methods.flatMap(method => {
      const name = mineIs(network, method, precision)
      const theirs = found.get(peerIs(network, method, precision))
      return [
        comparedTo(`${name} step`, figure(mine(method)), 'PyTorch', figure(theirs), 1),
        comparedTo(`${name} peak memory`, peakFigure(mine(method)), 'PyTorch', peakFigure(theirs), 1),
      ]
    }),
    comparison(`${between} ${other}, step`, figure(mine(first)), other, figure(mine(against)), asPaper('time')),
    comparison(
      `${between} ${other}, peak memory`,
      peakFigure(mine(first)),
      other,
      peakFigure(mine(against)),
      asPaper('memory'),
    ),
  ]
}

const caseOf = (compared: Comparison, precision: Precision): Case => {
  const { name, network, methods } = compared
  return {
    name: precision === 'f32' ? name : `${name}-${precision}`,
    about: `steps of ${network} on graph in ${precision} against PyTorch: time and peak memory`,
    // batch norm over single numbers has no gradient, and a small image of this network ends in those
    optional: precision !== 'f32' || network === 'EfficientNetV2-S',
    run: async ({ quick, say, alternate }) => {
      const python = await installVisionPython(say)
      const common = { network, quick, batch: quick ? 2 : 4, precision, warmUp: quick ? 0 : 1, steps: quick ? 1 : 4 }
      const contenders = methods.flatMap((method): readonly Contender[] => [
        ours(mineIs(network, method, precision), 'vision', { ...common, method, target: 'graph' }),
        installedPeer(peerIs(network, method, precision), python, at => visionCommand(at, { ...common, method })),
      ])
      return { rows: rowsOf(compared, precision, await alternate(contenders)), tables: [] }
    },
  }
}

/** Whole steps of image classifiers with random weights, on the graph target, beside the same in PyTorch. */
export const vision: readonly Case[] = comparisons.flatMap(compared => [
  caseOf(compared, 'f32'),
  caseOf(compared, 'bf16'),
])
