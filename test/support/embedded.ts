import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { copyFile, cp, mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const programs = fileURLToPath(new URL('../embed/programs/', import.meta.url))
const tsc = path.join(path.dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc')

/** The end of a process: its exit code, or the signal that ended it. */
export interface Ended {
  readonly code: number | string
  readonly out: string
  readonly err: string
}

/** The time in which a program has to end by itself, in milliseconds. */
const patience = 120_000

/** Runs a program in a folder, without the environment of this process; one that does not end is ended, with a signal. */
export const ending = (cwd: string, program: string, ...args: readonly string[]): Promise<Ended> => {
  const { NODE_OPTIONS: _, NODE_TEST_CONTEXT: __, ...env } = process.env
  return new Promise(resolve => {
    execFile(program, [...args], { cwd, env, timeout: patience, maxBuffer: 2 ** 26 }, (error, out, err) => {
      resolve({ code: error === null ? 0 : (error.code ?? error.signal ?? 1), out, err })
    })
  })
}

/**
 * A project of plain JavaScript with the built package, the programs of `test/embed/programs/` and, as links, the
 * packages that this one has.
 */
export const embeddedProject = async (): Promise<AsyncDisposable & { readonly folder: string }> => {
  const folder = await mkdtemp(path.join(tmpdir(), 'partensor-embed-'))
  const modules = path.join(folder, 'node_modules')
  await mkdir(path.join(modules, 'partensor'), { recursive: true })
  await copyFile(path.join(root, 'package.json'), path.join(modules, 'partensor', 'package.json'))
  const built = await ending(
    root,
    process.execPath,
    tsc,
    '-p',
    'tsconfig.build.json',
    '--outDir',
    path.join(modules, 'partensor', 'dist'),
  )
  assert.deepEqual([built.code, built.out], [0, ''])
  for (const name of await readdir(path.join(root, 'node_modules')))
    if (!name.startsWith('.')) await symlink(path.join(root, 'node_modules', name), path.join(modules, name))
  await cp(programs, folder, { recursive: true })
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}
