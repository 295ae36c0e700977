import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { cacheDirectory } from '../../host/index.ts'

/** The Python packages with a TensorFlow that tfjs-node's addon can be built against: with CUDA, and without. */
const tensorflowPackages = ['tensorflow', 'tensorflow-cpu'] as const
export type TensorflowPackage = (typeof tensorflowPackages)[number]
/** The version that is installed by default; the user may give another wheel. */
export const tensorflowVersion = '2.18.1'

/**
 * The revision of the builds that this version makes. A build of another revision still runs, without later additions.
 */
export const buildRevision = 4
/**
 * The description of a build, written last: it names every file with its size, so that an incomplete build is detected.
 * The first builds have no revision.
 */
export interface Manifest {
  readonly revision?: number
  readonly files: Readonly<Record<string, number>>
}
export const manifestFile = 'installed.json'

/**
 * A build of tfjs-node's addon in the cache. `problem` is the reason why it cannot be used; `outdated` means that
 * another version of Partensor made it.
 */
export interface NativeBuild {
  readonly package: TensorflowPackage
  readonly version: string
  readonly folder: string
  readonly bytes: number
  readonly problem: string | undefined
  readonly outdated: boolean
}

/** The folder of all builds in the cache. @example nativeFolder('/home/me/.cache/partensor') */
export const nativeFolder = (cache: string): string => join(cache, 'native')
/** The folder of one build. @example buildFolder(cacheDirectory(), 'tensorflow-cpu', '2.18.1') */
export const buildFolder = (cache: string, name: TensorflowPackage, version: string): string =>
  join(nativeFolder(cache), `${name}-${version}`)
/** The files of a build, relative to its folder. */
export const addonFile = 'tfjs_binding.node'
export const logFile = 'log.node'
export const scriptsFolder = 'js'

const isManifest = (value: unknown): value is Manifest =>
  typeof value === 'object' &&
  value !== null &&
  'files' in value &&
  typeof value.files === 'object' &&
  value.files !== null &&
  Object.values(value.files).every(bytes => typeof bytes === 'number')

const bytesAt = (path: string): number | undefined => {
  try {
    return statSync(path).size
  } catch {
    return undefined
  }
}

const manifestOf = (folder: string): Manifest | undefined => {
  try {
    const read: unknown = JSON.parse(readFileSync(join(folder, manifestFile), 'utf8'))
    return isManifest(read) ? read : undefined
  } catch {
    return undefined
  }
}

/** One build, checked against its manifest. @example inspectBuild(folder, 'tensorflow-cpu', '2.18.1').problem */
export const inspectBuild = (folder: string, name: TensorflowPackage, version: string): NativeBuild => {
  const manifest = manifestOf(folder)
  const files = Object.entries(manifest?.files ?? {})
  const damaged = files.find(([file, bytes]) => bytesAt(join(folder, file)) !== bytes)
  return {
    package: name,
    version,
    folder,
    bytes: files.reduce((sum, [, bytes]) => sum + bytes, 0),
    problem:
      manifest === undefined
        ? 'it is half done'
        : damaged === undefined
          ? undefined
          : `its file ${damaged[0]} is not whole`,
    outdated: manifest?.revision !== buildRevision,
  }
}

const named = new RegExp(`^(${tensorflowPackages.join('|')})-(\\d[\\w.]*)$`)
/** Orders builds: with CUDA before without, the pinned version before others, newer before older. */
const preference = (a: NativeBuild, b: NativeBuild): number =>
  tensorflowPackages.indexOf(a.package) - tensorflowPackages.indexOf(b.package) ||
  Number(b.version === tensorflowVersion) - Number(a.version === tensorflowVersion) ||
  b.version.localeCompare(a.version, 'en', { numeric: true })

/**
 * The builds in a cache, incomplete ones included; the preferred one comes first.
 * @example nativeBuilds().find(({ problem }) => problem === undefined)
 */
export const nativeBuilds = (cache = cacheDirectory()): readonly NativeBuild[] => {
  const folder = nativeFolder(cache)
  let names: readonly string[] = []
  try {
    names = readdirSync(folder)
  } catch {
    /* no build was made yet */
  }
  return names
    .flatMap(name => {
      const [, of, version] = named.exec(name) ?? []
      return of === undefined || version === undefined
        ? []
        : [inspectBuild(join(folder, name), of as TensorflowPackage, version)]
    })
    .sort(preference)
}
