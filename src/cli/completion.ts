import { Argument, Command, type Option } from 'commander'
import type { Context } from './context.ts'

/** A command with its options, as a shell completes them. */
interface Completed {
  readonly name: string
  readonly about: string
  readonly options: readonly Option[]
}

const firstSentence = (text: string): string => text.split(/[.:;(\n]/)[0]!.trim()
const takesValue = ({ required, optional }: Option): boolean => required || optional

/** Bash completes the words of a command, the choices of an option, and files where neither is known. */
const bash = (program: string, commands: readonly Completed[]): string => {
  const withChoices = new Map<string, readonly string[]>()
  for (const { name, options } of commands)
    for (const { long, argChoices } of options)
      if (long !== undefined && argChoices !== undefined) withChoices.set(`${name}:${long}`, argChoices)
  const withFiles = commands.flatMap(({ name, options }) =>
    options.filter(one => takesValue(one) && one.argChoices === undefined).map(({ long }) => `${name}:${long}`),
  )
  return `_${program}() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    words="${commands.map(({ name }) => name).join(' ')}"
  else
    case "\${COMP_WORDS[1]}:$previous" in
${[...withChoices].map(([at, choices]) => `      ${at}) words="${choices.join(' ')}" ;;`).join('\n')}
      ${withFiles.join('|')}) ;;
      *)
        case "\${COMP_WORDS[1]}" in
${commands.map(({ name, options }) => `          ${name}) words="${options.map(({ long }) => long).join(' ')}" ;;`).join('\n')}
        esac ;;
    esac
  fi
  COMPREPLY=()
  if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$current")); fi
}
complete -o default -F _${program} ${program}
`
}

const zsh = (program: string, commands: readonly Completed[]): string =>
  `autoload -Uz compinit bashcompinit\ncompinit\nbashcompinit\n${bash(program, commands)}`

const fish = (program: string, commands: readonly Completed[]): string => {
  const quoted = (text: string): string => `'${text.replaceAll(/['\\]/g, '\\$&')}'`
  return [
    `complete -c ${program} -n __fish_use_subcommand -f`,
    ...commands.flatMap(({ name, about, options }) => [
      `complete -c ${program} -n __fish_use_subcommand -a ${name} -d ${quoted(firstSentence(about))}`,
      ...options.map(option => {
        const value = option.argChoices === undefined ? '-r' : `-x -a ${quoted(option.argChoices.join(' '))}`
        return (
          `complete -c ${program} -n '__fish_seen_subcommand_from ${name}' -l ${option.name()}` +
          `${takesValue(option) ? ` ${value}` : ''} -d ${quoted(firstSentence(option.description))}`
        )
      }),
    ]),
    '',
  ].join('\n')
}

const shells = { bash, zsh, fish }
const isShell = (name: string): name is keyof typeof shells => Object.hasOwn(shells, name)

/**
 * Prints what a shell completes commands and options with, from the command line itself.
 * @example eval "$(partensor completion bash)"
 */
export const completionCommand = ({ out }: Context): Command => {
  const command = new Command('completion')
    .description('Print what a shell completes commands and options with: eval "$(partensor completion bash)"')
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(shells)))
    .action((shell: string) => {
      const program = command.parent
      if (!isShell(shell) || program === null) return
      const commands = program.commands.map(one => ({
        name: one.name(),
        about: one.description(),
        options: one.options,
      }))
      out.write(shells[shell](program.name(), commands))
    })
  return command
}
