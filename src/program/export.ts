import type { StopSignal } from '../backend/index.ts'
import {
  checkCached,
  combineAdapters,
  inputWidths,
  loadAny,
  peftBaseOf,
  saveAdapter,
  saveMerged,
  savePeft,
  type FloatDType,
  type Adapter,
  type WeightedAdapter,
} from '../io/index.ts'
import { giveWay } from '../backend/index.ts'
import { reserve } from '../host/index.ts'
import { fail, orThrow } from '../text/index.ts'
import { loadAdapters } from './adapter-arguments.ts'

/** The formats in which adapters can be exported. */
export const exportFormats = ['merged', 'peft-lora', 'partensor'] as const
export type ExportFormat = (typeof exportFormats)[number]

/** The options of `partensor export`. */
export interface ExportOptions {
  readonly model: string
  /** Directories of adapters, each with a weight if it is not 1: `DIR:0.5`. */
  readonly adapter: readonly string[]
  readonly as: ExportFormat
  readonly out: string
  /** The type of a merged model's tensors (default: that of the model). */
  readonly dtype?: FloatDType | undefined
  /** Ends the export, in which case nothing is written. */
  readonly signal?: StopSignal | undefined
}

/** The written files, and notes on what could not be written. */
export interface ExportResult {
  readonly event: 'done'
  readonly out: string
  readonly as: ExportFormat
  readonly notes: readonly string[]
}

/** A single adapter as it is; several become one LoRA, whose rank is the sum of theirs. */
const single = async (uses: readonly WeightedAdapter[], widthOf: ReturnType<typeof inputWidths>): Promise<Adapter> => {
  const [first, ...others] = uses
  if (first === undefined) return orThrow(async () => fail('specify --adapter: there is nothing to export'))
  return others.length === 0 && (first.weight ?? 1) === 1
    ? first.adapter
    : orThrow(async () => combineAdapters(uses, widthOf))
}

/**
 * Writes adapters in another form: merged into the model, as an adapter that PEFT loads, or in Partensor's own form.
 * Errors are thrown with one sentence, and nothing is written.
 * @example await exportAdapter({ model, adapter: ['my-adapter'], as: 'merged', out: 'merged' })
 */
export const exportAdapter = async (options: ExportOptions): Promise<ExportResult> => {
  const { as, out, dtype } = options
  if (dtype !== undefined && as !== 'merged')
    await orThrow(async () => fail(`--dtype is that of a merged model: it goes without --as ${as}`))
  const reservation = await orThrow(reserve(out))
  try {
    return await exported(options)
  } finally {
    await reservation.release()
  }
}

const exported = async ({ model, adapter, as, out, dtype, signal }: ExportOptions): Promise<ExportResult> => {
  await orThrow(checkCached(model))
  const source = await orThrow(loadAny(model))
  try {
    await giveWay(signal)
    const {
      source: { checkpoint },
      uses,
      warnings,
    } = await loadAdapters(source, adapter)
    const widthOf = inputWidths(checkpoint)
    const notes = [...checkpoint.warnings, ...warnings]
    const done = { event: 'done', out, as } as const
    switch (as) {
      case 'merged': {
        const onTensor = (): Promise<void> => giveWay(signal)
        const options = { onTensor, ...(dtype ? { dtype } : {}) }
        const merged = await orThrow(saveMerged(out, checkpoint, uses, options))
        return { ...done, notes: [...notes, ...merged.notes] }
      }
      case 'peft-lora': {
        const one = await single(uses, widthOf)
        await orThrow(savePeft(out, one, widthOf, await orThrow(peftBaseOf(source.checkpoint, one))))
        break
      }
      case 'partensor':
        await orThrow(saveAdapter(out, await single(uses, widthOf)))
    }
    return { ...done, notes }
  } finally {
    await source.checkpoint.close()
  }
}
