import { Option, type Command } from 'commander'
import { selectionRules, supports } from '../program/index.ts'
import { defaultMethod, methodNames, recordOf, type MethodName } from '../tune/index.ts'
import { architectures } from '../model/index.ts'
import {
  anyNumber,
  exampleModule,
  integers,
  list,
  moduleNames,
  numbersByName,
  positiveInteger,
  rate,
} from './options.ts'

export const methodOption = (): Option =>
  new Option(
    '--method <name>',
    `what is trained: ${methodNames.map(name => `${name}, ${recordOf(name).trains}`).join('; ')} (default: ${defaultMethod})`,
  ).choices(methodNames)

const listed = (names: readonly string[]): string =>
  names.length < 2 ? names.join() : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
const taking = (option: Parameters<typeof supports>[1]): readonly MethodName[] =>
  methodNames.filter(name => supports(name, option))
/** The default rank of most methods, and those of the others. */
const defaultRanks = (): string => {
  const usual = recordOf(defaultMethod).rank?.default
  const others = methodNames.flatMap(name => {
    const own = recordOf(name).rank?.default
    return own === undefined || own === usual ? [] : [`; ${name}: ${own}`]
  })
  return `${usual}${others.join('')}`
}

/** The default targets of the architectures. */
const defaultTargets: ReadonlySet<string> = new Set(architectures.map(({ targets }) => targets.join(',')))

const withOptions = (command: Command, options: readonly Option[]): Command =>
  options.reduce((extended, option) => extended.addOption(option), command)

const quantizeOptions = (): readonly Option[] => [
  new Option('--quantize <scheme>', 'hold the frozen linear modules in 4 bits, as QLoRA does').choices(['nf4']),
  new Option('--no-double-quantize', 'do not quantize the scales of the blocks'),
]

/** Adds the options for the precision of a model that is not trained. */
export const withQuantizeOptions = (command: Command): Command => withOptions(command, quantizeOptions())

/**
 * Adds the options of a method in addition to its name. Their defaults come from the program: what an adapter already
 * specifies must not be specified again.
 */
export const withMethodOptions = (command: Command): Command =>
  withOptions(command, [
    new Option(
      '--rank <n>',
      `columns of each module that are trained, or the rank of its factors (default: ${defaultRanks()})`,
    ).argParser(positiveInteger),
    new Option(
      '--alpha <x>',
      `scales what ${listed(taking('alpha'))} add, by alpha / rank (default: the rank)`,
    ).argParser(anyNumber),
    new Option('--rslora', 'scale by alpha / √rank'),
    new Option(
      '--dropout <x>',
      `share of the input of A that ${listed(taking('dropout'))} zero while training (default: 0)`,
    ).argParser(rate),
    new Option(
      '--target-modules <names>',
      `modules to tune: names or ends of paths, a regular expression for whole paths, or all-linear; full knows all too (default: ${[...defaultTargets].join(' or ')})`,
    ).argParser(moduleNames),
    new Option('--exclude-modules <names>', 'modules not to tune, by names or a regular expression').argParser(
      moduleNames,
    ),
    new Option('--layers <numbers>', 'layers to tune, as 0-3,7 (default: all)').argParser(integers),
    new Option('--rank-pattern <pairs>', `other ranks for some modules, as ${exampleModule}=16`).argParser(
      numbersByName(positiveInteger),
    ),
    new Option('--alpha-pattern <pairs>', `other alphas for some modules, as ${exampleModule}=32`).argParser(
      numbersByName(anyNumber),
    ),
    new Option('--modules-to-save <names>', 'modules to train whole, and save with the adapter').argParser(list),
    new Option('--bias <which>', 'biases to train beside an adapter: none, all, or those of adapted modules').choices([
      'none',
      'all',
      'lora_only',
    ]),
    ...quantizeOptions(),
    new Option('--share-columns', 'modules with one input, as q, k and v, train the same columns'),
  ])

export const selectOption = (): Option =>
  new Option(
    '--select <how>',
    'columns of paca: at random, those of the largest weights, or of the largest gradients (default: random)',
  ).choices(selectionRules)
export const selectStepsOption = (): Option =>
  new Option('--select-steps <n>', 'steps over which --select gradient sums (default: 100)').argParser(positiveInteger)

export { selectionRules }
