import type { AccountOptions } from '../../compile/index.ts'
import { bytesText } from '../../text/index.ts'
import type { MethodName } from '../../tune/index.ts'
import { supports } from '../method.ts'
import { bytesOf, careful, deepSpeed, mixed, papers, quantizedFixed, type Fixed, type BatchSizes } from './regime.ts'
import type { Reproduction, Reproducing, Row } from './reproduction.ts'
import { needsText } from './needs.ts'
import { oursText } from './ours.ts'
import { knownStep, type KnownStep } from './step.ts'
import { aboutTimes, paperDevices, timesOf } from './times.ts'

/** The tables of the paper that state memory: 1, 3, 6 and 7. */

const gigabyte = 1e9
/** The device's context, which no accounting of tensors has. */
const context = 0.5 * gigabyte
const contextText = '0.5 GB are added for the device’s context'
const dropout = 0.1

interface Line {
  readonly model: string
  readonly method: MethodName
  readonly rank: number
  readonly paper: number
  readonly trained?: number
  /** The hours of the paper. */
  readonly hours?: number
}

/** The paper's Table 1 in GB, with its numbers of trained parameters. */
const table1Lines: readonly Line[] = [
  { model: 'llama2-7b', method: 'lora', rank: 8, paper: 23, trained: 19_988_480 },
  { model: 'llama2-7b', method: 'dora', rank: 8, paper: 29, trained: 21_348_352 },
  { model: 'llama2-7b', method: 'moslora', rank: 8, paper: 23, trained: 20_002_816 },
  { model: 'llama2-7b', method: 'paca', rank: 8, paper: 20, trained: 10_878_976 },
  { model: 'llama2-7b', method: 'paca', rank: 16, paper: 20, trained: 21_757_952 },
  { model: 'llama2-13b', method: 'lora', rank: 8, paper: 40, trained: 31_293_440 },
  { model: 'llama2-13b', method: 'dora', rank: 8, paper: 49, trained: 33_423_360 },
  { model: 'llama2-13b', method: 'moslora', rank: 8, paper: 40, trained: 31_311_360 },
  { model: 'llama2-13b', method: 'paca', rank: 8, paper: 35, trained: 17_039_360 },
  { model: 'llama2-13b', method: 'paca', rank: 16, paper: 35, trained: 34_078_720 },
  { model: 'llama3-8b', method: 'lora', rank: 8, paper: 27, trained: 20_971_520, hours: 4.4 },
  { model: 'llama3-8b', method: 'dora', rank: 8, paper: 33, trained: 22_347_776 },
  { model: 'llama3-8b', method: 'moslora', rank: 8, paper: 27, trained: 20_985_856 },
  { model: 'llama3-8b', method: 'paca', rank: 8, paper: 23, trained: 11_010_048, hours: 3.5 },
  { model: 'llama3-8b', method: 'paca', rank: 16, paper: 23, trained: 22_020_096 },
]

const held = (step: KnownStep, sizes: BatchSizes, options: AccountOptions, fixed: typeof deepSpeed): number => {
  const account = step.at(sizes, options)
  return context + bytesOf(fixed(account), account)
}

/** The examples of Table 1: the auxiliary training questions of MMLU. */
const examples = 99_842
/** The seconds of a step, of the hours of an epoch. */
const stepSeconds = (hours: number, { batch }: BatchSizes): number => (hours * 3600 * batch) / examples

/** Table 1: parameters, memory and time. */
export const table1 = async ({ ours }: Reproducing): Promise<Reproduction> => {
  const sizes = { batch: 2, seq: 512 }
  const rows: Row[] = []
  const devices = await paperDevices()
  for (const { paper, trained, hours, ...line } of table1Lines) {
    const choice = { ...line, targetModules: 'all-linear' } as const
    const plain = await knownStep(choice)
    const drops = supports(line.method, 'dropout')
    const papersOwn = drops ? await knownStep({ ...choice, dropout }) : plain
    rows.push({
      ...line,
      trained: plain.at(sizes, papers).trained,
      paperTrained: trained!,
      bytes: held(papersOwn, sizes, papers, deepSpeed),
      paperBytes: paper * gigabyte,
      noDropoutBytes: held(plain, sizes, papers, deepSpeed),
      carefulBytes: held(plain, sizes, careful, deepSpeed),
      ...timesOf(papersOwn.work(sizes, papers), devices, hours === undefined ? undefined : stepSeconds(hours, sizes)),
      ...(ours ? await papersOwn.ours(sizes) : {}),
    })
  }
  return {
    title: 'Table 1: trained parameters, memory and time at 2 × 512 tokens',
    says: [
      needsText({
        dropout: 'of 0.1 on the adapters, which only they have: most of the gap between LoRA and PaCA',
        checkpointing: 'off',
        chunkedLoss: 'off',
      }),
      'bf16, fused attention, transformers of 2024, DeepSpeed: 2 bytes a weight and 20 a trained number',
      contextText,
      'without dropout: noDropoutBytes',
      'with checkpointing of layers and a loss in pieces of 256 rows for all, without dropout: carefulBytes',
      ...aboutTimes(devices),
      `paperSeconds: of 4.4 and 3.5 hours for ${examples.toLocaleString('en')} examples, the training questions of MMLU; the hours of the other rows are not known here`,
      ...(ours ? [oursText] : []),
    ],
    rows,
  }
}

const table3Lines: readonly (Line & BatchSizes)[] = [
  { model: 'llama3-8b', method: 'lora', rank: 64, paper: 18, batch: 4, seq: 768 },
  { model: 'llama3-8b', method: 'paca', rank: 64, paper: 16, batch: 4, seq: 768 },
  { model: 'llama3.1-70b', method: 'lora', rank: 64, paper: 80, batch: 8, seq: 768 },
  { model: 'llama3.1-70b', method: 'paca', rank: 64, paper: 69, batch: 8, seq: 768 },
]

/** Table 3: memory on a base in 4 bits. */
export const table3 = async ({ ours }: Reproducing): Promise<Reproduction> => {
  const rows: Row[] = []
  for (const { paper, batch, seq, ...line } of table3Lines) {
    const step = await knownStep({ ...line, targetModules: 'all-linear', quantize: 'nf4' })
    const sizes = { batch, seq: seq! }
    const fixed = (account: Parameters<typeof deepSpeed>[0]): Fixed => quantizedFixed(account, step.quantized)
    const regime: AccountOptions = { precision: 'bf16', transformers: 4, checkpointing: true }
    rows.push({
      ...line,
      bytes: held(step, sizes, regime, fixed),
      paperBytes: paper * gigabyte,
      carefulBytes: held(step, sizes, { ...regime, transformers: 5, chunk: 256 }, fixed),
      ...(ours ? await step.ours(sizes) : {}),
    })
  }
  return {
    title: 'Table 3: memory with a base in NF4, rank 64, 768 tokens a row',
    says: [
      needsText({
        dropout: 'off',
        checkpointing: 'of layers (prepare_model_for_kbit_training)',
        chunkedLoss: 'off',
      }),
      'activations in 16 bits over float32 embeddings and head, transformers of 2024; 4 rows for 8B, 8 for 70B',
      'weights in NF4 with quantized scales, 16 bytes for a trained number',
      contextText,
      'at equal rank PaCA trains half as many numbers as LoRA, which is most of the difference at 70B; with a loss in pieces of 256 rows: carefulBytes',
      ...(ours ? [oursText] : []),
    ],
    rows,
  }
}

interface Images extends Omit<Line, 'model'> {
  readonly batch: number
  /** The paper's time, in that of the first row. */
  readonly timeRatio: number
}

/** A table of images: the workspace is fitted on the first row, and tested on the second. */
const imageTable = async (
  title: string,
  model: { readonly model: string; readonly imageSize?: number },
  lines: readonly Images[],
  says: readonly string[],
  { ours }: Reproducing,
): Promise<Reproduction> => {
  const known = []
  const devices = await paperDevices()
  for (const { method, rank, batch, paper, timeRatio } of lines) {
    const whole = method === 'full' ? { targetModules: 'all' as const } : { targetModules: 'all-linear' as const, rank }
    const step = await knownStep({ ...model, method, ...whole })
    const account = step.at({ batch }, { precision: 'amp' })
    const again = step.at({ batch }, { precision: 'amp', checkpointing: true })
    known.push({
      method,
      rank,
      paper,
      batch,
      step,
      tensors: bytesOf(mixed(account), account),
      careful: bytesOf(mixed(again), again),
      seconds: timesOf(step.work({ batch }, { precision: 'amp' }), devices, undefined).seconds,
      timeRatio,
    })
  }
  const [first] = known as [(typeof known)[0]]
  const workspace = first.paper * gigabyte - first.tensors
  const rows: Row[] = []
  for (const { method, rank, paper, batch, step, tensors, careful, seconds, timeRatio } of known)
    rows.push({
      method,
      ...(method === 'full' ? {} : { rank }),
      tensorBytes: tensors,
      bytes: tensors + workspace,
      paperBytes: paper * gigabyte,
      difference: (tensors + workspace) / (paper * gigabyte) - 1,
      carefulBytes: careful + workspace,
      seconds,
      timeRatio: seconds / first.seconds,
      paperTimeRatio: timeRatio,
      ...(ours ? await step.ours({ batch }) : {}),
    })
  return {
    title,
    says: [
      ...says,
      'with checkpointing of layers for all: carefulBytes',
      needsText({ dropout: 'off', checkpointing: 'off', chunkedLoss: 'none: images have no tokens' }),
      'automatic mixed precision: 4 bytes a weight and 12 a trained number',
      ...aboutTimes(devices),
      'timeRatio: the time in that of the first row',
      `the paper states neither batch nor precision: both are inferred; ${bytesText(workspace)} of passing tensors, workspace and context are fitted on the first row, and the second is the test`,
      ...(ours ? [oursText] : []),
    ],
    rows,
  }
}

/** Table 6: a ViT-B/16. */
export const table6 = (options: Reproducing): Promise<Reproduction> =>
  imageTable(
    'Table 6: memory and time of ViT-B/16',
    { model: 'vit-b16' },
    [
      { method: 'lora', rank: 16, paper: 11.0, batch: 128, timeRatio: 1 },
      { method: 'paca', rank: 16, paper: 6.7, batch: 128, timeRatio: 0.71 },
    ],
    ['batch 128, rank 16 on all linear layers, and the classifier; attention fused'],
    options,
  )

/** Table 7: an EfficientNetV2-L. */
export const table7 = (options: Reproducing): Promise<Reproduction> =>
  imageTable(
    'Table 7: memory and time of EfficientNetV2-L',
    { model: 'efficientnetv2-l', imageSize: 224 },
    [
      { method: 'full', rank: 0, paper: 18.3, batch: 64, timeRatio: 1 },
      { method: 'paca', rank: 16, paper: 13.2, batch: 64, timeRatio: 0.84 },
    ],
    ['batch 64, images of 224 × 224; PaCA of rank 16 on every convolution, and the classifier'],
    options,
  )
