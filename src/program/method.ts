import * as E from 'fp-ts/lib/Either.js'
import { fail, type IoError } from '../host/index.ts'
import type { AdapterSettings } from '../io/index.ts'
import { type ModuleNames, methods, type MethodArguments, methodNames, type MethodName } from '../tune/index.ts'

/** The projections of a LLaMA layer: what is tuned unless other modules are named. */
export const projections: readonly string[] = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
]

/** How the columns of PaCA are selected. */
export const selectionRules = ['random', 'weight', 'gradient'] as const
export type SelectionRule = (typeof selectionRules)[number]

/** How a model is fine-tuned: a method with all its settings. */
export interface MethodOptions extends AdapterSettings {
  readonly method: MethodName
  readonly targetModules: ModuleNames
  /** 0 for full fine-tuning, which has none. */
  readonly rank: number
  readonly seed: number
}

/** A method as it is asked for on the command line; what is left out has its default. */
export interface MethodChoice {
  readonly method?: MethodName | undefined
  /** Names, words that paths end with, or one regular expression; `all-linear`, and for full `all`. */
  readonly targetModules?: ModuleNames | undefined
  readonly excludeModules?: ModuleNames | undefined
  /** Numbers of layers. */
  readonly layers?: readonly number[] | undefined
  readonly rank?: number | undefined
  readonly alpha?: number | undefined
  readonly rslora?: boolean | undefined
  readonly dropout?: number | undefined
  readonly rankPattern?: Readonly<Record<string, number>> | undefined
  readonly alphaPattern?: Readonly<Record<string, number>> | undefined
  readonly modulesToSave?: readonly string[] | undefined
  readonly bias?: MethodOptions['bias'] | undefined
  readonly quantize?: 'nf4' | undefined
  /** Whether the numbers that scale blocks are quantized too; they are unless said. */
  readonly doubleQuantize?: boolean | undefined
  readonly select?: SelectionRule | undefined
  readonly shareColumns?: boolean | undefined
  /** A safetensors file with the selection. */
  readonly columns?: string | undefined
  readonly seed: number
}

type Setting = keyof MethodArguments

/** The options that only some methods take, each with its flag and what an adapter must be able to be told. */
const optionSupport = {
  rank: ['--rank', 'rank'],
  alpha: ['--alpha', 'alpha'],
  rslora: ['--rslora', 'rslora'],
  dropout: ['--dropout', 'dropout'],
  rankPattern: ['--rank-pattern', 'ranks'],
  alphaPattern: ['--alpha-pattern', 'alphas'],
  // what is trained whole needs no second way to say so, and is not quantized
  modulesToSave: ['--modules-to-save', 'rank'],
  quantize: ['--quantize', 'rank'],
  select: ['--select', 'groups'],
  shareColumns: ['--share-columns', 'groups'],
  columns: ['--columns', 'groups'],
} as const satisfies { readonly [K in keyof MethodChoice]?: readonly [flag: string, setting: Setting] }

const takes = (method: MethodName, setting: Setting): boolean =>
  (methods[method].takes as readonly Setting[]).includes(setting)

/** PEFT's defaults: VeRA trains so little that its rank is large. */
const defaultRank = (method: MethodName): number => (method === 'full' ? 0 : method === 'vera' ? 256 : 8)

const given = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  // one key, where there is a value
  (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: V }

/** How the base is quantized, if it is asked for. */
export const quantization = ({
  quantize,
  doubleQuantize = true,
}: Pick<MethodChoice, 'quantize' | 'doubleQuantize'>): AdapterSettings['quantize'] =>
  quantize && { scheme: quantize, double: doubleQuantize }

/** The settings that a choice makes, without those it leaves out. */
export const settingsOf = (choice: MethodChoice): AdapterSettings => ({
  ...given('excludeModules', choice.excludeModules),
  ...given('layersToTransform', choice.layers),
  ...given('modulesToSave', choice.modulesToSave),
  ...given('alpha', choice.alpha),
  ...given('rslora', choice.rslora),
  ...given('dropout', choice.dropout),
  ...given('rankPattern', choice.rankPattern),
  ...given('alphaPattern', choice.alphaPattern),
  ...given('bias', choice.bias),
  ...given('quantize', quantization(choice)),
  ...given('select', choice.select),
  ...given('shareColumns', choice.shareColumns),
})

const settingNames: readonly (keyof AdapterSettings)[] = [
  'excludeModules',
  'layersToTransform',
  'layersPattern',
  'modulesToSave',
  'alpha',
  'rankPattern',
  'alphaPattern',
  'bias',
  'rslora',
  'dropout',
  'quantize',
  'select',
  'shareColumns',
  'initial',
  'untied',
]
/** The settings alone, of an adapter or a method with more to it. */
export const settingsFrom = (all: AdapterSettings): AdapterSettings =>
  Object.fromEntries(settingNames.flatMap(name => (all[name] === undefined ? [] : [[name, all[name]]])))

/** Refuses an option that a method does not take. */
export const checkOptions = (method: MethodName, choice: MethodChoice): E.Either<IoError, void> => {
  for (const [key, [flag, setting]] of Object.entries(optionSupport)) {
    const value: unknown = choice[key as keyof typeof optionSupport]
    if (value === undefined || value === false || takes(method, setting)) continue
    const others = methodNames.filter(other => takes(other, setting))
    return fail(
      method === 'full'
        ? `--method full trains whole weights: it takes no ${flag}`
        : `--method ${method} takes no ${flag}: ${others.join(', ')} ${others.length === 1 ? 'does' : 'do'}`,
    )
  }
  return choice.columns !== undefined && choice.select !== undefined
    ? fail('--columns is a selection already: it goes without --select')
    : E.right(undefined)
}

/** A choice without what a method does not take: what one choice says to several methods. */
export const applicable = (method: MethodName, choice: MethodChoice): MethodChoice => ({
  ...choice,
  method,
  ...Object.fromEntries(
    Object.entries(optionSupport).flatMap(([key, [, setting]]) => (takes(method, setting) ? [] : [[key, undefined]])),
  ),
})

/**
 * Checks that a method gets what it takes, and fills in what is left out.
 * @example methodOptions({ method: 'paca', targetModules: projections, seed: 0 })
 */
export const methodOptions = (choice: MethodChoice): E.Either<IoError, MethodOptions> => {
  const { method = 'paca', targetModules = projections, rank = defaultRank(method), seed } = choice
  return E.map((): MethodOptions => ({ method, targetModules, rank, seed, ...settingsOf(choice) }))(
    checkOptions(method, choice),
  )
}
