import * as E from 'fp-ts/lib/Either.js'
import { fail, type IoError } from '../text/index.ts'
import type { AdapterSettings } from '../io/index.ts'
import { reaches, type ArchitectureFacts } from '../model/index.ts'
import { defaultMethod, methodNames, recordOf, type MethodName, type MethodRecord } from '../tune/index.ts'
import type { ModuleNames } from '../tune/modules/modules.ts'

/** The rules for selecting PaCA's columns. */
export const selectionRules = ['random', 'weight', 'gradient'] as const
export type SelectionRule = (typeof selectionRules)[number]

/** A method with all its settings. */
export interface MethodOptions extends AdapterSettings {
  readonly method: MethodName
  readonly targetModules: ModuleNames
  /** The rank; 0 for full fine-tuning, which has none. */
  readonly rank: number
  readonly seed: number
}

/** A method as requested on the command line; an omitted setting has its default. */
export interface MethodChoice {
  readonly method?: MethodName | undefined
  /** Names, words that paths end with, or one regular expression; `all-linear`, and for full also `all`. */
  readonly targetModules?: ModuleNames | undefined
  readonly excludeModules?: ModuleNames | undefined
  /** The numbers of the layers to tune. */
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
  /** True (the default) if the scales of blocks are quantized too. */
  readonly doubleQuantize?: boolean | undefined
  readonly select?: SelectionRule | undefined
  readonly shareColumns?: boolean | undefined
  /** A safetensors file with the selection. */
  readonly columns?: string | undefined
  readonly seed: number
}

/** The options that only some methods take, each with its flag and a test for methods that take it. */
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

/** Tests whether a method takes an option. @example supports('vera', 'alpha') // false */
export const supports = (method: MethodName, option: Supported): boolean => optionSupport[option][1](recordOf(method))

const given = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } =>
  // one key, if there is a value
  (value === undefined ? {} : { [key]: value }) as { readonly [P in K]?: V }

/** The quantization of the base, if requested. */
export const quantization = ({
  quantize,
  doubleQuantize = true,
}: Pick<MethodChoice, 'quantize' | 'doubleQuantize'>): AdapterSettings['quantize'] =>
  quantize && { scheme: quantize, double: doubleQuantize }

/** The settings in a choice, without those that it omits. */
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
  'labels',
]
/** The settings alone, from an adapter or a method with further fields. */
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

/** A choice without the settings that a method does not take, so that one choice can serve several methods. */
export const applicable = (method: MethodName, choice: MethodChoice): MethodChoice => ({
  ...choice,
  method,
  ...Object.fromEntries(
    Object.keys(optionSupport).flatMap(key => (supports(method, key as Supported) ? [] : [[key, undefined]])),
  ),
})

/** The facts that the targets of a method follow from. */
type TargetFacts = Pick<ArchitectureFacts, 'targets' | 'modulesToSave' | 'stored'>

/** The default targets of a method: those of the architecture that it can tune. */
const usualTargets = (method: MethodName, { targets: usual, modulesToSave = [], stored }: TargetFacts): ModuleNames => {
  const { targets, reach } = recordOf(method)
  if (targets !== 'usual') return targets
  // a head that has to be trained is a target of a method that trains whole weights, and so is everything else
  if (reach === 'every' && modulesToSave.length > 0) return 'all'
  const within = usual.filter(name => reaches[reach].has(stored(name)))
  // if there are none, a refusal names them
  return within.length > 0 ? within : usual
}

/**
 * Checks that a method gets the settings that it needs, and fills in the omitted ones.
 * @example methodOptions({ method: 'paca', seed: 0 }, checkpoint.architecture)
 */
export const methodOptions = (choice: MethodChoice, architecture: TargetFacts): E.Either<IoError, MethodOptions> => {
  const { method = defaultMethod, targetModules = usualTargets(method, architecture), seed } = choice
  const rank = choice.rank ?? recordOf(method).rank?.default ?? 0
  const isUsual = choice.targetModules === undefined && supports(method, 'modulesToSave')
  const modulesToSave = choice.modulesToSave ?? (isUsual ? architecture.modulesToSave : undefined)
  const settings = settingsOf({ ...choice, modulesToSave })
  return E.map((): MethodOptions => ({ method, targetModules, rank, seed, ...settings }))(checkOptions(method, choice))
}
