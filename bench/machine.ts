import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'
import { join } from 'node:path'
import { tensorflowVersion } from '../src/backend/native/builds.ts'
import { projectRoot } from './compiled.ts'
import { jaxJsVersion } from './peers/install.ts'
import { pythonPackages } from './peers/python.ts'

const require = createRequire(import.meta.url)

const versionOf = (name: string): string => {
  // not every package lets its package.json be imported, so it is read from the package's folder
  const folder = require.resolve.paths(name)?.map(at => join(at, name, 'package.json')) ?? []
  for (const file of folder)
    try {
      return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version
    } catch {
      continue
    }
  return 'unknown'
}

/** The vector instructions on which times and peaks depend most: without AVX-512, 16-bit products are made in 32. */
const known = ['avx2', 'avx512f', 'avx512_bf16', 'amx_bf16'] as const
const instructions = (): readonly string[] => {
  try {
    const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.split(' ') ?? []
    return known.filter(name => flags.includes(name))
  } catch {
    return []
  }
}

/** The machine and the load of a benchmark; the load is that of the minute before it. */
export const machine = () => ({
  processor: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  instructions: instructions(),
  memoryMegabytes: Math.round(totalmem() / 1e6),
  system: `${platform()} ${release()} ${arch()}`,
  loadBefore: loadavg()[0]!,
})

export const versions = () => ({
  'node': process.versions.node,
  'partensor': (JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { readonly version: string })
    .version,
  'tfjs-core': versionOf('@tensorflow/tfjs-core'),
  'tfjs-backend-wasm': versionOf('@tensorflow/tfjs-backend-wasm'),
  'typescript': versionOf('typescript'),
  'jax-js': jaxJsVersion,
  'tensorflow': tensorflowVersion,
  ...pythonPackages,
})
