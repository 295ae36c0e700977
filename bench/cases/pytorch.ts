import { ours, installedPeer, type Contender, type Outcome } from '../measure.ts'
import { installPyTorch, pytorchCommand, type PyTorchOptions } from '../peers/python.ts'
import type { SubjectName } from '../subject.ts'
import { comparedTo, figure, peakFigure, type Row } from '../table.ts'
import type { Case, Effort } from './case.ts'

const shape = { batch: 2, seq: 256 } as const
const tokens = shape.batch * shape.seq

type Precision = PyTorchOptions['precision']
type Peer = Pick<PyTorchOptions, 'method' | 'precision' | 'bf16Adapters'>
/** A step of ours compared with one of PyTorch's, and the shares of its time and memory that ours may take. */
interface Pair {
  readonly method: 'paca' | 'full'
  readonly precision: Precision
  readonly peer: Peer
  readonly time?: number
  readonly memory?: number
}

const paca = (
  precision: Precision,
  peer: Omit<Peer, 'precision'>,
  asked: Pick<Pair, 'time' | 'memory'> = {},
): Pair => ({ method: 'paca', precision, peer: { ...peer, precision }, ...asked })

const pairs: { readonly [name in SubjectName]: readonly Pair[] } = {
  'four layers': [
    paca('bf16', { method: 'lora' }),
    paca('bf16', { method: 'paca' }),
    paca('f32', { method: 'lora' }),
    paca('f32', { method: 'paca' }),
  ],
  'SmolLM2': [
    paca('bf16', { method: 'lora' }, { time: 0.65, memory: 0.55 }),
    paca('bf16', { method: 'paca' }, { time: 0.9 }),
    paca('bf16', { method: 'lora', bf16Adapters: true }),
    paca('bf16', { method: 'dora' }),
    paca('f32', { method: 'lora' }, { time: 0.72 }),
    paca('f32', { method: 'paca' }),
    paca('f32', { method: 'dora' }),
    { method: 'full', precision: 'f32', peer: { method: 'full', precision: 'f32' }, time: 0.9, memory: 0.9 },
  ],
}

const label = { lora: 'LoRA', dora: 'DoRA', paca: 'PaCA', full: 'full' } as const
const mineIs = (model: SubjectName, { method, precision }: Pair): string => `${model}: ${label[method]} ${precision}`
const peerIs = ({ method, precision, bf16Adapters }: Peer): string =>
  `${method === 'lora' || method === 'dora' ? 'PEFT' : 'PyTorch'} ${label[method]} ${precision}${bf16Adapters === true ? ', adapters too' : ''}`

type Python = Awaited<ReturnType<typeof installPyTorch>>

/** The contenders of all pairs, each once, in an order that keeps those together that are compared. */
const contendersOf = (
  model: SubjectName,
  python: Python,
  steps: { readonly warmUp: number; readonly steps: number },
): readonly Contender[] => {
  const contenders = pairs[model].flatMap((pair): readonly Contender[] => {
    const { method, precision, peer } = pair
    const common = { model, ...shape, ...steps }
    return [
      ours(mineIs(model, pair), 'step', { ...common, method, precision, target: 'graph' }),
      installedPeer(`${model}: ${peerIs(peer)}`, python, at => pytorchCommand(at, { ...common, ...peer })),
    ]
  })
  return [...new Map(contenders.map(contender => [contender.name, contender])).values()]
}

const rowsOf = (model: SubjectName, found: ReadonlyMap<string, Outcome>): readonly Row[] =>
  pairs[model].flatMap(pair => {
    const mine = found.get(mineIs(model, pair))
    const peer = peerIs(pair.peer)
    const theirs = found.get(`${model}: ${peer}`)
    return [
      comparedTo(`${mineIs(model, pair)} step`, figure(mine, tokens), peer, figure(theirs, tokens), pair.time),
      comparedTo(`${mineIs(model, pair)} peak memory`, peakFigure(mine), peer, peakFigure(theirs), pair.memory),
    ]
  })

const compared = async (model: SubjectName, python: Python, { quick, alternate }: Effort): Promise<readonly Row[]> =>
  rowsOf(model, await alternate(contendersOf(model, python, { warmUp: quick ? 1 : 2, steps: quick ? 2 : 4 })))

/** Whole steps of 2 × 256 tokens on the graph target compared with the same in PyTorch, with PEFT for LoRA and DoRA. */
export const pytorch: Case = {
  name: 'pytorch',
  about: 'steps of the graph target against PyTorch with PEFT: time, tokens/s and peak memory',
  run: async effort => {
    const python = await installPyTorch(effort.say)
    const small = await compared('four layers', python, effort)
    return { rows: effort.quick ? small : [...small, ...(await compared('SmolLM2', python, effort))], tables: [] }
  },
}
