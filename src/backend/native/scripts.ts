import { existsSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import util from 'node:util'
import { compileFunction } from 'node:vm'
import * as tfjs from '@tensorflow/tfjs-core'

const nodeRequire = createRequire(import.meta.url)

/**
 * The packages that tfjs-node's scripts receive: this project's tfjs-core, and two functions that Node no longer has
 * since version 23.
 */
const given: Readonly<Record<string, unknown>> = {
  '@tensorflow/tfjs': tfjs,
  '@tensorflow/tfjs-core': tfjs,
  'util': {
    ...util,
    isNullOrUndefined: (value: unknown) => value === undefined || value === null,
    isArray: Array.isArray,
  },
}

const fileOf = (path_: string): string =>
  existsSync(path_) && !statSync(path_).isDirectory()
    ? path_
    : existsSync(`${path_}.js`)
      ? `${path_}.js`
      : path.join(path_, 'index.js')

/**
 * Runs tfjs-node's CommonJS scripts from a folder outside of any node_modules, bound to this project's tfjs-core.
 * Modules are private to the returned function, which loads each once.
 * @example const scripts = scriptsIn('/cache/js'); scripts('dist/register_all_kernels.js')
 */
export const scriptsIn = (folder: string): ((file: string) => unknown) => {
  const modules = new Map<string, { exports: unknown }>()
  const load = (file: string): unknown => {
    const known = modules.get(file)
    if (known !== undefined) return known.exports
    const made: { exports: unknown } = { exports: {} }
    modules.set(file, made)
    const required = (id: string): unknown =>
      Object.hasOwn(given, id)
        ? given[id]
        : id === 'google-protobuf'
          ? load(path.join(folder, 'google-protobuf.js'))
          : id.startsWith('.')
            ? load(fileOf(path.resolve(path.dirname(file), id)))
            : nodeRequire(id)
    const source = readFileSync(file, 'utf8')
    if (file.endsWith('.json')) made.exports = JSON.parse(source)
    else {
      compileFunction(source, ['require', 'module', 'exports', '__filename', '__dirname'], { filename: file }).call(
        made.exports,
        required,
        made,
        made.exports,
        file,
        path.dirname(file),
      )
    }
    return made.exports
  }
  return file => load(fileOf(path.join(folder, file)))
}
