import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'
import { openSafetensors } from '../../src/io/index.ts'
import { orThrow } from '../../src/text/index.ts'
import { checkEvents } from './events.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
export const golden = join(root, 'test/golden')
export const tiny = join(golden, 'llama-tiny')

export interface Outcome {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line as a user does, in a process of its own; at most two at a time, as there may be two cores. */
export const partensor = (...args: readonly string[]): Promise<Outcome> => interrupted(args, undefined)

/** The same, with an interrupt (Ctrl-C) as soon as a text was printed. */
export const interrupted = (args: readonly string[], at: string | undefined): Promise<Outcome> => {
  // the first of two lanes to be free
  const lane = lanes.shift()!
  const run = lane.then(() => spawned(args, at))
  lanes.push(run.catch(() => undefined))
  return run
}
const lanes: Promise<unknown>[] = [Promise.resolve(), Promise.resolve()]

const spawned = (args: readonly string[], interruptAt: string | undefined): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const command = ['--import', 'tsx', 'src/cli/main.ts', ...args]
    // whatever hangs fails its test, and does not stay
    const child = spawn(process.execPath, command, {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: 120_000,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (interruptAt !== undefined && !stdout.includes(interruptAt) && (stdout + text).includes(interruptAt))
        child.kill('SIGINT')
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', code => {
      try {
        // whatever a test is about, what it sees is as documented
        if (code === 0 && args.includes('--json')) checkEvents(args[0]!, stdout)
        resolve({ code, stdout, stderr })
      } catch (error) {
        reject(error)
      }
    })
  })

/** The JSON lines of an output; throws if a line is not JSON. */
export const jsonLines = (stdout: string): readonly Readonly<Record<string, unknown>>[] =>
  stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as Readonly<Record<string, unknown>>)

/** A directory that is removed when the tests of a file have ended. */
export const temporary = async (): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), 'partensor-cli-'))
  after(() => rm(directory, { recursive: true, force: true }))
  return directory
}

/** The golden batch as rows of a data set. */
export const goldenRows = async (): Promise<readonly Readonly<Record<string, readonly number[]>>[]> => {
  const archive = await orThrow(openSafetensors(join(tiny, 'reference.safetensors')))
  try {
    const read = async (name: string): Promise<readonly (readonly number[])[]> => {
      const {
        sizes: [rows = 0, columns = 0],
        data,
      } = await archive.tensors.get(name)!.read()
      return Array.from({ length: rows }, (_, i) => [...data.subarray(i * columns, (i + 1) * columns)])
    }
    const [ids, labels, mask] = [await read('input_ids'), await read('labels'), await read('attention_mask')]
    return ids.map((input_ids, i) => ({ input_ids, labels: labels[i]!, attention_mask: mask[i]! }))
  } finally {
    await archive.close()
  }
}

/** Writes rows as JSON lines. */
export const writeRows = async (path: string, rows: readonly unknown[]): Promise<string> => {
  await writeFile(path, rows.map(row => `${JSON.stringify(row)}\n`).join(''))
  return path
}
