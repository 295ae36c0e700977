import { InvalidArgumentError, Option, type Command } from 'commander'
import { parseDocument } from 'yaml'
import { nearest, readText } from '../host/index.ts'
import { isRecord, orThrow, quoted, refusal } from '../text/index.ts'
import { RepeatedOption } from './options.ts'

const configFlag = '--config'

/** A file of options. */
export const configOption = (): Option =>
  new Option(
    `${configFlag} <file>`,
    'a JSON or YAML file of options by name, as settings.json beside an adapter; flags win',
  )

/** The arguments that a value stands for, if an option takes such a value. */
const argumentsOf = (option: Option, value: unknown): readonly string[] | undefined => {
  const { long } = option
  const text = (of: unknown): string | undefined =>
    typeof of === 'string' || typeof of === 'number' ? String(of) : undefined
  const joined = (parts: readonly (string | undefined)[]): string | undefined =>
    parts.length > 0 && parts.every(part => part !== undefined) ? parts.join(',') : undefined
  if (!option.required && !option.optional) {
    if (typeof value !== 'boolean') return undefined
    return value ? [long!] : []
  }
  const found = Array.isArray(value)
    ? option instanceof RepeatedOption
      ? value.map(text)
      : [joined(value.map(text))]
    : isRecord(value)
      ? [
          joined(
            Object.entries(value).map(([name, of]) => (text(of) === undefined ? undefined : `${name}=${text(of)}`)),
          ),
        ]
      : [text(value)]
  return found.every(of => of !== undefined) ? found.map(of => `${long}=${of}`) : undefined
}

/** The option that a name in a file means, and whether the value is to be turned round: `shuffle` for `--no-shuffle`. */
const named = (command: Command, name: string): { readonly option: Option; readonly negated: boolean } | undefined => {
  const option = command.options.find(one => one.long === `--${name}` || one.attributeName() === name)
  return option && { option, negated: option.negate && option.long !== `--${name}` }
}

const conflictsOf = (option: Option): readonly unknown[] =>
  'conflictsWith' in option && Array.isArray(option.conflictsWith) ? option.conflictsWith : []
const isConflict = (a: Option, b: Option): boolean =>
  conflictsOf(a).includes(b.attributeName()) || conflictsOf(b).includes(a.attributeName())

/** The options that arguments name. */
const givenIn = (command: Command, argv: readonly string[]): readonly Option[] =>
  argv.flatMap(word => command.options.filter(({ long }) => long === word.split('=')[0]))

/** The file that arguments name last. */
const fileIn = (argv: readonly string[]): string | undefined => {
  const at = argv.findLastIndex(word => word === configFlag || word.startsWith(`${configFlag}=`))
  if (at === -1) return undefined
  return argv[at] === configFlag ? argv[at + 1] : argv[at]!.slice(`${configFlag}=`.length)
}

const argumentsIn = (command: Command, file: string, text: string, given: readonly Option[]): readonly string[] => {
  const document = parseDocument(text)
  const [wrong] = document.errors
  if (wrong !== undefined) throw refusal(`${file}: it is neither JSON nor YAML: ${wrong.message.split('\n')[0]!}`)
  const content: unknown = document.toJS()
  if (!isRecord(content)) throw refusal(`${file}: options by name are expected, as lr: 1e-4`)
  return Object.entries(content).flatMap(([name, value]) => {
    const found = named(command, name)
    if (found === undefined || found.option.long === configFlag) {
      const like = nearest(
        name,
        command.options.map(option => option.name()),
      )
      throw refusal(
        `${file}: ${command.name()} has no option ${quoted(name)}${like === undefined ? '' : ` (did you mean ${like}?)`}`,
      )
    }
    const { option, negated } = found
    const words = argumentsOf(option, negated && typeof value === 'boolean' ? !value : value)
    if (words === undefined)
      throw refusal(`${file}: ${name} is ${quoted(JSON.stringify(value))}, which ${option.flags} does not take`)
    try {
      for (const word of words) if (word.includes('=')) option.parseArg?.(word.slice(word.indexOf('=') + 1), undefined)
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error
      throw refusal(`${file}: ${name} is ${quoted(JSON.stringify(value))}: ${error.message}`)
    }
    return given.some(other => other.attributeName() === option.attributeName() || isConflict(option, other))
      ? []
      : words
  })
}

/**
 * Replaces the file of options that arguments name by the arguments it stands for. What the arguments say themselves
 * wins, also over what conflicts with it.
 * @example const argv = await withConfigFile(program, ['finetune', '--config', 'run.yaml', '--steps', '10'])
 */
export const withConfigFile = async (program: Command, argv: readonly string[]): Promise<readonly string[]> => {
  const [name = '', ...rest] = argv
  const command = program.commands.find(one => one.name() === name)
  const file = fileIn(rest)
  const takes = command?.options.some(({ long }) => long === configFlag)
  if (command === undefined || file === undefined || takes !== true) return argv
  const words = argumentsIn(command, file, await orThrow(readText(file)), givenIn(command, rest))
  return [name, ...words, ...rest]
}

type Setting = string | number | boolean | readonly (string | number)[]
/** A text, or the number that it writes. */
const plain = (text: string): string | number => (String(Number(text)) === text ? Number(text) : text)

/**
 * Records the options of a command as they are given, in the form that a file of options has.
 * @returns reads them, defaults included, after the command line was parsed
 * @example const settings = recordedSettings(command)
 */
export const recordedSettings = (command: Command): (() => Readonly<Record<string, Setting>>) => {
  const given = new Map<string, Setting>()
  for (const option of command.options) {
    const name = option.name()
    command.on(`option:${name}`, (text: string | null | undefined) => {
      const before = given.get(name)
      const value = typeof text === 'string' ? plain(text) : true
      const repeated = option instanceof RepeatedOption && typeof value !== 'boolean'
      given.set(name, repeated ? [...(Array.isArray(before) ? before : []), value] : value)
    })
  }
  return () =>
    Object.fromEntries(
      command.options.flatMap((option): (readonly [string, Setting])[] => {
        const { defaultValue, negate }: { readonly defaultValue?: unknown; readonly negate: boolean } = option
        const value =
          given.get(option.name()) ??
          (!negate && (typeof defaultValue === 'string' || typeof defaultValue === 'number') ? defaultValue : undefined)
        return value === undefined ? [] : [[option.name(), value]]
      }),
    )
}
