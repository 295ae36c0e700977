import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** The version of a package, or undefined if it is not installed. */
const versionOf = (specifier: string): string | undefined => {
  try {
    const description: unknown = require(specifier)
    const version =
      typeof description === 'object' && description !== null && 'version' in description
        ? description.version
        : undefined
    return typeof version === 'string' ? version : undefined
  } catch {
    return undefined
  }
}

/** Partensor's own version. */
export const version = versionOf('../../package.json') ?? 'unknown'

/** The versions that a run's numbers depend on: those of Partensor, Node and TensorFlow.js. @example versions()['node'] */
export const versions = (): Readonly<Record<string, string>> =>
  Object.fromEntries([
    ['partensor', version],
    ['node', process.versions.node],
    ...['core', 'backend-wasm', 'backend-cpu'].map(
      name => [`tfjs-${name}`, versionOf(`@tensorflow/tfjs-${name}/package.json`) ?? 'not installed'] as const,
    ),
  ])
