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

/**
 * The command line for a run, as a user would type it, for a child process.
 * @example finetuneArguments({ model, data, method: 'paca', … }) // ['finetune', '--model', …]
 */
export const finetuneArguments = (options: Omit<FinetuneOptions, 'signal' | 'onTarget'>): readonly Argument[] => {
  const { targetModules, excludeModules, layers, rankPattern, alphaPattern, modulesToSave, optimizerArgs, ...others } =
    options
  const {
    shuffle,
    rslora,
    shareColumns,
    saveOptimizer,
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
    '--no-double-quantize': plain.quantize !== undefined && doubleQuantize === false,
  }
  return [
    'finetune',
    '--json',
    ...Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [flag(name), String(value)])),
    ...Object.entries(switches).flatMap(([name, on]) => (on ? [name] : [])),
  ]
}
