import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import { installPyTorch, installVision, presentVision, pythonPackages } from '../../bench/peers/python.ts'
import { cacheDirectory } from '../../src/io.ts'

const tell = (text: string): void => {
  process.stderr.write(`${text}\n`)
}
const folder = join(cacheDirectory(), 'bench', 'pytorch')
const wanted = `${Object.entries(pythonPackages)
  .map(([name, version]) => `${name}==${version}`)
  .join('\n')}\n`

/**
 * The Python that has torch, peft and transformers: installed if CI requests it (`CI=true`), and otherwise the one that
 * is present. Right with undefined: there is none, and it was not requested.
 */
export const findPython = async (): Promise<E.Either<string, string | undefined>> => {
  if (process.env['CI'] === 'true') return installPyTorch(tell)
  const there = await readFile(join(folder, 'requirements.txt'), 'utf8').catch(() => undefined)
  return E.right(there === wanted ? join(folder, 'bin', 'python') : undefined)
}

/** A Python, and a folder of further packages for it. */
export interface Python {
  readonly python: string
  readonly packages?: string
}

/**
 * The Python of {@link findPython} with libraries of image models, which are installed if CI requests it, in a folder of
 * their own: they would replace its torch.
 */
export const findVision = async (): Promise<E.Either<string, Python | undefined>> => {
  const found = await findPython()
  if (E.isLeft(found) || found.right === undefined) return found as E.Either<string, undefined>
  const python = found.right
  const present = await presentVision()
  if (present !== undefined) return E.right({ python, packages: present })
  if (process.env['CI'] !== 'true') return E.right(undefined)
  return E.map((packages: string): Python => ({ python, packages }))(await installVision(python, tell))
}

/**
 * Answers of a script of test/interop, one for each task; all in one process, since importing torch takes seconds.
 */
export const ask = async (
  python: string | Python,
  tasks: readonly object[],
  directory: string,
  name: 'agree.py' | 'vision.py' = 'agree.py',
): Promise<readonly unknown[]> => {
  const file = join(directory, 'tasks.json')
  const script = fileURLToPath(new URL(`../interop/${name}`, import.meta.url))
  await writeFile(file, JSON.stringify(tasks))
  const { python: command, packages }: Python = typeof python === 'string' ? { python } : python
  const { stdout } = await promisify(execFile)(command, [script, file], {
    maxBuffer: 2 ** 26,
    env: { ...process.env, HF_HUB_OFFLINE: '1', ...(packages === undefined ? {} : { PYTHONPATH: packages }) },
  })
  const answers: unknown = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  return Array.isArray(answers) ? answers : []
}
