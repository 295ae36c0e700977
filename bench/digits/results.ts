import { markdown, median } from '../table.ts'
import { methodNames, modelNames, models, type DigitsMethod, type DigitsModel } from './settings.ts'

/** A fine-tuning run on digits that it did not learn from. */
export interface Score {
  readonly accuracy: number
  readonly loss: number
}
/** A run of the search: scored on the validation digits. */
export interface Tried extends Score {
  readonly model: DigitsModel
  readonly method: DigitsMethod
  readonly rate: number
}
/** A run of the table: scored on the test digits. */
export interface Run extends Tried {
  readonly seed: number
  readonly trained: number
}
/** Steps of one method, by us or by PyTorch: milliseconds, and the peak of the whole process. */
export interface Timed {
  readonly model: DigitsModel
  readonly method: DigitsMethod
  readonly by: 'partensor' | 'PyTorch'
  readonly times: readonly number[]
  readonly peakMegabytes: number
  readonly firstLoss: number
  readonly trained: number
}
/** Everything that the table is made of. */
export interface DigitsResults {
  readonly date: string
  readonly machine: Readonly<Record<string, number | string | readonly string[]>>
  readonly versions: Readonly<Record<string, string>>
  readonly steps: number
  readonly batch: number
  readonly tried: readonly Tried[]
  readonly runs: readonly Run[]
  readonly timed: readonly Timed[]
}

/** The mean of some numbers, and the standard deviation of the sample (0 for a single one). */
export const spread = (numbers: readonly number[]): { readonly mean: number; readonly deviation: number } => {
  const mean = numbers.reduce((sum, x) => sum + x, 0) / numbers.length
  const squares = numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0)
  return { mean, deviation: numbers.length > 1 ? Math.sqrt(squares / (numbers.length - 1)) : 0 }
}

/** The better of two scores: the more accurate, or the one with the lower loss. */
const better = <S extends Score>(a: S, b: S): S =>
  b.accuracy > a.accuracy || (b.accuracy === a.accuracy && b.loss < a.loss) ? b : a
/** The best of some scores; undefined if there is none. */
export const bestOf = <S extends Score>(scores: readonly S[]): S | undefined =>
  scores.length === 0 ? undefined : scores.reduce(better)

const methodTitles: Readonly<Record<DigitsMethod, string>> = {
  paca: 'PaCA',
  lora: 'LoRA',
  full: 'full',
  head: 'head only',
}
const percent = (x: number, places: number): string => (100 * x).toFixed(places)
const orNone = (text: string | false): string => (text === false ? '–' : text)

/** The table of the results: one line for each model and method. */
export const digitsTable = ({ runs, timed }: DigitsResults): string =>
  markdown(
    [
      'model',
      'method',
      'learning rate',
      'trained',
      'accuracy, %',
      'step, ms',
      'peak, MB',
      'PyTorch: step, ms',
      'peak, MB',
    ],
    modelNames.flatMap(model =>
      methodNames.map(method => {
        const own = runs.filter(run => run.model === model && run.method === method)
        const { mean, deviation } = spread(own.map(({ accuracy }) => accuracy))
        const cells = (['partensor', 'PyTorch'] as const).flatMap(by => {
          const found = timed.find(one => one.model === model && one.method === method && one.by === by)
          return [
            orNone(found ? median(found.times).toFixed(0) : false),
            orNone(found ? `${found.peakMegabytes}` : false),
          ]
        })
        return [
          models[model].title,
          methodTitles[method],
          orNone(own.length > 0 && `${own[0]!.rate}`),
          orNone(own.length > 0 && own[0]!.trained.toLocaleString('en')),
          orNone(own.length > 0 && `${percent(mean, 2)} ± ${percent(deviation, 2)}`),
          ...cells,
        ]
      }),
    ),
  )
