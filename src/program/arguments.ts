import type { FinetuneOptions } from './request.ts'

/** A word of a command line. */
export type Argument = string

const listed = (value: readonly (string | number)[] | string): string =>
  typeof value === 'string' ? value : value.join(',')
const paired = (pattern: Readonly<Record<string, number | undefined>>): string =>
  Object.entries(pattern)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${value}`)
    .join(',')

/** The options of a run without its callbacks. */
type PlainOptions = Omit<FinetuneOptions, 'signal' | 'onTarget' | 'onWarning'>

/**
 * The options of a run as a user would type them: the text behind each flag, or true if it takes none.
 * @example finetuneFlags({ model, data, method: 'paca', … }).get('--method') // 'paca'
 */
export const finetuneFlags = (options: PlainOptions): ReadonlyMap<string, string | true> => {
  const { targetModules, excludeModules, layers, rankPattern, alphaPattern, modulesToSave, optimizerArgs, ...others } =
    options
  const {
    shuffle,
    rslora,
    shareColumns,
    saveOptimizer,
    resume,
    doubleQuantize,
    skipBroken,
    frozenStatistics,
    checkpointing,
    augment,
    ...plain
  } = others
  const flag = (name: string): string => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
  const values = {
    ...plain,
    targetModules: targetModules && listed(targetModules),
    excludeModules: excludeModules && listed(excludeModules),
    layers: layers && listed(layers),
    modulesToSave: modulesToSave && listed(modulesToSave),
    rankPattern: rankPattern && paired(rankPattern),
    alphaPattern: alphaPattern && paired(alphaPattern),
    optimizerArgs: optimizerArgs && paired(optimizerArgs),
    augment: augment && paired(augment),
  }
  const switches = {
    '--no-shuffle': !shuffle,
    '--rslora': rslora,
    '--share-columns': shareColumns,
    '--skip-broken': skipBroken,
    '--frozen-statistics': frozenStatistics,
    '--checkpointing': checkpointing,
    '--save-optimizer': saveOptimizer,
    '--resume': resume,
    '--no-double-quantize': plain.quantize !== undefined && doubleQuantize === false,
  }
  return new Map<string, string | true>([
    ...Object.entries(values).flatMap(([name, value]): readonly (readonly [string, string])[] =>
      value === undefined ? [] : [[flag(name), String(value)]],
    ),
    ...Object.entries(switches).flatMap(([name, on]): readonly (readonly [string, true])[] =>
      on ? [[name, true]] : [],
    ),
  ])
}

/**
 * The command line for a run, as a user would type it, for a child process.
 * @example finetuneArguments({ model, data, method: 'paca', … }) // ['finetune', '--json', '--model', …]
 */
export const finetuneArguments = (options: PlainOptions): readonly Argument[] => [
  'finetune',
  '--json',
  ...[...finetuneFlags(options)].flatMap(([flag, value]) => (value === true ? [flag] : [flag, value])),
]
