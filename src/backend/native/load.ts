import { createRequire } from 'node:module'
import path from 'node:path'
import * as tfjs from '@tensorflow/tfjs-core'
import * as E from '../../either/index.ts'
import { cacheDirectory } from '../../host/index.ts'
import { loadAddon, logVariable } from './addon.ts'
import { registerLast, startBackend, within } from '../tfjs/host.ts'
import { nativeBuilds, scriptsFolder, type NativeBuild } from './builds.ts'
import type { LoadSavedModel, Native } from './native.ts'
import { scriptsIn } from './scripts.ts'

const backendName = 'tensorflow'
const nodeRequire = createRequire(import.meta.url)
/** The user's own packages, in the order in which they are tried. */
const packages = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split('\n')[0]!

/** The members of tfjs-node's backend that are used, in addition to its kernels. */
interface NodeBackend {
  readonly binding: { readonly TF_Version: string }
  readonly isUsingGpuDevice: boolean
}
type BackendClass = new (binding: unknown, packageName: string) => tfjs.KernelBackend

/** Starts the registered backend and lets it compute a square. */
const started = async (from: string, loader: () => LoadSavedModel | undefined): Promise<E.Either<string, Native>> => {
  if (tfjs.findBackendFactory(backendName) === null || !(await startBackend(tfjs, backendName)))
    return E.left(`${from}: the backend does not start`)
  const [square] = within(tfjs, backendName, () => tfjs.tidy(() => tfjs.square(tfjs.tensor1d([3])).dataSync()))
  if (square !== 9) return E.left(`${from}: it computes ${square}, expected 9`)
  // tfjs only knows a backend's common interface
  const { binding, isUsingGpuDevice } = tfjs.findBackend(backendName) as unknown as NodeBackend
  return E.right({ from, tensorflow: binding.TF_Version, gpu: isUsingGpuDevice, loadSavedModel: loader() })
}

/** Removes the backend and the kernels of a failed attempt, whose names the next one needs. */
const forget = (): void => {
  if (tfjs.findBackendFactory(backendName) !== null) tfjs.removeBackend(backendName)
  for (const { kernelName } of tfjs.getKernelsForBackend(backendName)) tfjs.unregisterKernel(kernelName, backendName)
}

const attempt = async (from: string, register: () => LoadSavedModel): Promise<E.Either<string, Native>> => {
  try {
    const loader = registerLast(tfjs, backendName, register)
    const found = await started(from, () => loader)
    if (E.isLeft(found)) forget()
    return found
  } catch (error) {
    forget()
    return E.left(`${from}: ${reasonOf(error)}`)
  }
}

/** Registers the backend of a build with this project's tfjs-core. */
const registerBuild = (build: NativeBuild): LoadSavedModel => {
  const { folder, package: name } = build
  const binding = loadAddon(build)
  const script = scriptsIn(path.join(folder, scriptsFolder))
  const { NodeJSKernelBackend } = script('dist/nodejs_kernel_backend.js') as {
    readonly NodeJSKernelBackend: BackendClass
  }
  script('dist/register_all_kernels.js')
  const as = name === 'tensorflow' ? '@tensorflow/tfjs-node-gpu' : '@tensorflow/tfjs-node'
  tfjs.registerBackend(backendName, () => new NodeJSKernelBackend(binding, as), 3)
  return (script('dist/saved_model.js') as { readonly loadSavedModel: LoadSavedModel }).loadSavedModel
}

/** Loads one of the user's packages, which registers its backend. */
const registerPackage = (name: string): LoadSavedModel => {
  process.env[logVariable] ??= '3'
  return (nodeRequire(name) as { readonly node: { readonly loadSavedModel: LoadSavedModel } }).node.loadSavedModel
}
/** The loader of the package that the program has already loaded. */
const loadedBefore = (): LoadSavedModel | undefined => {
  const name = packages
    .filter(isInstalled)
    .find(installed => nodeRequire.cache[nodeRequire.resolve(installed)] !== undefined)
  return name === undefined ? undefined : registerPackage(name)
}

const isInstalled = (name: string): boolean => {
  try {
    nodeRequire.resolve(name)
    return true
  } catch {
    return false
  }
}

const search = async (cache: string): Promise<E.Either<string, Native>> => {
  const failures: string[] = []
  // tfjs-node is already registered if the program has imported it
  if (tfjs.findBackendFactory(backendName) !== null) {
    const found = await started('the backend that this program has registered', loadedBefore)
    if (E.isRight(found)) return found
    failures.push(found.left)
    forget()
  }
  const builds = nativeBuilds(cache)
  for (const build of builds) if (build.problem !== undefined) failures.push(`${build.folder}: ${build.problem}`)
  const candidates: readonly (readonly [string, () => LoadSavedModel])[] = [
    ...packages.filter(isInstalled).map(name => [name, () => registerPackage(name)] as const),
    ...builds
      .filter(({ problem }) => problem === undefined)
      .map(build => [build.folder, () => registerBuild(build)] as const),
  ]
  for (const [from, register] of candidates) {
    const found = await attempt(from, register)
    if (E.isRight(found)) return found
    failures.push(found.left)
  }
  const what =
    'there is no TensorFlow for the graph and node targets: run `partensor native install`, or install @tensorflow/tfjs-node'
  return E.left(failures.length === 0 ? what : `${what} (${failures.join('; ')})`)
}

/** The result of the search: a process loads an addon only once. */
let found: Promise<E.Either<string, Native>> | undefined

/**
 * Makes tfjs's backend `tensorflow` ready: the user's tfjs-node-gpu or tfjs-node if one is installed and works,
 * otherwise a build from the cache. Left: one sentence that tells what to do, and why each candidate failed.
 * @example const native = await openNative(); if (native._tag === 'Right') console.log(native.right.tensorflow)
 */
export const openNative = async (cache = cacheDirectory()): Promise<E.Either<string, Native>> => {
  const result = await (found ??= search(cache))
  // it may be installed later
  if (E.isLeft(result)) found = undefined
  return result
}
