import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import { installPyTorch, pythonPackages } from '../../bench/peers/python.ts'
import { cacheDirectory } from '../../src/compiler.ts'

const folder = join(cacheDirectory(), 'bench', 'pytorch')
const wanted = `${Object.entries(pythonPackages)
  .map(([name, version]) => `${name}==${version}`)
  .join('\n')}\n`

/**
 * The Python that has torch, peft and transformers: installed if CI requests it (`CI=true`), and otherwise the one that
 * is present. Right with undefined: there is none, and it was not requested.
 */
export const findPython = async (): Promise<E.Either<string, string | undefined>> => {
  if (process.env['CI'] === 'true') return installPyTorch(text => process.stderr.write(`${text}\n`))
  const there = await readFile(join(folder, 'requirements.txt'), 'utf8').catch(() => undefined)
  return E.right(there === wanted ? join(folder, 'bin', 'python') : undefined)
}

/** Answers of `agree.py`, one for each task; all in one process, since importing torch takes seconds. */
export const ask = async (python: string, tasks: readonly object[], directory: string): Promise<readonly unknown[]> => {
  const file = join(directory, 'tasks.json')
  const script = fileURLToPath(new URL('../interop/agree.py', import.meta.url))
  await writeFile(file, JSON.stringify(tasks))
  const { stdout } = await promisify(execFile)(python, [script, file], {
    maxBuffer: 2 ** 26,
    env: { ...process.env, HF_HUB_OFFLINE: '1' },
  })
  const answers: unknown = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  return Array.isArray(answers) ? answers : []
}
