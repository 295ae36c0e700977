import { hasPip, run, type Ended } from '../../../host/index.ts'
import { refusal } from '../../../text/index.ts'

/** The tools that an installation calls. */
export interface Tools {
  readonly compiler: string
  readonly strip: boolean
}

const works = async (command: string): Promise<boolean> => (await run(command, ['--version'])).code === 0

const firstOf = async (commands: readonly string[]): Promise<string | undefined> => {
  for (const command of commands) if (await works(command)) return command
  return undefined
}

/**
 * Finds the tools that an installation needs. Throws an `IoError` that names all missing ones, and how to install them.
 * @example const { compiler } = await findTools({ pip: true })
 */
export const findTools = async ({ pip }: { readonly pip: boolean }): Promise<Tools> => {
  const compiler = await firstOf([process.env['CXX'] ?? '', 'g++', 'c++', 'clang++'].filter(name => name !== ''))
  const missing = [
    ...(compiler === undefined ? [['a C++ compiler', 'g++'] as const] : []),
    ...(pip && !(await hasPip()) ? [['Python 3 with pip', 'python3-pip'] as const] : []),
    ...((await works('npm')) ? [] : [['npm', 'npm'] as const]),
    ...((await works('tar')) ? [] : [['tar', 'tar'] as const]),
  ]
  if (compiler === undefined || missing.length > 0) {
    throw refusal(
      `native install needs ${missing.map(([what]) => what).join(' and ')}: install ${missing.length === 1 ? 'it' : 'them'}, ` +
        `on Debian and Ubuntu by \`apt-get install ${missing.map(([, name]) => name).join(' ')}\``,
    )
  }
  return { compiler, strip: await works('strip') }
}

const isFull = /no space left on device|ENOSPC|disk quota exceeded/i

/** Tests whether an error is that of a full disk. */
export const saysFull = (reason: string): boolean => isFull.test(reason)

/** The message of a failed tool in one line: its first line that mentions an error. */
const reasonIn = ({ code, complaint }: Ended): string => {
  const lines = complaint
    .split('\n')
    .map(line => line.replace(/^npm (error|ERR!) ?/, '').trim())
    .filter(line => line !== '')
  return (
    lines.find(line => isFull.test(line)) ??
    lines.find(line => /error|not found|failed/i.test(line)) ??
    lines[0] ??
    `it ended with code ${code}`
  )
}

/**
 * Runs a tool that must succeed. Throws an `IoError` that names the action and the tool's own reason.
 * @example await must('unpack a.tgz', 'tar', ['xzf', 'a.tgz'], { cwd })
 */
export const must = async (
  what: string,
  command: string,
  args: readonly string[],
  options: Parameters<typeof run>[2],
): Promise<string> => {
  const ended = await run(command, args, options)
  if (ended.code !== 0) throw refusal(`${command} cannot ${what}: ${reasonIn(ended)}`)
  return ended.printed
}
