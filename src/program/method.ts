import * as E from 'fp-ts/lib/Either.js'
import { fail, type IoError } from '../host/index.ts'
import type { AdapterSettings } from '../io/index.ts'
import type { LanguageArchitecture } from '../model/index.ts'
import {
  defaultMethod,
  methodNames,
  recordOf,
  type MethodName,
  type MethodRecord,
  type ModuleNames,
} from '../tune/index.ts'

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

/** The options that only some methods take, each with its flag and whether a method takes it. */
const optionSupport = {
  rank: ['--rank', ({ takes }) => takes.includes('rank')],
  alpha: ['--alpha', ({ takes }) => takes.includes('alpha')],
  rslora: ['--rslora', ({ takes }) => takes.includes('rslora')],
  dropout: ['--dropout', ({ takes }) => takes.includes('dropout')],
  rankPattern: ['--rank-pattern', ({ takes }) => takes.includes('ranks')],
  alphaPattern: ['--alpha-pattern', ({ takes }) => takes.includes('alphas')],
  modulesToSave: ['--modules-to-save', ({ besides }) => besides],
  bias: ['--bias', ({ besides }) => besides],
  quantize: ['--quantize', ({ quantizes }) => quantizes],
  select: ['--select', ({ takes }) => takes.includes('groups')],
  shareColumns: ['--share-columns', ({ takes }) => takes.includes('groups')],
  columns: ['--columns', ({ takes }) => takes.includes('groups')],
} as const satisfies {
  readonly [K in keyof MethodChoice]?: readonly [flag: string, takes: (record: MethodRecord) => boolean]
}
type Supported = keyof typeof optionSupport

/** True if a method takes an option. @example supports('vera', 'alpha') // false */
export const supports = (method: MethodName, option: Supported): boolean => optionSupport[option][1](recordOf(method))

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
  for (const [key, [flag]] of Object.entries(optionSupport)) {
    const option = key as Supported // a key of the record
    const value: unknown = choice[option]
    if (value === undefined || value === false || value === 'none' || supports(method, option)) continue
    const { rank, trains } = recordOf(method)
    const others = methodNames.filter(other => supports(other, option))
    return fail(
      rank === undefined
        ? `--method ${method} trains ${trains}: it takes no ${flag}`
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
    Object.keys(optionSupport).flatMap(key => (supports(method, key as Supported) ? [] : [[key, undefined]])),
  ),
})

/** The targets of a method unless others are named. */
const usualTargets = (method: MethodName, architecture: Pick<LanguageArchitecture, 'targets'>): ModuleNames => {
  const { targets } = recordOf(method)
  return targets === 'usual' ? architecture.targets : targets
}

/**
 * Checks that a method gets what it takes, and fills in what is left out.
 * @example methodOptions({ method: 'paca', seed: 0 }, checkpoint.architecture)
 */
export const methodOptions = (
  choice: MethodChoice,
  architecture: Pick<LanguageArchitecture, 'targets'>,
): E.Either<IoError, MethodOptions> => {
  const { method = defaultMethod, targetModules = usualTargets(method, architecture), seed } = choice
  const rank = choice.rank ?? recordOf(method).rank?.default ?? 0
  return E.map((): MethodOptions => ({ method, targetModules, rank, seed, ...settingsOf(choice) }))(
    checkOptions(method, choice),
  )
}
