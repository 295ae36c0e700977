import type { FinetuneOptions } from './finetune.ts'

/** A word of a command line. */
export type Argument = string

const listed = (value: readonly (string | number)[] | string): string => (typeof value === 'string' ? value : value.join(','))
const paired = (pattern: Readonly<Record<string, number>>): string => Object.entries(pattern).map(([key, value]) => `${key}=${value}`).join(',')

/**
 * The command line that asks for a run, as a user would type it: what another process is told.
 * @example finetuneArguments({ model, data, method: 'paca', … }) // ['finetune', '--model', …]
 */
export const finetuneArguments = (options: Omit<FinetuneOptions, 'signal' | 'onTarget'>): readonly Argument[] => {
  const { shuffle, targetModules, excludeModules, layers, rankPattern, alphaPattern, modulesToSave, rslora, shareColumns, saveOptimizer, quantize, doubleQuantize, ...plain } = options
  const flag = (name: string): string => `--${name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
  const values = {
    ...plain, quantize, targetModules: targetModules && listed(targetModules), excludeModules: excludeModules && listed(excludeModules), layers: layers && listed(layers),
    rankPattern: rankPattern && paired(rankPattern), alphaPattern: alphaPattern && paired(alphaPattern), modulesToSave: modulesToSave && listed(modulesToSave),
  }
  return [
    'finetune', '--json', ...Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [flag(name), String(value)])),
    ...(shuffle ? [] : ['--no-shuffle']), ...(rslora ? ['--rslora'] : []), ...(shareColumns ? ['--share-columns'] : []), ...(saveOptimizer ? ['--save-optimizer'] : []),
    ...(quantize !== undefined && doubleQuantize === false ? ['--no-double-quantize'] : []),
  ]
}
