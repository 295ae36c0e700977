import { bytesText } from '../../text/index.ts'
import type { MethodName } from '../../tune/index.ts'
import { bytesOf, careful, deepSpeed, largest, papers, type BatchSizes } from './regime.ts'
import { needsText } from './needs.ts'
import { oursText } from './ours.ts'
import { knownStep, type KnownStep } from './step.ts'
import type { Reproduction, Reproducing } from './reproduction.ts'
import { aboutTimes, paperDevices, throughputOf } from './times.ts'

/** Table 4 and Figure 3: the longest sequence and the largest batch of LLaMA3-8B on one A100 of 80 GB. */

const model = 'llama3-8b'
const stepOf = (method: MethodName): Promise<KnownStep> =>
  knownStep({ model, method, targetModules: 'all-linear', rank: 8 })

const heldBy = (step: KnownStep, sizes: BatchSizes, regime = papers): number => {
  const account = step.at(sizes, regime)
  return bytesOf(deepSpeed(account), account)
}

/** The longest sequences of the paper's Table 4 in thousands of tokens. */
const longest: readonly (readonly [MethodName, number])[] = [
  ['lora', 8.0],
  ['dora', 4.7],
  ['moslora', 8.0],
  ['paca', 9.8],
]
const [[fittedOn, fittedAt]] = longest as readonly [readonly [MethodName, number]]

/** The bytes that LoRA's row of Table 4 holds: the one constant that is fitted, and that the other rows are tested with. */
const budgetOf = (lora: KnownStep): number => heldBy(lora, { batch: 1, seq: fittedAt * 1000 })

const regime = 'bf16, fused attention, transformers of 2024'
const needs = needsText({
  dropout: 'off',
  checkpointing: 'off',
  chunkedLoss: 'off',
})
const optimizer = 'DeepSpeed: 2 bytes a weight and 20 a trained number'
const withCareful = 'careful: the same budget, with checkpointing of layers and a loss in pieces of 256 rows for all'
const budgetText = (budget: number): string =>
  `one budget, ${bytesText(budget)}, fitted on LoRA's row of Table 4, predicts every other figure`

/** Table 4. */
export const table4 = async ({ ours }: Reproducing): Promise<Reproduction> => {
  const budget = budgetOf(await stepOf(fittedOn))
  const rows = []
  for (const [method, paper] of longest) {
    const step = await stepOf(method)
    const longestOf = (of: typeof papers): number =>
      largest(budget, seq => heldBy(step, { batch: 1, seq }, of), [1024, 4096])
    const maxSeq = longestOf(papers)
    const row = {
      method,
      maxSeq,
      paperMaxSeq: paper * 1000,
      difference: maxSeq / (paper * 1000) - 1,
      carefulMaxSeq: longestOf(careful),
      ...(ours ? await step.ours({ batch: 1, seq: maxSeq }) : {}),
    }
    rows.push(row)
  }
  return {
    title: 'Table 4: the longest sequence of LLaMA3-8B at rank 8 and batch 1 on an A100 of 80 GB',
    says: [needs, regime, optimizer, budgetText(budget), withCareful, ...(ours ? [oursText] : [])],
    rows,
  }
}

/** The largest batches of the authors' raw measurements behind Figure 3, 512 tokens a row; LoRA's are not among them. */
const batches: readonly (readonly [MethodName, number])[] = [
  ['moslora', 15],
  ['paca', 19],
  ['dora', 9],
]

/** Figure 3's largest batches. */
export const fig3 = async ({ ours }: Reproducing): Promise<Reproduction> => {
  const seq = 512
  const budget = budgetOf(await stepOf(fittedOn))
  const rows = []
  for (const [method, paper] of batches) {
    const step = await stepOf(method)
    const mostOf = (of: typeof papers): number => largest(budget, batch => heldBy(step, { batch, seq }, of), [2, 8])
    const maxBatch = mostOf(papers)
    const row = {
      method,
      maxBatch,
      paperMaxBatch: paper,
      carefulMaxBatch: mostOf(careful),
      ...(await throughputOf(method)),
      ...(ours ? await step.ours({ batch: maxBatch, seq }) : {}),
    }
    rows.push(row)
  }
  return {
    title: 'Figure 3: the largest batch of LLaMA3-8B at rank 8 and 512 tokens on an A100 of 80 GB, and its time',
    says: [
      needs,
      regime,
      optimizer,
      budgetText(budget),
      withCareful,
      "the paper's are from the raw files in the history of its code",
      ...aboutTimes(await paperDevices()),
      'timeDifference: of the largest batch; worstTimeDifference and worstRooflineDifference: the largest error over all batches of the row',
      ...(ours ? [oursText] : []),
    ],
    rows,
  }
}
